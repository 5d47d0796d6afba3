"""Callers read what they wrote: after a write, what they read comes from the primary for a while, not from a replica.

A page of the console that changed something leaves a cookie that lives as long as a replica may be behind. Of a program
that wrote listings, the cache remembers the credential for as long; while the cache is away, every read counts as one
after a write. What buyers do is not looked for here: a list compares the buyer's log with the primary's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from math import ceil

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse

from web.paths import is_api_path
from web.replicas import are_watched, unless

COOKIE = "has_written"
STOCK = "/api/v1/listings"
SAFE = ("GET", "HEAD", "OPTIONS")
SPARE_SECONDS = 2  # between the write and the note of it


class OwnWritesMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not are_watched():
            return self.get_response(request)
        with unless(lambda: has_written(request)):  # lists are also asked for by POST
            response = self.get_response(request)
        if request.method not in SAFE:
            note_write(request, response)
        return response


def has_written(request: HttpRequest) -> bool:
    """Whether the caller wrote so lately that a replica may not have it yet."""
    if COOKIE in request.COOKIES:
        return True
    key = key_of(request)
    return key is not None and (cache.get(key) is not None or cache.breaker.is_open)  # type: ignore[attr-defined]


def note_write(request: HttpRequest, response: HttpResponse) -> None:
    seconds = ceil(settings.REPLICA_STALENESS_SECONDS) + SPARE_SECONDS
    if not is_api_path(request.path):
        response.set_cookie(
            COOKIE, "1", max_age=seconds, httponly=True, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
        )
    elif request.path.startswith(STOCK) and (key := key_of(request)):
        cache.set(key, 1, seconds)


def key_of(request: HttpRequest) -> str | None:
    """Names a credential without holding it; None for a caller without one, who writes no listing."""
    given = (
        request.headers.get("Authorization"),
        request.headers.get("X-Api-Key"),
        request.COOKIES.get(settings.SESSION_COOKIE_NAME),
    )
    if not any(given):
        return None
    return f"has-written:{hashlib.sha256(repr(given).encode()).hexdigest()[:32]}"
