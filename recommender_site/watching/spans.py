"""Traces by OpenTelemetry: a request, the tasks that it enqueues on whichever worker, and their statements of SQL.

With OTEL_EXPORTER_OTLP_ENDPOINT; without it, nothing of this is loaded. A span says what was done and how long it took,
and never about whom: routes in place of paths, the verb and table of a statement, kinds of errors. No bodies, queries,
ids, addresses, headers or messages, and of what a caller sends only the ids of its trace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from celery.signals import before_task_publish, task_failure, task_postrun, task_prerun
from django.db import connections
from django.db.backends.signals import connection_created
from django.http import HttpRequest, HttpResponse
from opentelemetry.context import attach, detach
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

CARRIER = "forecourt_trace"  # among the headers of a task
IN_ENVIRON = "forecourt.span"
FAST_ROUTES = ("recs/<user_id>", "interact", "infer", "batch")  # answered before Django finds a route
NOT_TRACED = ("/healthz", "/readyz", "/metrics")
TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE)\s+(?:ONLY\s+)?\"?([a-z_]+)\"?", re.IGNORECASE)
NAMED_GROUP = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)")
ANCHORS = re.compile(r"\^|\\Z|\\A|\$")
LAST_SLASH = re.compile(r"/\?$")
VERB = re.compile(r"\s*(\w+)")

_propagator = TraceContextTextMapPropagator()
_tracer: Tracer | None = None
_open: dict[str, tuple[Span, Any]] = {}  # by task id, of the tasks this process works on


def begin(processor: SpanProcessor, name: str = "forecourt") -> None:
    """Trace from here on, in this process and those that it forks.

    Args:
        processor: Takes the spans that ended.
        name: Of the service, where OTEL_SERVICE_NAME does not say another.
    """
    global _tracer
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(processor)
    _tracer = provider.get_tracer("forecourt")
    connection_created.connect(watch_connection, dispatch_uid="watching.sql")
    for each in connections.all(initialized_only=True):
        watch_connection(each)
    before_task_publish.connect(send_trace, dispatch_uid="watching.publish")
    task_prerun.connect(begin_task, dispatch_uid="watching.prerun")
    task_failure.connect(note_failure, dispatch_uid="watching.failure")
    task_postrun.connect(end_task, dispatch_uid="watching.postrun")


def end() -> None:
    """Trace no more; for tests."""
    global _tracer
    _tracer = None
    connection_created.disconnect(dispatch_uid="watching.sql")
    for each in connections.all(initialized_only=True):
        each.execute_wrappers[:] = [wrapper for wrapper in each.execute_wrappers if wrapper is not trace_sql]
    for signal, name in (
        (before_task_publish, "publish"), (task_prerun, "prerun"), (task_failure, "failure"), (task_postrun, "postrun"),
    ):  # fmt: skip
        signal.disconnect(dispatch_uid=f"watching.{name}")


# --- Requests --------------------------------------------------------------------------------------------------------
def with_spans(application: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """The application, with a span for each request but the probes'."""

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path, method = str(environ.get("PATH_INFO", "")), str(environ.get("REQUEST_METHOD", ""))
        if _tracer is None or path.rstrip("/") in NOT_TRACED:
            return application(environ, start_response)
        caller = _propagator.extract({"traceparent": environ.get("HTTP_TRACEPARENT", "")})
        facts = {"http.request.method": method}
        with _tracer.start_as_current_span(
            method, caller, SpanKind.SERVER, facts, record_exception=False, set_status_on_exception=False
        ) as span:
            name_span(span, method, fast_route_of(path))
            environ[IN_ENVIRON] = span

            def start(status: str, *rest: Any) -> Any:
                note_status(span, int(status[:3]))
                return start_response(status, *rest)

            return application(environ, start)

    return serve


def fast_route_of(path: str) -> str:
    first = path.strip("/").partition("/")[0]
    return next((route for route in FAST_ROUTES if route.partition("/")[0] == first), "")


def without_pattern(route: str) -> str:
    """A route as a person writes it: ``buyers/<pk>/export`` for the pattern that Django matches with."""
    for pattern, written in ((NAMED_GROUP, r"<\1>"), (ANCHORS, ""), (LAST_SLASH, "")):
        route = pattern.sub(written, route)
    return route.rstrip("/")


def name_span(span: Span, method: str, route: str) -> None:
    """By the route, which holds no ids; a path that no route has stays without a name."""
    if route:
        span.update_name(f"{method} /{route}")
        span.set_attribute("http.route", f"/{route}")


def note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)


class RouteMiddleware:
    """Gives the span of a request the name of the route that Django found."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        span, found = request.META.get(IN_ENVIRON), request.resolver_match
        if span is not None and found is not None:
            name_span(span, str(request.method), without_pattern(found.route))
        return response


# --- Tasks -----------------------------------------------------------------------------------------------------------
def send_trace(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    """The trace goes on in the task, whichever worker takes it."""
    if headers is not None and get_current_span().get_span_context().is_valid:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        headers.setdefault(CARRIER, carrier.get("traceparent", ""))


def begin_task(task_id: str, task: Any, **kwargs: Any) -> None:
    if _tracer is None:
        return
    caller = _propagator.extract({"traceparent": str(getattr(task.request, CARRIER, "") or "")})
    span = _tracer.start_span(f"task {task.name}", caller, SpanKind.CONSUMER, {"messaging.destination.name": task.name})
    _open[task_id] = span, attach(set_span_in_context(span))


def note_failure(task_id: str, exception: BaseException, **kwargs: Any) -> None:
    if entry := _open.get(task_id):
        note_error(entry[0], exception)


def end_task(task_id: str, **kwargs: Any) -> None:
    if entry := _open.pop(task_id, None):
        span, token = entry
        detach(token)
        span.end()


def note_error(span: Span, error: BaseException) -> None:
    """What kind of error; what it says may be about a person."""
    span.set_status(StatusCode.ERROR)
    span.set_attribute("error.type", type(error).__qualname__)


# --- Statements ------------------------------------------------------------------------------------------------------
def watch_connection(connection: Any, **kwargs: Any) -> None:
    if trace_sql not in connection.execute_wrappers:
        connection.execute_wrappers.append(trace_sql)


def trace_sql(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A span of a statement within a request or a task; beat and threads that ask all the time make no traces."""
    if _tracer is None or not get_current_span().is_recording():
        return execute(sql, params, many, context)
    with statement_span(_tracer, sql if isinstance(sql, str) else "", context["connection"].alias):
        return execute(sql, params, many, context)


@contextmanager
def statement_span(tracer: Tracer, sql: str, alias: str) -> Iterator[None]:
    verb, table = VERB.match(sql), TABLE.search(sql)
    facts = {"db.system.name": "postgresql", "db.namespace": alias}
    if verb:
        facts["db.operation.name"] = verb[1].upper()
    if table:
        facts["db.collection.name"] = table[1].lower()
    name = " ".join(facts[key] for key in ("db.operation.name", "db.collection.name") if key in facts) or "SQL"
    span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes=facts)
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except Exception as error:
            note_error(span, error)
            raise
