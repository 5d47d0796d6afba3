"""The session login of the browsable API; REST framework's templates call it by this namespace."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts.login.forms import SessionLoginForm
from accounts.login.views import PasswordLoginView

app_name = "rest_framework"
urlpatterns = [
    path(
        "login/",
        PasswordLoginView.as_view(authentication_form=SessionLoginForm, template_name="rest_framework/login.html"),
        name="login",
    ),
    path("logout/", LogoutView.as_view(), name="logout"),
]
