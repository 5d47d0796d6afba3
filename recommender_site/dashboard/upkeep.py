"""What needs somebody: queues that grow, jobs that fail, data that is wrong."""

from __future__ import annotations

from datetime import datetime

from django_celery_results.models import TaskResult

from recommender_site.admin_kit import list_url
from recommender_site.dashboard.parts import DAY, Card


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
