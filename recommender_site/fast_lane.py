"""A short way to ``/infer`` and ``/batch`` that goes around Django's middleware.

The two routes are asked thousands of times a second and need no session, no user and no page; what they cost is mostly
what surrounds them. Everything else, and these two when they need a key or a browser asks, goes the usual way and finds
the same answer there.
"""

import json
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.core.signals import request_finished
from django.db import connections

from recommendations.api.inference import answer_many, answer_one
from recommendations.telemetry import INFERENCE_SECONDS
from recommender_site.errors import error_body, exception_handler
from recommender_site.parsers import LenientJSONParser

logger = logging.getLogger(__name__)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable], Iterable[bytes]]
ANSWERS = {"/infer": answer_one, "/batch": answer_many}
PARSER = LenientJSONParser()


def with_fast_lane(application: Application) -> Application:
    """The application, with the two routes answered before it is asked."""

    def serve(environ: Environ, start_response: Callable) -> Iterable[bytes]:
        answer = ANSWERS.get(environ["PATH_INFO"].rstrip("/")) if environ["REQUEST_METHOD"] == "POST" else None
        if answer is None or settings.INFERENCE_NEEDS_KEY or "html" in environ.get("HTTP_ACCEPT", ""):
            return application(environ, start_response)
        with INFERENCE_SECONDS.time():
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


def _respond(answer: Callable[[Any, dict[str, str]], Any], environ: Environ) -> tuple[int, Any, dict[str, str]]:
    try:
        parameters = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        return 200, answer(PARSER.parse(environ["wsgi.input"]), parameters), {}
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
