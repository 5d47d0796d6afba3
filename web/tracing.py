"""The id of a request: taken from ``X-Request-ID`` or made here, on every line of the log, and in the answer.

It lives in a context variable for as long as the request is worked on, and is handed on with the tasks that the request
enqueues (``jobs.tracing``), so that one id finds everything that came of one request.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bound_contextvars, get_contextvars

logger = logging.getLogger("forecourt.requests")

HEADER = "X-Request-ID"
NOT_LOGGED = ("/healthz", "/readyz", "/metrics")  # asked every few seconds
PLAIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+/=@-]{0,127}")  # of a proxy or client; nothing that could forge a line


def request_id_in(environ: Mapping[str, Any]) -> str:
    """What the caller sent, where it is a plain id; otherwise a new one."""
    given = str(environ.get("HTTP_X_REQUEST_ID", ""))
    return given if PLAIN_ID.fullmatch(given) else uuid.uuid4().hex


def current_request_id() -> str:
    """Of the request that is worked on here, or whose task is; empty outside of any."""
    return str(get_contextvars().get("request_id", ""))


@contextmanager
def traced(environ: Mapping[str, Any]) -> Iterator[str]:
    """Everything logged inside carries the request's id."""
    request_id = request_id_in(environ)
    with bound_contextvars(request_id=request_id):
        yield request_id


def log_request(environ: Mapping[str, Any], status: int, started_at: float) -> None:
    """One line for a request that was answered, where LOG_REQUESTS asks for it; never its query, which is personal."""
    path = str(environ.get("PATH_INFO", ""))
    if settings.LOG_REQUESTS and path.rstrip("/") not in NOT_LOGGED:
        took_ms = round((time.perf_counter() - started_at) * 1000, 1)
        facts = {"method": environ.get("REQUEST_METHOD"), "path": path, "status": status, "duration_ms": took_ms}
        logger.info("%s %r %s in %s ms", *facts.values(), extra=facts)


class RequestIdMiddleware:
    """For what goes through Django; ``recommender_site.http.fast_lane`` does the same for what does not."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        started_at = time.perf_counter()
        with traced(request.META) as request_id:
            response = self.get_response(request)
            response[HEADER] = request_id
            log_request(request.META, response.status_code, started_at)
        return response
