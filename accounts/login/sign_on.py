"""Single sign-on by OpenID Connect, for staff: whom a provider's answer stands for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialApp, SocialLogin
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import Group
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from requests import RequestException

from accounts.models import User
from console.auditing import record

logger = logging.getLogger(__name__)
PROVIDER = "sso"  # in the address that the provider sends people back to


class SignOnAdapter(DefaultSocialAccountAdapter):
    """One provider, named by settings. There is no sign-up, and only staff come in."""

    def list_apps(self, request: HttpRequest | None, provider: Any = None, client_id: Any = None) -> list[SocialApp]:
        if not settings.OIDC_ISSUER or provider not in (None, PROVIDER, "openid_connect"):
            return []
        app = SocialApp(
            provider="openid_connect", provider_id=PROVIDER, name=settings.OIDC_NAME,
            client_id=settings.OIDC_CLIENT_ID, secret=settings.OIDC_CLIENT_SECRET,
            settings={"server_url": settings.OIDC_ISSUER.rstrip("/"), "oauth_pkce_enabled": True},
        )  # fmt: skip
        return [app] if client_id in (None, app.client_id) else []

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return False

    def on_authentication_error(self, request: HttpRequest, provider: Any, *args: Any, **kwargs: Any) -> None:
        _refuse(request, f"{settings.OIDC_NAME} did not work. Please try again.")

    def pre_social_login(self, request: HttpRequest, sociallogin: SocialLogin) -> None:
        """Find the account, connect it at the first sign-on, and refuse whatever is no login of staff."""
        if sociallogin.state.get("process") != "login":
            _refuse(request, "Accounts are connected by logging in.")
        if not sociallogin.is_existing:
            sociallogin.connect(request, _account_for(request, sociallogin))
        if not sociallogin.user.is_staff:
            _refuse(request, "This account may not use the console.")


def as_a_sentence(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """The same view, which sends people back to the login page when the provider answers nothing that can be used."""

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return view(request, *args, **kwargs)
        except (RequestException, KeyError, TypeError, ValueError) as problem:
            logger.error("the provider of single sign-on failed: %s", problem)
            messages.error(request, f"{settings.OIDC_NAME} did not work. Please try again.")
            return redirect("admin:login")

    return wrapped


def _account_for(request: HttpRequest, sociallogin: SocialLogin) -> User:
    """The account with the address that the provider vouches for, or a new one if a setting gives it a role."""
    address = next(iter(sociallogin.email_addresses), None)
    if address is None or not (address.verified or settings.OIDC_TRUSTS_EMAIL):
        _refuse(request, f"{settings.OIDC_NAME} does not say that your e-mail address is verified.")
    user = User.objects.filter(email__iexact=address.email).first()
    if user is not None and user.email.lower() == address.email.lower():
        if not user.is_staff:
            _refuse(request, "This account may not use the console.")
        return user
    if user is not None or not settings.OIDC_NEW_STAFF_ROLE:
        _refuse(request, "No account here has this e-mail address. An administrator can add you.")
    return _new_staff(address.email, sociallogin)


@transaction.atomic
def _new_staff(email: str, sociallogin: SocialLogin) -> User:
    names = {name: getattr(sociallogin.user, name, "")[:150] for name in ("first_name", "last_name")}
    user = User.objects.create_user(email, None, is_staff=True, **names)
    user.groups.add(Group.objects.get(name=settings.OIDC_NEW_STAFF_ROLE))
    record(by=user, action="added", target=user, note=f"By {settings.OIDC_NAME}, as {settings.OIDC_NEW_STAFF_ROLE}.")
    return user


def _refuse(request: HttpRequest, why: str) -> NoReturn:
    messages.error(request, why)
    raise ImmediateHttpResponse(redirect("admin:login"))
