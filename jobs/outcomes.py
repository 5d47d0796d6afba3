"""How the last run of each schedule ended: kept in the cache, since most scheduled tasks leave no result behind.

Losing it costs a line of a page, which says “not known” until the next run.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from celery.signals import task_postrun, task_prerun
from django.core.cache import cache
from django.utils import timezone

KEPT_SECONDS = 40 * 86_400  # longer than any schedule of ours is apart
LONGEST_ERROR = 300
_started: dict[str, float] = {}  # of the tasks this process works on


@dataclass(frozen=True)
class Outcome:
    ended_at: datetime
    is_success: bool
    seconds: float
    error: str = ""


def key_of(schedule: str) -> str:
    return f"schedule-outcome:{quote(schedule, safe='')}"  # a key may hold no spaces


def schedule_of(task: Any) -> str:
    """The schedule that sent a task; empty when a person or an event did."""
    return getattr(getattr(task, "request", None), "periodic_task_name", None) or ""


@task_prerun.connect(dispatch_uid="tasks.note_start")
def note_start(task_id: str, task: Any, **kwargs: Any) -> None:
    if schedule_of(task):
        _started[task_id] = time.monotonic()


@task_postrun.connect(dispatch_uid="tasks.note_outcome")
def note_outcome(task_id: str, task: Any, retval: Any = None, state: str | None = None, **kwargs: Any) -> None:
    """One short write to the cache after each scheduled run."""
    if not (schedule := schedule_of(task)):
        return
    seconds = time.monotonic() - _started.pop(task_id, time.monotonic())
    error = "" if state == "SUCCESS" else f"{type(retval).__name__}: {retval}" if retval is not None else str(state)
    outcome = Outcome(timezone.now(), state == "SUCCESS", round(seconds, 2), error[:LONGEST_ERROR])
    cache.set(key_of(schedule), asdict(outcome), KEPT_SECONDS)


def outcomes_of(schedules: Iterable[str]) -> dict[str, Outcome]:
    """The last outcome of each schedule that has one, in one question to the cache."""
    names = list(schedules)
    found = cache.get_many([key_of(name) for name in names]) if names else {}
    return {name: Outcome(**found[key_of(name)]) for name in names if key_of(name) in found}
