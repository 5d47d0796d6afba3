"""``RateLimit`` and ``RateLimit-Policy``: how much a caller may still ask, so that it can slow down before a refusal.

As draft-ietf-httpapi-ratelimit-headers has them.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


class AllowanceMiddleware:
    """Says in the answer what the throttle noted on the request. Where nothing is throttled, nothing is said."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if allowance := getattr(request, "allowance", None):
            name = f'"{allowance.scope}"'
            response.headers["RateLimit"] = f"{name};r={allowance.left};t={allowance.seconds}"
            response.headers["RateLimit-Policy"] = f"{name};q={allowance.limit};w={allowance.window_seconds}"
        return response
