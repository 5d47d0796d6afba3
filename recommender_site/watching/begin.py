"""Begin what the settings ask for, once in each process that answers requests or works on tasks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

MISSING = "{} is set, and pip install -r requirements-watching.txt brings what it needs ({})"


def begin_watching(service: str) -> None:
    """``service`` is what this process is called in traces: forecourt-web, forecourt-worker."""
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        begin_traces(service)
    if settings.SENTRY_DSN:
        begin_reports()


def begin_traces(service: str) -> None:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from recommender_site.watching import spans
    except ImportError as error:
        raise ImproperlyConfigured(MISSING.format("OTEL_EXPORTER_OTLP_ENDPOINT", error)) from error
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip("/")
    spans.begin(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")), service)


def begin_reports() -> None:
    try:
        from recommender_site.watching import errors
    except ImportError as error:
        raise ImproperlyConfigured(MISSING.format("SENTRY_DSN", error)) from error
    errors.begin(settings.SENTRY_DSN)


def with_watching(application: Any) -> Any:
    """The WSGI application, traced where the settings ask for it; otherwise itself."""
    begin_watching("forecourt-web")
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return application
    from recommender_site.watching.spans import with_spans

    return with_spans(application)
