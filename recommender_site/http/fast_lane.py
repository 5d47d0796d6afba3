"""A short way to the routes that are asked most, around Django's middleware.

``/infer`` and ``/batch``, ``/interact`` and ``/recs/…`` are asked thousands of times a second and need no session, no
user and no page; what they cost is mostly what surrounds them. Everything else, and these when they need a key, bring
one or a browser asks, goes the usual way and finds the same answer there. So does a page of another origin, where such
pages may call the API at all: which of them may is known to Django's middleware alone.
"""

import json
import logging
import select
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.signals import request_finished
from django.db import connections
from django.utils import translation
from psycopg import Connection
from rest_framework.exceptions import Throttled

from accounts.api.permissions import is_open
from accounts.api.throttles import OpenRouteThrottle, carried
from recommendations.api import feed
from recommendations.api.inference import answer_many, answer_one
from recommendations.telemetry import INFERENCE_SECONDS
from recommender_site.http.language import ACCEPT_LANGUAGE, language_asked_for
from recommender_site.http.security import DEPENDS_ON, PERSONAL
from web.errors import error_body, exception_handler
from web.parsers import JSONParser, LenientJSONParser
from web.tracing import HEADER, log_request, traced

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Answer = Callable[[], Any]
SPARE_CONNECTIONS = 3  # of a pool, for threads beside those that answer
INFERENCES = {"/infer": answer_one, "/batch": answer_many}
LENIENT, STRICT = LenientJSONParser(), JSONParser()
RECS = "/recs/"
VARY = ", ".join((ACCEPT_LANGUAGE, *DEPENDS_ON, "origin"))  # a cache keeps answers to other origins apart too

_keeps_connections = False


def keep_connections() -> None:
    """Let each thread keep its connection to the database from one question to the next.

    For a process whose threads stay the same as long as it lives, since a thread that ended would take its connection
    along. To take one from the pool, have it checked and give it back costs as much as the rest of a short question.
    Not where the pool is too small for a connection for each thread.
    """
    global _keeps_connections
    size = settings.DATABASE_POOL_SIZE
    _keeps_connections = size == 0 or size >= settings.WEB_THREADS + SPARE_CONNECTIONS


def with_fast_lane(application: Application) -> Application:
    """The application, with these routes answered before it is asked."""

    def serve(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer = None if is_of_a_browser(environ) else answer_to(environ)
        if answer is None:
            return application(environ, start_response)
        started_at = time.perf_counter()
        language = language_asked_for(environ.get("HTTP_ACCEPT_LANGUAGE", ""))
        with traced(environ) as request_id:
            with translation.override(language):
                status, body, headers = _respond(answer, environ)
            log_request(environ, status, started_at)
        content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(content))),
                ("X-Content-Type-Options", "nosniff"),
                ("Cache-Control", PERSONAL),
                ("Content-Language", language),
                ("Vary", VARY),
                (HEADER, request_id),
                *headers.items(),
            ],
        )
        return [content]

    return serve


def is_of_a_browser(environ: Environ) -> bool:
    """Whether a request wants a page, or the headers that a page of another origin needs."""
    has_guests = settings.CORS_ALLOW_ALL_ORIGINS or settings.CORS_ALLOWED_ORIGINS
    return "html" in environ.get("HTTP_ACCEPT", "") or bool(has_guests and "HTTP_ORIGIN" in environ)


def answer_to(environ: Environ) -> Answer | None:
    """What answers a request here; None for a request that goes the usual way."""
    if "HTTP_AUTHORIZATION" in environ or "HTTP_X_API_KEY" in environ:
        return None  # a key is checked, and has an allowance of its own
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if method == "GET" and path.startswith(RECS):
        return partial(_recs, environ) if len(path) > len(RECS) and is_open("FEED_NEEDS_KEY") else None
    if method != "POST":
        return None
    path = path.rstrip("/")
    if path == "/interact":
        return partial(_interact, environ) if is_open("FEED_NEEDS_KEY") else None
    if path in INFERENCES and is_open("INFERENCE_NEEDS_KEY"):
        return partial(_infer, INFERENCES[path], environ)
    return None


def _infer(answer: Callable[[Any, dict[str, str]], Any], environ: Environ) -> Any:
    with INFERENCE_SECONDS.time():
        parameters = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        return answer(_counted(environ, lambda: LENIENT.parse(environ["wsgi.input"])), parameters)


def _recs(environ: Environ) -> Any:
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="surrogateescape")  # as WSGI requires it to be read
    user_id = feed.user_id_in(path, environ.get("RAW_URI"))
    _counted(environ, lambda: None)
    return feed.timed("recs", lambda: feed.list_for(user_id))


def _interact(environ: Environ) -> Any:
    is_empty = environ.get("CONTENT_LENGTH") in ("", "0", None)  # which REST framework does not parse either
    return feed.timed(
        "interact",
        lambda: feed.interact(_counted(environ, lambda: {} if is_empty else STRICT.parse(environ["wsgi.input"]))),
    )


def _counted(environ: Environ, read: Callable[[], Any]) -> Any:
    """The body, once the allowance of the address has been spent on it; a body that cannot be read counts as one."""
    amount = 1
    try:
        data = read()
        amount = carried(data, feed.FeedView.carried_in)
    finally:
        throttle = OpenRouteThrottle()
        if throttle.rate is not None and not throttle.allows(throttle.key_of(environ), amount):
            raise Throttled(throttle.wait())
    return data


def _respond(answer: Answer, environ: Environ) -> tuple[int, Any, dict[str, str]]:
    keeps = False
    drop_closed_connections()
    try:
        body = answer()
        keeps = _keeps_connections
        return 200, body, {}
    except Exception as error:
        response = exception_handler(error, {})
        if response is None:
            logger.exception("%s failed", environ["PATH_INFO"])
            return 500, error_body(500), {}
        own = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return response.status_code, response.data, own
    finally:
        # gives connections back, as at the end of any request; /infer and /batch seldom need one
        if not keeps and any(
            connection.connection is not None for connection in connections.all(initialized_only=True)
        ):
            request_finished.send(sender=with_fast_lane)


def drop_closed_connections() -> None:
    """Close connections kept from an earlier question that the server has ended meanwhile; a new one is made then."""
    for connection in connections.all(initialized_only=True):
        if (
            connection.connection is not None
            and not connection.in_atomic_block
            and is_closed_by_peer(connection.connection)
        ):
            connection.close()


def is_closed_by_peer(driver: Connection) -> bool:
    """Whether the server has ended a connection that lay idle: then there is something to read on it, if only its end.

    Seen without a word to the server.
    """
    if driver.closed:
        return True
    waiting = select.poll()
    waiting.register(driver.fileno(), select.POLLIN)
    return bool(waiting.poll(0))
