"""The frame of the console for pages that are not the admin site's own."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest

from accounts.login.two_factor import OFF

OWN_ACCOUNT = "/admin/account/"


def frame(request: HttpRequest) -> dict[str, Any]:
    """A context processor: titles, colours and styles, for pages about one's own account."""
    return admin.site.each_context(request) if request.path.startswith(OWN_ACCOUNT) else {}


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    """The menu below one's name (``UNFOLD["ACCOUNT"]``)."""
    from django.urls import reverse

    user: Any = request.user
    password = [{"title": "Change password", "link": reverse("admin:password_change")}]
    factors = [{"title": "Second factor", "link": reverse("mfa_index")}]
    has_password = user.is_authenticated and user.has_usable_password()
    return (password if has_password else []) + (factors if settings.TWO_FACTOR != OFF else [])
