"""Which pages of other origins may call the API from a browser (CORS): none, unless CORS_ALLOWED_ORIGINS names them.

Only the API: the admin and whatever else goes by cookies is never opened. Callers name themselves by header, so cookies
are not allowed along either. Around the whole application, since the fastest routes are answered before Django.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from web.errors import is_api_path

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ANYBODY = "*"
ALLOWED_METHODS = "GET, HEAD, POST, PATCH, DELETE, OPTIONS"
ALLOWED_HEADERS = "Accept, Authorization, Content-Type, X-Api-Key, X-Visitor-Key"
SHOWN_HEADERS = "Retry-After, Content-Disposition"
PREFLIGHT_SECONDS = 600  # for which a browser remembers the answer

Headers = list[tuple[str, str]]


def with_cross_origin(application: WSGIApplication, origins: Collection[str]) -> WSGIApplication:
    """The application, open to pages of some origins; the application itself where there are none."""
    if not origins:
        return application
    is_open = ANYBODY in origins

    def serve(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not is_api_path(environ["PATH_INFO"]):
            return application(environ, start_response)
        origin = environ.get("HTTP_ORIGIN", "")
        allowed = (ANYBODY if is_open else origin) if origin and (is_open or origin in origins) else ""
        if environ["REQUEST_METHOD"] == "OPTIONS" and origin and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ:
            start_response("204 No Content", preflight_headers(allowed))
            return []
        return application(environ, telling(start_response, allowed))

    return serve


def preflight_headers(allowed: str) -> Headers:
    """What a browser is told that asks before it asks; who is not allowed is told nothing."""
    headers = [("Vary", "Origin"), ("Content-Length", "0")]
    if allowed:
        headers += [
            ("Access-Control-Allow-Origin", allowed),
            ("Access-Control-Allow-Methods", ALLOWED_METHODS),
            ("Access-Control-Allow-Headers", ALLOWED_HEADERS),
            ("Access-Control-Max-Age", str(PREFLIGHT_SECONDS)),
        ]
    return headers


def telling(start_response: StartResponse, allowed: str) -> Callable:
    """A ``start_response`` that says who may read; that it depends on the origin is said to caches in any case."""

    def start(status: str, headers: Headers, *more: object) -> object:
        varied = [value for name, value in headers if name.lower() == "vary"]
        rest = [(name, value) for name, value in headers if name.lower() != "vary"]
        rest.append(("Vary", ", ".join([*varied, "Origin"])))
        if allowed:
            rest += [("Access-Control-Allow-Origin", allowed), ("Access-Control-Expose-Headers", SHOWN_HEADERS)]
        return start_response(status, rest, *more)  # type: ignore[arg-type]

    return start
