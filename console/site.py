"""How the admin looks and what its sidebar holds; settings.py hands this to Unfold as ``UNFOLD``.

Imported by the settings, so it may not import models: permissions and links are resolved per request.
"""

from collections.abc import Callable
from typing import Any, cast
from urllib.parse import parse_qsl

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def environment_label(request: HttpRequest) -> list[str] | None:
    """The badge beside the title: a demo must never be mistaken for the real thing, nor the other way round."""
    from django.conf import settings

    return ["Demo", "warning"] if settings.DEMO_MODE else None


def may_see(app: str, model: str) -> Callable[[HttpRequest], bool]:
    def check(request: HttpRequest) -> bool:
        return any(request.user.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change"))

    return check


def page(title: str, icon: str, app: str, model: str, to: str = "") -> dict[str, Any]:
    """One line of the sidebar, shown to those who may see the rows behind it; ``to`` names a page about them."""
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{to or f'{app}_{model}_changelist'}"),
        "permission": may_see(app, model),
    }


def filtered(line: dict[str, Any], query: str) -> dict[str, Any]:
    """The same line for a part of the rows; Unfold takes links that are computed for each request."""
    whole = line["link"]
    return {**line, "link": lambda request: f"{whole}?{query}"}


def group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": True, "collapsible": False, "items": list(items)}


NAVIGATION = [
    {"items": [{"title": "Dashboard", "icon": "dashboard", "link": reverse_lazy("admin:index")}]},
    group(
        "Stock",
        page("Listings", "directions_car", "catalog", "listing"),
        page("Price changes", "sell", "catalog", "pricechange"),
        page("Sellers", "storefront", "catalog", "seller"),
        page("Dealers and exposure", "bar_chart", "recommendations", "servedlist", to="recommendations_dealers"),
        page("Makes", "factory", "catalog", "make"),
        page("Models", "category", "catalog", "carmodel"),
        page("Imports", "upload_file", "catalog", "importrun"),
        page("Feeds", "rss_feed", "catalog", "feed"),
        page("Data quality", "fact_check", "catalog", "qualityreport", to="catalog_quality"),
    ),
    group(
        "Buyers",
        page("Buyers", "person_search", "accounts", "buyer"),
        page("Events", "timeline", "recommendations", "interaction"),
        page("Lists served", "view_list", "recommendations", "servedlist"),
        page("Preferences", "favorite", "recommendations", "preference"),
        page("Saved searches", "saved_search", "recommendations", "savedsearch"),
        page("Alerts", "notifications", "recommendations", "alertmessage"),
        page("Cars of alerts", "notifications_active", "recommendations", "caralert"),
        page("Settings of alerts", "notification_settings", "recommendations", "alertsettings"),
    ),
    group(
        "Recommender",
        page("Ranker versions", "deployed_code", "recommendations", "rankerversion"),
        page("Training runs", "model_training", "recommendations", "trainingrun"),
        {
            **page("Taste map", "scatter_plot", "recommendations", "tastemap"),
            "link": reverse_lazy("admin:recommendations_tastemap_map"),
        },
        page("Evaluations", "query_stats", "recommendations", "evaluation"),
        page("Offline tests of weights", "balance", "recommendations", "weighttrial"),
        page("Judgements of the feed", "gavel", "recommendations", "feedjudgement"),
        page("Event kinds", "tune", "recommendations", "eventkind"),
        page("Placements", "dashboard_customize", "recommendations", "placement"),
        page("Merchandising rules", "sell", "recommendations", "merchandisingrule"),
        page("Experiments", "science", "recommendations", "experiment"),
        page("Demo market", "grass", "recommendations", "seedrun"),
    ),
    group(
        "Webhooks",
        page("Endpoints", "webhook", "webhooks", "endpoint"),
        page("Deliveries", "outgoing_mail", "webhooks", "delivery"),
        filtered(page("Dead letters", "report", "webhooks", "delivery"), "status__exact=dead"),
    ),
    group(
        "Schedules and jobs",
        page("Schedules", "schedule", "django_celery_beat", "periodictask"),
        page("Job results", "task_alt", "django_celery_results", "taskresult"),
        page("Queues and workers", "stacks", "django_celery_results", "taskresult", to="task_queues"),
    ),
    group(
        "People",
        page("Users", "group", "accounts", "user"),
        page("Roles", "shield_person", "auth", "group"),
        page("API keys", "key", "accounts", "apikey"),
        page("Failed logins", "lock_clock", "accounts", "failedlogins"),
        page("Audit log", "history", "accounts", "auditentry"),
        filtered(page("Erasures and exports", "person_off", "accounts", "auditentry"), "action__in=erased,exported"),
    ),
]


def address_of(line: dict[str, Any], request: HttpRequest) -> str:
    """Path and query of a line, which may be computed for each request."""
    return str(line["link"](request) if callable(line["link"]) else line["link"])


def asks_all_of(request: HttpRequest, query: str) -> bool:
    """Whether a request has everything that a line's query asks for."""
    return all(request.GET.get(name) == value for name, value in parse_qsl(query))


def current_address(request: HttpRequest) -> str:
    """The address of the one line that a page belongs to, the longest that fits; '' where none does.

    Unfold by itself marks every line whose address is a part of the page's: two for a page below another's.
    """
    if not hasattr(request, "current_line_address"):
        index = str(reverse_lazy("admin:index"))
        addresses = [address_of(line, request) for group in NAVIGATION for line in group["items"]]
        split = [(address, *address.partition("?")[::2]) for address in addresses]
        fitting = [
            address
            for address, path, query in split
            if (request.path == path if path == index else request.path.startswith(path))
            and asks_all_of(request, query)
        ]
        request.current_line_address = max(fitting, key=len, default="")  # type: ignore[attr-defined] # kept for its lines
    return cast("str", request.current_line_address)  # type: ignore[attr-defined] # as above


def is_current(line: dict[str, Any]) -> Callable[[HttpRequest], bool]:
    return lambda request: address_of(line, request) == current_address(request)


for _group in NAVIGATION:
    for _line in _group["items"]:
        _line["active"] = is_current(_line)

UNFOLD = {
    "SITE_TITLE": "Forecourt",
    "SITE_HEADER": "Forecourt",
    "SITE_SUBHEADER": "Used-car recommendations",
    "SITE_SYMBOL": "garage_home",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("forecourt/favicon.svg")},
    ],
    "STYLES": [lambda request: static("forecourt/console.css")],
    "SCRIPTS": [lambda request: static("forecourt/access.js")],
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "ACCOUNT": {"navigation": "accounts.login.context.account_links"},
    "ENVIRONMENT": "console.site.environment_label",
    "DASHBOARD_CALLBACK": "console.dashboard.page.dashboard_callback",
    "SIDEBAR": {"show_search": True, "show_all_applications": True, "navigation": NAVIGATION},
    "COLORS": {
        "primary": {  # petrol; 600 and darker carry white text at more than 4.5 to 1
            "50": "oklch(97.5% .012 220)",
            "100": "oklch(94.5% .026 220)",
            "200": "oklch(89% .050 220)",
            "300": "oklch(81% .080 220)",
            "400": "oklch(71% .105 222)",
            "500": "oklch(60% .108 224)",
            "600": "oklch(51% .098 226)",
            "700": "oklch(44% .085 228)",
            "800": "oklch(38% .070 230)",
            "900": "oklch(33% .056 232)",
            "950": "oklch(24% .042 234)",
        },
    },
}
