"""What needs somebody: queues that grow, jobs that fail, data that is wrong."""

from __future__ import annotations

from datetime import datetime

from django.urls import reverse
from django.utils.html import format_html
from django_celery_results.models import TaskResult

from catalog.models import QualityReport
from catalog.quality import warnings
from recommender_site.admin_kit import NONE, list_url
from recommender_site.dashboard.parts import DAY, Card, Panel
from tasks.queueing import queue_depths

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
    told = ", ".join(f"{name.rpartition('.')[2]} {n:,}" for name, n in depths.items())
    return Card(
        "Work in the queues",
        f"{n_waiting:,}",
        f"tasks that wait for a worker ({told})",
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


def quality_panel() -> Panel:
    rows = tuple(
        (format_html('<a class="text-link" href="{}">{}</a>', warning.url, warning.title), warning.figure, warning.note)
        for warning in warnings()
    )
    return Panel(
        "What is wrong with the stock",
        "Checks of the data that found more than is usual; each leads to its listings.",
        QualityReport,
        ("Check", "Listings", "Why it matters"),
        rows,
        empty=format_html(
            'Nothing stands out. <a class="text-link" href="{}">The whole report</a>', reverse("admin:catalog_quality")
        ),
    )
