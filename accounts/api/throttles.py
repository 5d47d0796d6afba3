"""How often one caller may call. Rates are settings (THROTTLE_…), counted in fixed windows in the cache.

REST framework's own throttles keep the time of every call in one cache entry, which at thousands of calls a minute
means reading and writing tens of kilobytes per request; a counter is one small command. When the cache is gone,
nobody is throttled: a busy site is better than a closed one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts.models import ApiKey, User

if TYPE_CHECKING:  # REST framework loads this module while it loads its views
    from rest_framework.views import APIView


class CountingThrottle(SimpleRateThrottle):
    """At most ``num_requests`` in each window of ``duration`` seconds, the windows starting at whole multiples."""

    num_requests: int
    duration: int

    def allow_request(self, request: Request, view: APIView) -> bool:
        if self.rate is None or (key := self.get_cache_key(request, view)) is None:
            return True
        self.now = self.timer()
        window = int(self.now // self.duration)
        count = self.cache.count(f"{key}_{window}", timeout=self.duration + 1)  # type: ignore[attr-defined]  # our own
        return count <= self.num_requests

    def wait(self) -> float:
        """Seconds until the next window opens."""
        return self.duration - self.now % self.duration


class UserThrottle(CountingThrottle):
    """Each user for themselves; others are not counted here."""

    scope = "user"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return f"throttle_user_{request.user.pk}" if isinstance(request.user, User) else None


class ApiKeyThrottle(CountingThrottle):
    """Each client system for itself; others are not counted here."""

    scope = "api_key"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return f"throttle_key_{request.auth.pk}" if isinstance(request.auth, ApiKey) else None


class GuestThrottle(CountingThrottle):
    """Everybody else by address: a visitor key costs nothing to make up, so it opens no allowance of its own."""

    scope = "guest"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        if isinstance(request.user, User) or isinstance(request.auth, ApiKey):
            return None
        return f"throttle_guest_{self.get_ident(request)}"


class LoginThrottle(CountingThrottle):
    """Attempts on one account from one address, so that passwords cannot be tried through."""

    scope = "login"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        email = request.data.get("email") if isinstance(request.data, dict) else None
        account = sha256(str(email).strip().lower().encode(errors="replace")).hexdigest()[:16]
        return f"throttle_login_{self.get_ident(request)}_{account}"


CALLER_THROTTLES = [UserThrottle, ApiKeyThrottle, GuestThrottle]
