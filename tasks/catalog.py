"""Celery tasks of the catalogue."""

from celery import shared_task
from django.utils import timezone

from catalog import news, quality, services
from catalog.imports import feeds, mending, uploads
from catalog.imports import jobs as import_jobs
from catalog.imports import undo as rollback
from jobs.limits import LONG, RETRY


@shared_task(name="catalog.expire_listings", ignore_result=True, soft_time_limit=300, time_limit=330, **RETRY)
def expire_listings_task() -> None:
    """End listings that have been for sale for longer than the site allows."""
    services.expire_listings(now=timezone.now())


@shared_task(name="catalog.import_file", **LONG)
def import_file_task(run_id: int) -> str:
    """Read an uploaded file into the catalogue, or only try to; resumes where a worker died."""
    return import_jobs.run_import(run_id=run_id)


@shared_task(name="catalog.run_feeds", ignore_result=True, soft_time_limit=120, time_limit=150, **RETRY)
def run_feeds_task() -> None:
    """Queue the feeds whose time has come, and write about those in trouble."""
    feeds.queue_due_feeds(now=timezone.now())
    feeds.send_alerts(now=timezone.now())


@shared_task(
    name="catalog.pass_on_news",
    has_work=staticmethod(news.is_any_waiting),
    ignore_result=True,
    soft_time_limit=60,
    time_limit=75,
    **RETRY,
)
def pass_on_news_task() -> None:
    """Pass on what happened to listings to webhooks and alerts."""
    news.pass_on_news()


@shared_task(name="catalog.import_mend", **LONG)
def import_mend_task(mend_id: int) -> str:
    """Read rows of an import again, after an operator mended them."""
    return mending.run_mend(mend_id=mend_id)


@shared_task(name="catalog.import_undo", **LONG)
def undo_import_task(undo_id: int) -> str:
    """Roll an import back."""
    return rollback.run_undo(undo_id=undo_id)


@shared_task(name="catalog.sweep_imports", ignore_result=True, soft_time_limit=300, time_limit=330, **RETRY)
def sweep_imports_task() -> None:
    """Remove uploaded files, and what imports did to single listings, after their time."""
    uploads.sweep_uploads(now=timezone.now())
    rollback.sweep_import_records(now=timezone.now())


@shared_task(name="catalog.measure_quality", soft_time_limit=600, time_limit=630)
def measure_quality_task(report_id: int) -> str:
    """Count what is missing, odd, double or stale in the stock."""
    return quality.run_report(report_id=report_id)


@shared_task(name="catalog.scheduled_quality", ignore_result=True, soft_time_limit=600, time_limit=630)
def scheduled_quality_task() -> None:
    """Count every night what is missing, odd, double or stale in the stock."""
    if report := quality.queue_report():
        quality.run_report(report_id=report.pk)
