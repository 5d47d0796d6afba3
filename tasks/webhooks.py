"""Celery tasks of webhooks."""

from celery import shared_task
from django.utils import timezone

from jobs.limits import RETRY
from webhooks import delivery

# A run ends by itself after delivery.RUN_SECONDS and the exchange that is under way then.
DELIVERY = {"soft_time_limit": 80, "time_limit": 85}


@shared_task(name="webhooks.deliver", ignore_result=True, **DELIVERY, **RETRY)
def deliver_task(endpoint_id: int) -> None:
    """Deliver what is due at an endpoint; free when another worker does."""
    delivery.deliver_to(endpoint_id)


@shared_task(
    name="webhooks.deliver_due",
    has_work=staticmethod(delivery.is_any_due),
    ignore_result=True,
    soft_time_limit=30,
    time_limit=45,
)
def deliver_due_task() -> None:
    """Enqueue the retries whose time has come, and what a lost task left."""
    delivery.deliver_due()


@shared_task(name="webhooks.sweep", ignore_result=True, soft_time_limit=600, time_limit=630, **RETRY)
def sweep_task() -> None:
    """Remove messages after their days."""
    delivery.sweep(timezone.now())
