"""Background doors onto the catalogue."""

from celery import shared_task
from django.utils import timezone

from catalog import services
from tasks.options import RETRY


@shared_task(name="catalog.expire_listings", ignore_result=True, soft_time_limit=300, time_limit=330, **RETRY)
def expire_listings_task() -> None:
    """End listings that have been for sale for longer than the site allows."""
    services.expire_listings(now=timezone.now())
