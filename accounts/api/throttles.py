"""How often one caller may call. Rates are settings (THROTTLE_…), counted in fixed windows in the cache.

REST framework's own throttles keep the time of every call in one cache entry, which at thousands of calls a minute
means reading and writing tens of kilobytes per request; a counter is one small command. While the cache is away, each
process counts for itself.

A request counts as many as it carries: a view with ``carried_in`` (fields that may hold a list) counts the entries.
What is left is noted on the request, and every answer says it (``recommender_site.http.allowance``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from accounts.models import ApiKey, User
from web.addresses import address_of, network_of
from web.tally import tally

if TYPE_CHECKING:  # REST framework loads this module while it loads its views
    from rest_framework.views import APIView

Page = Callable[..., HttpResponse]


@dataclass(frozen=True)
class Allowance:
    """How much a caller may ask: ``limit`` in ``window_seconds``, of which ``left`` for the next ``seconds``."""

    scope: str
    limit: int
    window_seconds: int
    left: int
    seconds: int


class CountingThrottle(SimpleRateThrottle):
    """At most ``num_requests`` in each window of ``duration`` seconds, the windows starting at whole multiples."""

    num_requests: int
    duration: int
    count: int  # of this window, the last request included where it was allowed
    is_exact = True  # over all processes; otherwise each may let through up to a hundredth of the allowance more

    def allow_request(self, request: Request, view: APIView) -> bool:
        if self.rate is None or (key := self.get_cache_key(request, view)) is None:
            return True
        amount, refusal = _amount_of(request, view)
        is_allowed = self.allows(key, amount)
        request._request.allowance = self.allowance()  # type: ignore[attr-defined]
        if is_allowed and refusal:
            raise refusal
        return is_allowed

    def allows(self, key: str, amount: int) -> bool:
        """Count ``amount`` and answer whether it was within the allowance; what is refused is not counted.

        More at once than the whole allowance is let through when nothing else was asked in this window, since it could
        never be otherwise.
        """
        self.now = self.timer()
        window = int(self.now // self.duration)
        step = 1 if self.is_exact else max(1, self.num_requests // 100)
        self.count = tally.add(key, window, amount, seconds=self.duration, step=step)
        if self.count <= self.num_requests or self.count == amount:
            return True
        self.count = tally.add(key, window, -amount, seconds=self.duration, step=step)
        return False

    def wait(self) -> float:
        """Seconds until the next window opens."""
        return self.duration - self.now % self.duration

    def allowance(self) -> Allowance:
        """As the request that was just counted leaves it."""
        left = max(0, self.num_requests - self.count)
        return Allowance(str(self.scope), self.num_requests, self.duration, left, max(1, round(self.wait())))


def _amount_of(request: Request, view: APIView) -> tuple[int, APIException | None]:
    """How many a request counts as, and why its body cannot be read: such a request counts as one."""
    names: tuple[str, ...] | None = getattr(view, "carried_in", None)
    if names is None or request.method in ("GET", "HEAD", "OPTIONS"):
        return 1, None
    try:
        return carried(request.data, names), None
    except APIException as refusal:
        return 1, refusal


def carried(data: object, names: tuple[str, ...] = ()) -> int:
    """The number of entries of a body: of the list it is, or of the longest list among the named fields; at least 1.

    A list may be written as a text with commas.
    """
    if isinstance(data, dict):
        return max([1, *(_length(data.get(name)) for name in names)])
    return max(1, len(data)) if isinstance(data, list) else 1


def _length(value: object) -> int:
    if isinstance(value, str):
        return value.count(",") + 1
    return len(value) if isinstance(value, list) else 1


class UserThrottle(CountingThrottle):
    """Each user for themselves; others are not counted here."""

    scope = "user"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return user_key(request.user) if isinstance(request.user, User) else None


def user_key(user: User) -> str:
    return f"throttle_user_{user.pk}"


class ApiKeyThrottle(CountingThrottle):
    """Each client system for itself; others are not counted here."""

    scope = "api_key"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return f"throttle_key_{request.auth.pk}" if isinstance(request.auth, ApiKey) else None


class GuestThrottle(CountingThrottle):
    """Every other caller by address: a visitor key costs nothing to make up, so it opens no allowance of its own."""

    scope = "guest"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        if isinstance(request.user, User) or isinstance(request.auth, ApiKey):
            return None
        return guest_key(request.META)


def guest_key(meta: Mapping[str, Any]) -> str:
    return f"throttle_guest_{network_of(address_of(meta))}"


class OpenRouteThrottle(CountingThrottle):
    """Callers without a key on a route that needs none, by address. Asked thousands of times a second: not exact."""

    scope = "open"
    is_exact = False

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        return None if isinstance(request.auth, ApiKey) else self.key_of(request.META)

    def key_of(self, meta: Mapping[str, Any]) -> str:
        """Of ``request.META`` or a WSGI environment."""
        return f"throttle_open_{network_of(address_of(meta))}"


def throttled_page(view: Page) -> Page:
    """A page that is no view of the API, counted with what its reader asks of the API: by user, or else by address."""

    @wraps(view)
    def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = getattr(request, "user", None)
        throttle: CountingThrottle = UserThrottle() if isinstance(user, User) else GuestThrottle()
        key = user_key(user) if isinstance(user, User) else guest_key(request.META)
        is_allowed = throttle.rate is None or throttle.allows(key, 1)
        if throttle.rate is not None:
            request.allowance = throttle.allowance()  # type: ignore[attr-defined]
        if is_allowed:
            return view(request, *args, **kwargs)
        seconds = max(1, round(throttle.wait()))
        text = gettext("Too many requests: try again in %(seconds)d seconds.") % {"seconds": seconds}
        return HttpResponse(f"{text}\n", "text/plain; charset=utf-8", 429, headers={"Retry-After": str(seconds)})

    return counted


CALLER_THROTTLES = [UserThrottle, ApiKeyThrottle, GuestThrottle]
OPEN_ROUTE_THROTTLES = [ApiKeyThrottle, OpenRouteThrottle]
