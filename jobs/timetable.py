"""Schedules that do not run when they should: beat is away, or an operator switched them off and forgot it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django_celery_beat.models import PeriodicTask

SAVED_WITHIN = timedelta(minutes=1)  # beat has written down what it has sent


@dataclass(frozen=True)
class Lateness:
    """One schedule: how long ago it should have run, and how long it has been switched off; 0 for neither."""

    name: str
    overdue_seconds: float
    off_seconds: float


def lateness(now: datetime) -> list[Lateness]:
    """Of every schedule with an interval or a time of day, by name. One of a single time cannot be late."""
    schedules = PeriodicTask.objects.filter(one_off=False).select_related("interval", "crontab").order_by("name")
    return [
        Lateness(
            task.name,
            overdue_seconds(task, now) if task.enabled else 0.0,
            0.0 if task.enabled else max((now - task.date_changed).total_seconds(), 0.0),
        )
        for task in schedules
        if task.interval or task.crontab
    ]


def overdue_seconds(task: PeriodicTask, now: datetime) -> float:
    """Since it should have run again; what beat may not have written down yet is given away."""
    if task.start_time and task.start_time > now:
        return 0.0
    last = max(filter(None, [task.last_run_at, task.start_time]), default=task.date_changed)
    return max((now - due_after(task, last) - SAVED_WITHIN).total_seconds(), 0.0)


def due_after(task: PeriodicTask, last: datetime) -> datetime:
    """When it should run next after a run at that time."""
    if task.interval:
        after_interval: datetime = last + task.schedule.run_every
        return after_interval
    start, until_then, _ = task.schedule.remaining_delta(last)
    due: datetime = start + until_then
    return due
