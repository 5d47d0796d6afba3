"""Sweeping: what is only needed for a while is removed after it."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from catalog.models import ListingChange
from tasks.options import RETRY, SHORT

CHANGES_KEPT = timedelta(hours=1)  # a window that slept for half of this loads itself anew


@shared_task(name="maintenance.sweep_listing_changes", ignore_result=True, **SHORT, **RETRY)
def sweep_listing_changes_task() -> None:
    """Remove lines of the change log that every window has read."""
    ListingChange.objects.filter(changed_at__lt=timezone.now() - CHANGES_KEPT).delete()


@shared_task(name="maintenance.sweep_tokens", ignore_result=True, **SHORT, **RETRY)
def sweep_tokens_task() -> None:
    """Remove refresh tokens that have expired, with their revocations."""
    OutstandingToken.objects.filter(expires_at__lt=timezone.now()).delete()
