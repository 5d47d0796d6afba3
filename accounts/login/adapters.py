"""What django-allauth asks us: who may, where to, and how secrets are kept."""

from __future__ import annotations

import secrets
from base64 import b32encode, urlsafe_b64encode
from functools import cache
from hashlib import sha256
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.login.backends import refusal_of
from accounts.login.two_factor import OFF
from accounts.models import User
from web.addresses import address_of

SILENT = "account/messages/logged_in.txt"  # who has just logged in knows


class AccountAdapter(DefaultAccountAdapter):
    """People are added by administrators; there is no sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *args: Any, **kw: Any
    ) -> None:
        if message_template != SILENT:
            super().add_message(request, level, message_template, *args, **kw)

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        messages.error(request, "This account is closed.")
        return redirect("admin:login")

    def get_client_ip(self, request: HttpRequest) -> str:
        return address_of(request.META)

    def reauthenticate(self, user: User, password: str) -> bool:
        """The password once more, before something about the account changes; counted as at every door."""
        request = context.request
        found = authenticate(request, username=user.email, password=password)
        if refusal := refusal_of(request):
            raise ValidationError(str(refusal), code="closed")
        return found is not None and found.pk == user.pk

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """Not of those who have nothing to show once more, because a provider logged them in."""
        can_show = bool(get_reauthentication_flows(context.request.user))
        return can_show and bool(super().is_reauthentication_required(app=app, **kwargs))


class FactorAdapter(DefaultMFAAdapter):
    """Second factors: their secrets are encrypted with the site's key, and while they are off none is asked for."""

    def is_mfa_enabled(self, user: Any, types: Any = None) -> bool:
        return settings.TWO_FACTOR != OFF and bool(super().is_mfa_enabled(user, types))

    def encrypt(self, text: str) -> str:
        return _cipher(settings.SECRET_KEY).encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Something new and random, which no code fits, when the site's key is another by now."""
        try:
            return _cipher(settings.SECRET_KEY).decrypt(encrypted_text.encode()).decode()
        except InvalidToken:
            return b32encode(secrets.token_bytes(20)).decode()


@cache
def _cipher(key: str) -> Fernet:
    return Fernet(urlsafe_b64encode(sha256(f"second factors {key}".encode()).digest()))
