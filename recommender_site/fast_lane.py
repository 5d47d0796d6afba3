"""A short way to the routes that are asked most, around Django's middleware.

``/infer`` and ``/batch``, ``/interact`` and ``/recs/…`` are asked thousands of times a second and need no session, no
user and no page; what they cost is mostly what surrounds them. Everything else, and these when they need a key or a
browser asks, goes the usual way and finds the same answer there.
"""

import json
import logging
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.signals import request_finished
from django.db import connections

from recommendations.api import feed
from recommendations.api.inference import answer_many, answer_one
from recommendations.telemetry import INFERENCE_SECONDS
from recommender_site.errors import error_body, exception_handler
from recommender_site.parsers import JSONParser, LenientJSONParser

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable], Iterable[bytes]]
Answer = Callable[[], Any]
INFERENCES = {"/infer": answer_one, "/batch": answer_many}
LENIENT, STRICT = LenientJSONParser(), JSONParser()
RECS = "/recs/"


def with_fast_lane(application: Application) -> Application:
    """The application, with these routes answered before it is asked."""

    def serve(environ: Environ, start_response: Callable) -> Iterable[bytes]:
        answer = None if "html" in environ.get("HTTP_ACCEPT", "") else answer_to(environ)
        if answer is None:
            return application(environ, start_response)
        status, body, headers = _respond(answer, environ)
        content = json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
        start_response(
            f"{status} {HTTPStatus(status).phrase}",
            [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(content))),
                ("X-Content-Type-Options", "nosniff"),
                *headers.items(),
            ],
        )
        return [content]

    return serve


def answer_to(environ: Environ) -> Answer | None:
    """What answers a request here; None for a request that goes the usual way."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if method == "GET" and path.startswith(RECS):
        return None if settings.FEED_NEEDS_KEY or len(path) == len(RECS) else partial(_recs, environ)
    if method != "POST":
        return None
    path = path.rstrip("/")
    if path == "/interact":
        return None if settings.FEED_NEEDS_KEY else partial(_interact, environ)
    if path in INFERENCES and not settings.INFERENCE_NEEDS_KEY:
        return partial(_infer, INFERENCES[path], environ)
    return None


def _infer(answer: Callable[[Any, dict[str, str]], Any], environ: Environ) -> Any:
    with INFERENCE_SECONDS.time():
        parameters = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        return answer(LENIENT.parse(environ["wsgi.input"]), parameters)


def _recs(environ: Environ) -> Any:
    path = environ["PATH_INFO"].encode("latin-1").decode(errors="surrogateescape")  # as WSGI wants it read
    user_id = feed.user_id_in(path, environ.get("RAW_URI"))
    return feed.timed("recs", lambda: feed.list_for(user_id))


def _interact(environ: Environ) -> Any:
    is_empty = environ.get("CONTENT_LENGTH") in ("", "0", None)  # which REST framework does not parse either
    return feed.timed("interact", lambda: feed.interact({} if is_empty else STRICT.parse(environ["wsgi.input"])))


def _respond(answer: Answer, environ: Environ) -> tuple[int, Any, dict[str, str]]:
    try:
        return 200, answer(), {}
    except Exception as error:
        response = exception_handler(error, {})
        if response is None:
            logger.exception("%s failed", environ["PATH_INFO"])
            return 500, error_body(500), {}
        own = {name: value for name, value in response.headers.items() if name != "Content-Type"}
        return response.status_code, response.data, own
    finally:
        # gives connections back, as at the end of any request; most questions here need none
        if any(connection.connection is not None for connection in connections.all(initialized_only=True)):
            request_finished.send(sender=with_fast_lane)
