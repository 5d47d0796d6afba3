"""Reports of errors to Sentry: their kind, the place in our code, the route or task, and nothing about anyone.

With SENTRY_DSN; without it, nothing of this is loaded. What an exception says, what a request held, variables and log
lines may be about a person and stay here: the log has them under the id of the request, which the report names.
"""

from __future__ import annotations

import re
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.celery import CeleryIntegration
from sentry_sdk.integrations.django import DjangoIntegration

from web.tracing import current_request_id

KEPT = (
    "event_id", "timestamp", "platform", "level", "logger", "release", "environment", "sdk", "modules", "exception",
    "transaction", "transaction_info",
)  # fmt: skip
KEPT_OF_FRAME = (
    "filename",
    "abs_path",
    "function",
    "module",
    "lineno",
    "in_app",
    "pre_context",
    "context_line",
    "post_context",
)
KNOWN_NAMES = ("route", "task")  # transactions named after our code rather than after a path
OUR_ID = re.compile(r"[0-9a-f]{32}")  # a caller's own may be anything


def begin(dsn: str, **options: Any) -> None:
    """Report from here on; ``options`` are Sentry's own, which win."""
    given: dict[str, Any] = {
        "dsn": dsn,
        "integrations": [DjangoIntegration(transaction_style="url", middleware_spans=False), CeleryIntegration()],
        "auto_enabling_integrations": False,
        "send_default_pii": False,
        "max_request_body_size": "never",
        "include_local_variables": False,
        "max_breadcrumbs": 0,
        "before_send": without_persons,
    }
    sentry_sdk.init(**given | options)


def without_persons(event: Any, hint: dict[str, Any]) -> Any:
    """What is kept of a report; a line of the log that is no exception is not reported."""
    if "exception" not in event:
        return None
    kept = {name: event[name] for name in KEPT if name in event}
    kept["exception"] = {"values": [bare_exception(each) for each in event["exception"].get("values") or ()]}
    if (kept.get("transaction_info") or {}).get("source") not in KNOWN_NAMES:
        kept.pop("transaction", None)
    if OUR_ID.fullmatch(request_id := current_request_id()):
        kept["tags"] = {"request_id": request_id}
    return kept


def bare_exception(exception: dict[str, Any]) -> dict[str, Any]:
    frames = (exception.get("stacktrace") or {}).get("frames") or ()
    bare = [{name: frame[name] for name in KEPT_OF_FRAME if name in frame} for frame in frames]
    return {"type": exception.get("type"), "module": exception.get("module"), "stacktrace": {"frames": bare}}
