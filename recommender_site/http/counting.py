"""Counting requests with a bounded number of series."""

from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django_prometheus.middleware import PrometheusAfterMiddleware


class BoundedPrometheusMiddleware(PrometheusAfterMiddleware):
    """django-prometheus labels its latencies with the method as it was sent: each invented one would be a series."""

    def label_metric(
        self, metric: Any, request: HttpRequest, response: HttpResponseBase | None = None, **labels: Any
    ) -> Any:
        if "method" in labels:
            labels["method"] = self._method(request)
        return super().label_metric(metric, request, response, **labels)
