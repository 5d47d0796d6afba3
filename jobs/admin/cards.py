"""What needs an operator: queues that grow, jobs that fail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django_celery_results.models import TaskResult

from console.dashboard.cards import DAY, Card
from console.dashboard.registry import list_running_jobs, show
from console.formats import NONE, list_url, page_of
from console.site import may_see
from jobs.admin.base import percent
from jobs.broker import queue_depths
from jobs.work import job_models

LONG_QUEUE = 100  # tasks that wait; a worker takes some hundreds a second of the short ones


def queue_card() -> Card:
    """How much work waits for a worker, queue by queue."""
    depths = queue_depths()
    if depths is None:
        return Card(
            "Work in the queues",
            NONE,
            "The broker does not answer. Lists stay right meanwhile: reads catch up by themselves.",
            reverse("admin:task_queues"),
            TaskResult,
            is_alert=True,
        )
    n_waiting = sum(depths.values())
    by_queue = ", ".join(f"{name.rpartition('.')[2]} {n:,}" for name, n in depths.items())
    return Card(
        "Work in the queues",
        f"{n_waiting:,}",
        f"tasks that wait for a worker ({by_queue})",
        reverse("admin:task_queues"),
        TaskResult,
        is_alert=n_waiting > LONG_QUEUE,
    )


def failures_card(now: datetime) -> Card:
    n_failed = TaskResult.objects.filter(status="FAILURE", date_done__gte=now - DAY).count()
    return Card(
        "Failed jobs, last 24 hours",
        f"{n_failed:,}",
        "background tasks that ended with an error",
        list_url(TaskResult, status__exact="FAILURE"),
        TaskResult,
        is_alert=n_failed > 0,
    )


@show(order=50)
def work(now: datetime) -> Iterator[Card]:
    yield queue_card()
    yield failures_card(now)


@list_running_jobs
def running_jobs(request: HttpRequest) -> list[dict[str, Any]]:
    """Jobs that are queued or at work, never older than this very request; at most three of a kind."""
    jobs: list[Any] = []
    for model in job_models():
        if may_see(model._meta.app_label, str(model._meta.model_name))(request):
            jobs += model._default_manager.all().unfinished().order_by("-pk")[:3]
    return [{"name": str(job), "href": page_of(job), "step": job.step, "percent": percent(job)} for job in jobs]
