"""What every background job has in common, as a row: its state, its progress, and which attempt holds it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

LAST_HEARTBEAT = Coalesce("heartbeat_at", "created_at")  # of life; rows of earlier releases may have no heartbeat
UNFINISHED = ("queued", "running")
MAX_CRASHES = 5  # a job that killed so many processes (out of memory, say) would kill the next one too


class JobQuerySet(models.QuerySet[Any]):
    def unfinished(self) -> JobQuerySet:
        """Jobs that wait for a worker or are worked on."""
        return self.filter(status__in=UNFINISHED)

    def timed_out(self, now: datetime) -> JobQuerySet:
        """Unfinished jobs that no process has written to for so long that their process, or their message, is lost."""
        timed_out_before = now - self.model.HEARTBEAT_TIMEOUT
        jobs: JobQuerySet = self.unfinished().alias(last_heartbeat=LAST_HEARTBEAT)
        return jobs.filter(last_heartbeat__lt=timed_out_before)

    def free(self, now: datetime) -> JobQuerySet:
        """Jobs that a process may take: queued ones, and those whose process must have died.

        Every condition is on the row itself, so that PostgreSQL asks it again of a row that another process has just
        taken; of a subquery it would keep the old answer, and both would have the job.
        """
        has_timed_out = Q(status=Job.Status.RUNNING, last_heartbeat__lt=now - self.model.HEARTBEAT_TIMEOUT)
        jobs: JobQuerySet = self.alias(last_heartbeat=LAST_HEARTBEAT)
        return jobs.filter(Q(status=Job.Status.QUEUED) | has_timed_out)


class Job(models.Model):
    """A piece of background work; ``jobs.work`` claims it, keeps it alive, and writes down how it ended.

    A subclass says which task works it off (``TASK``, which takes the key of the row), and which rows a worker can
    begin again (``RESUMABLE``); what it is to do and what came of it are its own fields.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", "Queued"
        RUNNING = "running", "Running"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        INTERRUPTED = "interrupted", "Interrupted"

    TASK: ClassVar[str]
    RESUMABLE: ClassVar[Q] = Q()
    HEARTBEAT_TIMEOUT: ClassVar[timedelta] = timedelta(minutes=2)  # a living process writes every 20 seconds

    status = models.CharField(max_length=12, choices=Status.choices, default=Status.QUEUED, editable=False)
    attempt = models.PositiveIntegerField(
        default=0, editable=False, help_text="How many processes have taken it; only the last of them may write to it."
    )
    n_died = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How many of them died of it, since it was last queued by a person."
    )
    progress = models.FloatField(default=0, editable=False, help_text="0 to 1.")
    step = models.CharField(max_length=120, blank=True, editable=False)
    error = models.TextField(blank=True, editable=False)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    heartbeat_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="The last sign of life of the process that works on it."
    )
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = JobQuerySet.as_manager()

    class Meta:
        abstract = True
        ordering = ["-created_at"]

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED
