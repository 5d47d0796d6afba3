"""A schedule that does not run is late, and one that is off is counted as off; no other is either."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from jobs.timetable import SAVED_WITHIN, lateness

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
GRACE = SAVED_WITHIN.total_seconds()


@pytest.fixture(autouse=True)
def _no_others(db):
    PeriodicTask.objects.all().delete()


def schedule(last_run_at: datetime | None, *, minutes: int = 0, hour: int | None = None, **fields) -> None:
    if minutes:
        when = {"interval": IntervalSchedule.objects.get_or_create(every=minutes, period="minutes")[0]}
    else:
        when = {"crontab": CrontabSchedule.objects.get_or_create(minute="0", hour=str(hour), timezone="UTC")[0]}
    task = PeriodicTask.objects.create(name="It", task="maintenance.resume_jobs", **when, **fields)
    changed = {"date_changed": NOW - timedelta(days=1)}
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=last_run_at, **changed)


def ago(**how: float) -> datetime:
    return NOW - timedelta(**how)


@pytest.mark.parametrize(
    ("last_run_at", "overdue"),
    [(ago(minutes=1), 0), (ago(minutes=10), 0), (ago(minutes=10, seconds=GRACE + 5), 5), (ago(hours=1), 3000 - GRACE)],
)
def test_an_interval_is_late_once_it_has_passed(last_run_at, overdue):
    schedule(last_run_at, minutes=10)
    assert lateness(NOW)[0].overdue_seconds == pytest.approx(overdue, abs=0.1)


@pytest.mark.parametrize(
    ("last_run_at", "overdue"),
    [(ago(hours=2), 0), (ago(hours=25), 2 * 3600 - GRACE), (ago(hours=49), 26 * 3600 - GRACE)],
)
def test_a_time_of_day_is_late_from_that_time_on(last_run_at, overdue):
    schedule(last_run_at, hour=10)
    assert lateness(NOW)[0].overdue_seconds == pytest.approx(overdue, abs=1)


def test_one_that_never_ran_is_late_from_when_it_was_made():
    schedule(None, minutes=60)
    assert lateness(NOW)[0].overdue_seconds == pytest.approx(23 * 3600 - GRACE)


def test_one_that_begins_later_is_not_late():
    schedule(None, minutes=60, start_time=NOW + timedelta(hours=1))
    assert lateness(NOW)[0].overdue_seconds == 0


def test_one_that_is_off_is_not_late_but_off():
    schedule(ago(days=3), minutes=10, enabled=False)
    [found] = lateness(NOW)
    assert (found.overdue_seconds, found.off_seconds) == (0, 86_400)
