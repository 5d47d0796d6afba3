"""A request, the tasks it enqueues and their SQL make one trace, errors are reported, and neither says about whom."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging, task_postrun
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.wsgi import WSGIHandler
from django.db import ProgrammingError, connection, connections, transaction

from jobs import queue
from recommender_site.celery import app
from recommender_site.http.fast_lane import with_fast_lane
from recommender_site.watching.begin import begin_watching, with_watching
from tests.factories import BuyerFactory, ListingFactory, RankerVersionFactory

pytest.importorskip("opentelemetry.sdk.trace", reason="pip install -r requirements-watching.txt")
sentry_sdk = pytest.importorskip("sentry_sdk", reason="pip install -r requirements-watching.txt")

from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter  # noqa: E402
from sentry_sdk.transport import Transport  # noqa: E402

from recommender_site import watching  # noqa: E402
from recommender_site.watching import errors, spans  # noqa: E402

PERSONAL, VISITOR, EVENT_ID = "eve@example.com", "the-browser-of-eve", "eve-likes-a-car"
TASK = "task recommendations.refresh_preferences"
TRACE = uuid.uuid4().hex  # tasks of earlier runs may be handed out again


@pytest.fixture
def exported(settings) -> Iterator[InMemorySpanExporter]:
    settings.MIDDLEWARE = ["recommender_site.watching.spans.RouteMiddleware", *settings.MIDDLEWARE]
    exporter = InMemorySpanExporter()
    spans.begin(SimpleSpanProcessor(exporter))
    yield exporter
    spans.end()


def ask(path: str, body: object = None, **headers: str) -> int:
    """A request through the application that gunicorn serves; its status."""
    content = b"" if body is None else json.dumps(body).encode()
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": "GET" if body is None else "POST", "PATH_INFO": path, "QUERY_STRING": query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(content),
        "wsgi.errors": io.StringIO(), "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True,
        "wsgi.run_once": False, "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(content)),
        "REMOTE_ADDR": "203.0.113.9", **headers,
    }  # fmt: skip
    answered: list[str] = []
    application = spans.with_spans(with_fast_lane(WSGIHandler()))
    b"".join(application(environ, lambda status, *rest: answered.append(status)))
    return int(answered[0][:3])


def said(exported: InMemorySpanExporter) -> str:
    return " ".join(span.to_json() for span in exported.get_finished_spans())


def named(exported: InMemorySpanExporter, name: str) -> list[Any]:
    return [span for span in exported.get_finished_spans() if span.name.startswith(name)]


def wait_for(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- Traces ----------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_request_its_task_on_a_worker_and_their_statements_are_one_trace_without_persons(exported):
    RankerVersionFactory(live=True)
    car = ListingFactory()
    app.control.purge()  # what these asked for is no part of it
    queue.breaker.close()
    event = {"kind": "view", "listing_id": car.pk, "event_id": EVENT_ID}
    status = ask(
        "/api/v1/events", {"events": [event]}, HTTP_X_VISITOR_KEY=VISITOR,
        HTTP_TRACEPARENT=f"00-{TRACE}-b7ad6b7169203331-01", HTTP_USER_AGENT=PERSONAL, HTTP_BAGGAGE=f"who={PERSONAL}",
    )  # fmt: skip
    assert status == 201
    setup_logging.connect(leave_logging_alone)
    task_postrun.connect(close_connections)
    with start_worker(app, pool="solo", perform_ping_check=False, queues=list(settings.QUEUES)):
        wait_for(lambda: [span for span in named(exported, TASK) if f"{span.context.trace_id:032x}" == TRACE])
    task_postrun.disconnect(close_connections)
    setup_logging.disconnect(leave_logging_alone)
    [request] = named(exported, "POST")
    [task] = [span for span in named(exported, TASK) if span.context.trace_id == request.context.trace_id]
    assert task.parent.span_id == request.context.span_id
    assert request.name == "POST /api/v1/events"
    assert f"{request.context.trace_id:032x}" == TRACE
    assert request.attributes["http.response.status_code"] == 201
    parents = {span.parent.span_id for span in named(exported, "SELECT")}
    assert parents >= {request.context.span_id, task.context.span_id}
    assert any(
        span.attributes["db.collection.name"] == "recommendations_interaction" for span in named(exported, "INSERT")
    )
    assert not [secret for secret in (PERSONAL, VISITOR, EVENT_ID) if secret in said(exported)]
    assert "203.0.113.9" not in said(exported)


def leave_logging_alone(**kwargs) -> None:
    """With a receiver connected to the signal, Celery does not set logging up by itself."""


def close_connections(**kwargs) -> None:
    connections.close_all()  # of the worker's thread, or the test database could not be dropped


@pytest.mark.django_db
@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/api/v1/cars/detail/990000001", "GET /api/v1/cars/detail/<"),
        (f"/recs/{PERSONAL}", "GET /recs/<user_id>"),
        (f"/api/v1/cars/search?q={PERSONAL}", "GET /api/v1/cars/search"),
        (f"/there/is/no/{PERSONAL}", "GET"),
        (f"/api/v1/buyers/{PERSONAL}/export", "GET /api/v1/buyers/<"),
    ],
)
def test_a_span_is_named_after_the_route_and_never_the_path(exported, path, name):
    ask(path)
    [request] = [span for span in exported.get_finished_spans() if "http.request.method" in span.attributes]
    assert request.name.startswith(name)
    assert not set("^$?\\") & set(request.name)
    assert PERSONAL not in said(exported)
    assert "990000001" not in said(exported)


@pytest.mark.django_db
@pytest.mark.usefixtures("one_connection")
def test_probes_and_what_no_request_asks_make_no_spans(exported):
    ask("/healthz")
    BuyerFactory()
    assert exported.get_finished_spans() == ()


@pytest.mark.django_db
@pytest.mark.usefixtures("one_connection")
def test_an_error_is_known_by_its_kind_alone(exported, monkeypatch):
    monkeypatch.setattr("recommendations.api.cars.DetailView.get", fail)
    assert ask("/api/v1/cars/detail/1", HTTP_X_VISITOR_KEY=VISITOR) == 500
    [statement] = [span for span in exported.get_finished_spans() if span.attributes.get("error.type")]
    assert statement.attributes["error.type"] == "ProgrammingError"
    assert not statement.events
    assert PERSONAL not in said(exported)


def fail(*args: object, **kwargs: object) -> None:
    who = PERSONAL
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT no_such_column FROM accounts_buyer WHERE external_id = %s", [who])
    except ProgrammingError:
        raise RuntimeError(who) from None


def test_nothing_is_loaded_without_the_settings(settings):
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = settings.SENTRY_DSN = ""
    application = object()
    assert with_watching(application) is application
    names = ["recommender_site.watching.spans", "recommender_site.watching.errors", "opentelemetry", "sentry_sdk"]
    code = f"import sys, recommender_site.watching.begin; sys.exit(not set(sys.modules).isdisjoint({names}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- Errors ----------------------------------------------------------------------------------------------------------
class Kept(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.reports: list[dict] = []

    def capture_envelope(self, envelope) -> None:
        self.reports += [item.payload.json for item in envelope.items if item.payload.json]


@pytest.fixture
def reports() -> Iterator[list[dict]]:
    kept = Kept()
    errors.begin("https://key@sentry.example.com/1", transport=kept)
    yield kept.reports
    sentry_sdk.get_client().close()
    sentry_sdk.init()


@pytest.mark.django_db
@pytest.mark.usefixtures("one_connection")
def test_an_error_of_a_request_is_reported_without_persons(reports, monkeypatch):
    monkeypatch.setattr("recommendations.api.cars.DetailView.get", fail)
    assert ask("/api/v1/cars/detail/1", HTTP_X_VISITOR_KEY=VISITOR, HTTP_COOKIE=f"a={PERSONAL}") == 500
    [report] = [each for each in reports if "exception" in each]
    assert [each["type"] for each in report["exception"]["values"]][-1] == "RuntimeError"
    assert report["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"]
    assert "detail" in report["transaction"]
    assert PERSONAL not in json.dumps(reports)
    assert VISITOR not in json.dumps(reports)
    assert "203.0.113.9" not in json.dumps(reports)


def test_an_error_of_a_task_is_reported_without_its_arguments(reports):
    @app.task(name="tests.failing")
    def failing(who: str) -> None:
        raise ValueError(who)

    failing.apply(args=[PERSONAL])
    [report] = [each for each in reports if "exception" in each]
    assert report["exception"]["values"][-1]["type"] == "ValueError"
    assert report["transaction"] == "tests.failing"
    assert PERSONAL not in json.dumps(reports)
    app.tasks.pop("tests.failing")


def test_a_line_of_the_log_is_no_report(reports):
    logging.getLogger("forecourt").error("%s did something", PERSONAL)
    assert reports == []


# --- Missing packages ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "SENTRY_DSN"])
def test_a_setting_without_its_packages_says_what_to_install(settings, monkeypatch, name):
    setattr(settings, name, "https://key@collector.example.com/1")
    for module in ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "recommender_site.watching.errors"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delattr(watching, "errors")
    with pytest.raises(ImproperlyConfigured, match="requirements-watching"):
        begin_watching("forecourt-web")
