"""What keeps the site itself in order: it is swept, probed from end to end, and checked."""

from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts.login.attempts import forget_old_counts
from accounts.models import TokenFamily
from catalog.models import ListingChange
from jobs import outcomes, pulse, tracing  # noqa: F401 (they listen in every worker)
from jobs.limits import RETRY, SHORT
from jobs.work import resume_jobs
from recommendations.upkeep.consistency import check_data
from recommendations.upkeep.months import make_months
from recommendations.upkeep.probe import GOAL_SECONDS, look_at_probe, send_probe
from recommendations.upkeep.retention import remove_old_rows

FAILED_LOGINS_KEPT = timedelta(days=30)
CHANGES_KEPT = timedelta(hours=1)  # a window that slept for half of this loads itself anew


@shared_task(name="maintenance.resume_jobs", ignore_result=True, **SHORT)
def resume_jobs_task() -> None:
    """Hand jobs whose process died, or that the broker lost, to another worker; what is worked on is left alone."""
    resume_jobs(timezone.now())


@shared_task(name="maintenance.sweep_listing_changes", ignore_result=True, **SHORT, **RETRY)
def sweep_listing_changes_task() -> None:
    """Remove lines of the change log that every window has read."""
    ListingChange.objects.filter(changed_at__lt=timezone.now() - CHANGES_KEPT).delete()


@shared_task(name="maintenance.sweep_tokens", ignore_result=True, **SHORT, **RETRY)
def sweep_tokens_task() -> None:
    """Remove refresh tokens that have expired, with their revocations, and old counts of failed logins."""
    OutstandingToken.objects.filter(expires_at__lt=timezone.now()).delete()
    TokenFamily.objects.filter(expires_at__lt=timezone.now()).delete()
    forget_old_counts(FAILED_LOGINS_KEPT)


@shared_task(name="maintenance.probe_loop", ignore_result=True, **SHORT)
def probe_loop_task() -> None:
    """Send a probe through the product, and look when its effect is due; no worker waits meanwhile."""
    if settings.PROBE_THE_LOOP and (buyer_id := send_probe()) is not None:
        look_at_probe_task.apply_async(args=[buyer_id], countdown=GOAL_SECONDS)


@shared_task(name="maintenance.look_at_probe", ignore_result=True, **SHORT)
def look_at_probe_task(buyer_id: int) -> None:
    """Whether the effect came; a probe that was looked at already is left alone."""
    look_at_probe(buyer_id)


@shared_task(name="maintenance.check_data", ignore_result=True, soft_time_limit=600, time_limit=630)
def check_data_task() -> None:
    """Whether what is stored agrees with itself; metrics report what was found."""
    check_data()


@shared_task(name="maintenance.make_months", ignore_result=True, soft_time_limit=4800, time_limit=4830)
def make_months_task() -> None:
    """Keep events, impressions and lists by month, with parts made ahead; the next night finishes what is cut short."""
    make_months(timezone.now())


@shared_task(name="maintenance.remove_old_rows", ignore_result=True, soft_time_limit=4800, time_limit=4830)
def remove_old_rows_task() -> None:
    """Remove what is older than the settings KEEP_…_DAYS allow; what is cut short goes on in the next night."""
    remove_old_rows(now=timezone.now())
