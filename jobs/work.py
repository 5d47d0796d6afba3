"""The life of a job: queued, claimed by one process at a time, kept alive, cancelled, and resumed after a crash.

A claim gives a job a new attempt number. Everything a process writes to the row is conditional on that number, so that
one which was taken for dead and comes back (a paused machine, a long swap) changes nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from textwrap import shorten
from typing import Any, Generic, TypeVar, cast

from celery.exceptions import SoftTimeLimitExceeded
from django.apps import apps
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from jobs.models import MAX_CRASHES, Job
from jobs.queue import enqueue

logger = logging.getLogger(__name__)
Status = Job.Status
JobT = TypeVar("JobT", bound=Job)

HEARTBEAT_SECONDS = 20.0
LONGEST_STEP = 120  # characters
CRASHED_TOO_OFTEN = f"Its process died {MAX_CRASHES} times, so it was not begun again. Was memory short?"
CRASHED = "Its process died, and no worker can begin it again: start it anew."
TOOK_TOO_LONG = "It was asked to stop, or took longer than a job may."


class JobCancelled(Exception):
    """The job is not wanted any more, or another process has taken it: stop, and write nothing."""


class Attempt(Generic[JobT]):
    """One process's hold on a job: the only way to write to its row while it runs."""

    def __init__(self, job: JobT) -> None:
        self.job, self.number = job, job.attempt

    def row(self) -> QuerySet[Any]:
        """The row while this attempt holds it; no row afterwards."""
        return type(self.job)._default_manager.filter(pk=self.job.pk, status=Status.RUNNING, attempt=self.number)

    def write(self, **values: Any) -> None:
        """Write to the row, with a sign of life. Raises JobCancelled where this attempt holds it no more."""
        if not self.row().update(heartbeat_at=timezone.now(), **values):
            raise JobCancelled("cancelled")

    def report(self, share: float, step: str, **values: Any) -> None:
        """Say how far the job is, from 0 to 1, and what is being done. Raises JobCancelled as ``write`` does."""
        self.write(progress=share, step=shorten(step, LONGEST_STEP, placeholder=" …"), **values)

    def finish(self, **values: Any) -> None:
        """The job is done, and this is what came of it; in a transaction, it is done with all else or not at all."""
        ended = {"status": Status.DONE, "progress": 1, "step": "", "error": "", "finished_at": timezone.now()}
        self.write(**(ended | values))


def claim(model: type[JobT], job_id: int) -> Attempt[JobT] | None:
    """Take a queued job, or one whose process is taken for dead; None for one that is held, or has ended."""
    now = timezone.now()
    with transaction.atomic():
        job = model._default_manager.filter(pk=job_id).free(now).select_for_update().first()
        if job is None:
            return None
        job.n_died += job.status == Status.RUNNING
        job.status, job.attempt, job.error = Status.RUNNING, job.attempt + 1, ""
        job.started_at, job.heartbeat_at, job.finished_at = now, now, None
        job.save(update_fields=["n_died", "status", "attempt", "error", "started_at", "heartbeat_at", "finished_at"])
    return Attempt(cast(JobT, job))


def perform(
    model: type[JobT],
    job_id: int,
    work: Callable[[Attempt[JobT]], None],
    *,
    refusals: tuple[type[Exception], ...] = (),
) -> bool:
    """Claim a job and do its work; whether it is done.

    Args:
        model: Its model.
        job_id: Its key.
        work: What to do; it calls ``Attempt.finish`` at the end. What it leaves unfinished counts as cancelled.
        refusals: What the work raises for good reason: noted as the job's error, and not raised any further.

    Raises:
        Exception: Whatever the work raised, after noting it.
        SystemExit: The process is asked to stop: the job is queued again, for whichever process comes next.
    """
    attempt = claim(model, job_id)
    return attempt is not None and carry_out(attempt, work, refusals=refusals)


def carry_out(
    attempt: Attempt[JobT], work: Callable[[Attempt[JobT]], None], *, refusals: tuple[type[Exception], ...] = ()
) -> bool:
    """What follows the claim."""
    try:
        with keep_heartbeat(attempt):
            work(attempt)
    except JobCancelled:
        return False
    except SystemExit:
        attempt.row().update(status=Status.QUEUED, progress=0, step="")
        raise
    except SoftTimeLimitExceeded:
        end(attempt.row(), Status.FAILED, TOOK_TOO_LONG)
        raise
    except BaseException as error:
        end(attempt.row(), Status.FAILED, str(error) or type(error).__name__)
        if isinstance(error, refusals):
            return False
        raise
    return True


@contextmanager
def keep_heartbeat(attempt: Attempt[Any]) -> Iterator[None]:
    """Write the job's heartbeat while a block lasts, from a thread, for steps that write nothing themselves."""
    is_over = threading.Event()

    def write_heartbeats() -> None:
        while not is_over.wait(HEARTBEAT_SECONDS):
            try:
                attempt.row().update(heartbeat_at=timezone.now())
            except DatabaseError:
                logger.exception("could not write the heartbeat of %s", attempt.job)
            finally:
                connection.close()

    thread = threading.Thread(target=write_heartbeats, name=f"heartbeat of {attempt.job}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def end(rows: QuerySet[Any], status: Status, error: str = "") -> bool:
    """Write down that jobs have ended; whether there were any."""
    return bool(rows.update(status=status, error=error, finished_at=timezone.now()))


def cancel(job: Job) -> bool:
    """Stop a job at its next step; whether there was anything to stop."""
    return end(type(job)._default_manager.filter(pk=job.pk).unfinished(), Status.CANCELLED)


def requeue(rows: QuerySet[Any]) -> bool:
    """Queue jobs that have ended again, for a person who asks; whether there were any. The caller enqueues them."""
    return bool(rows.update(status=Status.QUEUED, created_at=timezone.now(), finished_at=None, error="", n_died=0))


def job_models() -> list[type[Job]]:
    """Every kind of job there is."""
    return [model for model in apps.get_models() if issubclass(model, Job)]


def resume_jobs(now: datetime) -> int:
    """Hand jobs whose process died, or that the broker has lost, to a worker again; how many there were.

    What no worker can begin again, and what has died too often, fails with that reason.
    """
    return sum(resume_jobs_of(model, now) for model in job_models())


def resume_jobs_of(model: type[Job], now: datetime) -> int:
    timed_out = model._default_manager.all().timed_out(now)
    crashed = timed_out.filter(status=Status.RUNNING)
    if model.RESUMABLE:
        end(crashed.exclude(model.RESUMABLE), Status.INTERRUPTED, CRASHED)
    end(crashed.filter(n_died__gte=MAX_CRASHES - 1), Status.FAILED, CRASHED_TOO_OFTEN)
    with transaction.atomic():
        lost = list(timed_out.filter(model.RESUMABLE).select_for_update(skip_locked=True).values_list("pk", "status"))
        queued = [job_id for job_id, status in lost if status == Status.QUEUED]
        model._default_manager.filter(pk__in=queued).update(heartbeat_at=now)  # not handed over again within a minute
    for job_id, _ in lost:
        enqueue(model.TASK, job_id)
    return len(lost)


def outcome(job: Job, done: str) -> str:
    """What a task says of a job it was given: ``done`` where it is, or else why not."""
    return done if job.status == Status.DONE else job.error or job.get_status_display().lower()
