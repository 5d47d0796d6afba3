"""The admin site itself: its doors, as its pages are those of Unfold."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite


class ConsoleSite(UnfoldAdminSite):
    """Forms and views are imported where they are used: this is loaded before the models are."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff, who have shown a second factor where they have one or must have one."""
        from accounts.login.two_factor import has_shown_enough

        return super().has_permission(request) and has_shown_enough(request)

    @method_decorator(never_cache)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """As Django's, by the view and the form that every other door has too."""
        from accounts.login.forms import ConsoleLoginForm
        from accounts.login.views import PasswordLoginView

        if request.method == "GET" and self.has_permission(request):
            return redirect("admin:index")
        if request.method == "GET" and self._must_set_factor_up(request):
            messages.info(request, "Your account needs a second factor before the console opens. Set one up here.")
            return redirect("mfa_index")
        context = {
            **self.each_context(request),
            "title": "Log in",
            "subtitle": None,
            "app_path": request.get_full_path(),
            "username": request.user.get_username(),
            "sign_on_name": settings.OIDC_NAME if settings.OIDC_ISSUER else "",
            "can_reset": settings.SENDS_EMAIL,
            **(extra_context or {}),
        }
        if REDIRECT_FIELD_NAME not in {*request.GET, *request.POST}:
            context[REDIRECT_FIELD_NAME] = reverse("admin:index")
        request.current_app = self.name
        view = PasswordLoginView.as_view(
            extra_context=context, authentication_form=ConsoleLoginForm, template_name="admin/login.html"
        )
        return view(request)

    def _must_set_factor_up(self, request: HttpRequest) -> bool:
        from accounts.login.two_factor import must_set_one_up
        from accounts.models import User

        user = request.user
        return isinstance(user, User) and super().has_permission(request) and must_set_one_up(user)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        """As Unfold's, with the form that counts what is tried and writes into the audit log."""
        from accounts.login.forms import OwnPasswordForm

        request.current_app = self.name
        view = PasswordChangeView.as_view(
            form_class=partial(OwnPasswordForm, request=request),
            success_url=reverse("admin:password_change_done"),
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)
