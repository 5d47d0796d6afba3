"""Which path leads where; each app brings its own urls."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from drf_spectacular.views import SpectacularRedocView, SpectacularSwaggerSplitView

from recommendations.api.unsubscribe import unsubscribe_page
from recommender_site.http import openapi  # noqa: F401  (registers how callers are described)
from recommender_site.http.api_root import ApiRootView
from recommender_site.http.health import alive, ready
from recommender_site.http.home import home
from recommender_site.http.metrics import metrics
from recommender_site.http.schema import SchemaView

redoc = SpectacularRedocView.as_view(url_name="schema", template_name="api/redoc.html")

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home, name="home"),
    path("shop/", include("shop.urls")),
    path("alerts/unsubscribe/<str:token>", unsubscribe_page, name="alert-unsubscribe"),
    path("admin/account/", include("accounts.login.account_urls")),
    path("admin/", admin.site.urls),
    re_path(r"^api/v1/?$", ApiRootView.as_view(), name="api-root"),
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("catalog.api.urls")),
    path("api/v1/", include("recommendations.api.urls")),
    path("", include("recommendations.api.contract_urls")),
    path("api/", include("recommendations.api.ratings_urls")),
    path("api/session/", include("accounts.login.urls")),  # the browsable API's own login
    re_path(r"^api/schema/?$", SchemaView.as_view(), name="schema"),
    re_path(r"^api/docs/?$", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api/redoc/?$", redoc, name="redoc"),
    re_path(r"^api/redocs/?$", redoc, name="redocs"),  # as the first system called it
    re_path(r"^healthz/?$", alive, name="healthz"),
    re_path(r"^readyz/?$", ready, name="readyz"),
    re_path(r"^metrics/?$", metrics, name="metrics"),
]

handler400 = "web.errors.handler400"
handler403 = "web.errors.handler403"
handler404 = "web.errors.handler404"
handler500 = "web.errors.handler500"
