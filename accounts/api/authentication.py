"""How a caller who is not a user shows who it is: a client system by its key, a guest by the key of its browser."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as CookieAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.tokens import Token

from accounts.login.two_factor import has_shown_enough
from accounts.models import ApiKey
from accounts.tokens import user_of

LAST_USE_IS_NOTED_EVERY = timedelta(minutes=1)  # a write per request would make every read a write
VISITOR_KEY = re.compile(r"[A-Za-z0-9_-]{16,64}")  # long enough not to be guessed, short enough for its column


class ClientSystem(AnonymousUser):
    """A caller with an API key: known, so authenticated, but not a user who could log in."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__()
        self.key = key

    @property
    def is_authenticated(self) -> bool:  # type: ignore[override]
        return True

    def __str__(self) -> str:
        return self.key.name


@dataclass(frozen=True)
class VisitorKey:
    """A long random value that a guest's browser made up: the caller that sends it is that guest."""

    value: str


class TokenAuthentication(JWTAuthentication):
    """``Authorization: Bearer …`` in any case: a user, for as long as their login by this token lasts."""

    def get_header(self, request: Request) -> Any:
        header: bytes | None = super().get_header(request)
        scheme, _space, token = (header or b"").strip().partition(b" ")
        return b"Bearer " + token.strip() if scheme.lower() == b"bearer" else header

    def get_user(self, validated_token: Token) -> Any:
        user = user_of(validated_token)
        if user is None:
            raise AuthenticationFailed(_("This token is over: log in again."))
        return user


class SessionAuthentication(CookieAuthentication):
    """A session of the site, once it has shown the second factor that its user has or must have."""

    def authenticate(self, request: Request) -> Any:
        found = super().authenticate(request)
        return found if found is None or has_shown_enough(request._request) else None


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Api-Key …`` or ``X-Api-Key: …``; the key becomes ``request.auth``.

    Keys are found by their hash, so how long the look-up takes reveals nothing about any other key.
    """

    keyword = "Api-Key"

    def authenticate(self, request: Request) -> tuple[ClientSystem, ApiKey] | None:
        secret = self._secret(request)
        if secret is None:
            return None
        key = ApiKey.objects.usable().filter(hashed_key=ApiKey.digest(secret)).first()
        if key is None:
            raise AuthenticationFailed(_("This API key is unknown, revoked or expired."))
        _note_use(key)
        return ClientSystem(key), key

    def authenticate_header(self, request: Request) -> str:
        return f'{self.keyword} realm="api"'

    def _secret(self, request: Request) -> str | None:
        scheme, _space, secret = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == self.keyword.lower():
            return secret.strip()
        return request.headers.get("X-Api-Key")


def _note_use(key: ApiKey) -> None:
    """Keep ``last_used_at`` right to the minute; of many requests at once, one writes."""
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USE_IS_NOTED_EVERY)
    if key.last_used_at is None or key.last_used_at < now - LAST_USE_IS_NOTED_EVERY:
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


class VisitorKeyAuthentication(BaseAuthentication):
    """``X-Visitor-Key: …``; a guest stays anonymous, and the key becomes ``request.auth``."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, VisitorKey] | None:
        value = request.headers.get("X-Visitor-Key")
        if value is None:
            return None
        if not VISITOR_KEY.fullmatch(value):
            raise AuthenticationFailed(_("X-Visitor-Key: 16 to 64 letters, digits, hyphens and underscores."))
        return AnonymousUser(), VisitorKey(value)

    def authenticate_header(self, request: Request) -> str:
        return 'Visitor-Key realm="api"'
