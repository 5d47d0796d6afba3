"""What every page is protected by.

Content security policy: nothing from elsewhere, and inline scripts only where the admin cannot do without.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from web.paths import is_api_path

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

CHARSET = re.compile(r""";\s*charset\s*=\s*("[^"]*"|[^;]*)""", re.IGNORECASE)

NOTHING_FROM_ELSEWHERE = "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'self'"
# Photos of cars may live on their sellers' servers.
STRICT = f"{NOTHING_FROM_ELSEWHERE}; img-src 'self' data: https:"
# The one inline handler of the browsable API, its "Log out".
LOG_OUT = "'unsafe-hashes' 'sha256-tHTC1YgZ5UbAs8E2Ib4NjuSS8R05d1nfPHtbmXq05WA='"
# Swagger UI, ReDoc and the browsable API set styles inline; ReDoc searches in a worker made of a blob.
API = (
    f"{NOTHING_FROM_ELSEWHERE}; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    f"script-src 'self' {LOG_OUT}; worker-src 'self' blob:"
)
# Alpine.js evaluates expressions, and django-celery-beat's form carries an inline script.
ADMIN = f"{STRICT}; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
POLICY_BY_PREFIX = {"/admin/": ADMIN, "/api/": API}


class ContentSecurityPolicyMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", policy_for(request.path))
        return response


PERSONAL = "private, no-store"  # of Cache-Control
DEPENDS_ON = ("Authorization", "X-Api-Key", "X-Visitor-Key", "Cookie")
PERSONAL_PAGES = ("/admin/", "/shop/", "/alerts/")
SAME_FOR_EVERYONE = ("/api/docs", "/api/redoc", "/api/schema")


class PrivateAnswersMiddleware:
    """No cache between us and a caller keeps an answer of the API, or a page of the console
    or of the shop window, nor what a link in a message opens: it is about who asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        is_personal = is_api_path(request.path) or request.path.startswith(PERSONAL_PAGES)
        if is_personal and not request.path.startswith(SAME_FOR_EVERYONE):
            response.headers.setdefault("Cache-Control", PERSONAL)
            patch_vary_headers(response, DEPENDS_ON)
        return response


def policy_for(path: str) -> str:
    return next((policy for prefix, policy in POLICY_BY_PREFIX.items() if path.startswith(prefix)), STRICT)


def read_as_utf8(application: WSGIApplication) -> WSGIApplication:
    """Drop the charset of what is sent, so that Django reads all of it as UTF-8.

    Django would read the query string in that charset too, before any middleware runs; and as Python knows codecs
    that are no text encodings (``hex``, ``idna``), one header could crash any page.
    """

    def reading_utf8(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if content_type := environ.get("CONTENT_TYPE"):
            environ["CONTENT_TYPE"] = CHARSET.sub("", content_type)
        return application(environ, start_response)

    return reading_utf8
