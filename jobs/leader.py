"""Beat that may run more than once: one process sends what is due, the others wait for it to end.

The leader is who holds a lock of PostgreSQL. The lock belongs to a connection, so that it is free as soon as the
process or machine is gone. It alone does not keep an entry from being sent twice: a leader that was suspended may go on
after it lost the lock, and the scheduler sometimes looks at entries as they were before they were sent. So each entry
is claimed in its row before it is sent, on the connection that holds the lock, and only by a process that knows when it
ran last. The connection has to be one to PostgreSQL itself: a pooler in transaction mode (PgBouncer) would hand the
lock to another client.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import psycopg
from celery import Task
from django.db import Error
from django.utils import timezone
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from web.postgres.pooling import need_session
from web.servers import connection_parameters

logger = logging.getLogger(__name__)

BEAT_LOCK = 0x1DF << 44  # keeps our advisory lock apart from others
STANDBY_SECONDS = 5.0  # between two tries to become the leader
VANISHED_IN = {  # a machine that is switched off frees the lock within half a minute
    "tcp_user_timeout": 5000,  # milliseconds
    "options": "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c lock_timeout=5000",
}
CLAIM = """
UPDATE django_celery_beat_periodictask SET last_run_at = %(now)s, total_run_count = total_run_count + 1
WHERE id = %(id)s AND enabled AND last_run_at IS NOT DISTINCT FROM %(seen)s
"""

BRING_BACK = """
UPDATE django_celery_beat_periodictask
SET last_run_at = CASE WHEN last_run_at > %(now)s THEN %(now)s ELSE last_run_at END,
    date_changed = LEAST(date_changed, %(now)s)
WHERE last_run_at > %(now)s OR date_changed > %(now)s
"""  # what never ran stays so: it is due an interval after it was changed


class LeaderEntry(ModelEntry):
    """An entry of the schedule that keeps when it ran last as the database has it: NULL where it never did."""

    def __init__(self, model: PeriodicTask, app: Any = None) -> None:
        self.seen_last_run_at = model.last_run_at  # the base class puts another time in the place of NULL
        super().__init__(model, app)


def has_work(task: Task | None) -> bool:
    """Whether a task would find something to do now; true of one that this release does not have.

    A task that runs every few seconds says how to look: ``shared_task(has_work=staticmethod(function))``. That is one
    query, where a run without work is a message, a worker's turn and a query.
    """
    look: Callable[[], bool] | None = getattr(task, "has_work", None)
    try:
        return look is None or look()
    except Error:
        return True  # the worker's to report, and to try again


class Leadership:
    """The lock, and the connection that it belongs to."""

    def __init__(self) -> None:
        self._connection: psycopg.Connection | None = None
        self._is_held = False

    def is_held(self) -> bool:
        """Whether this process is the leader now; tries to become it otherwise."""
        try:
            self._is_held = self._ask()
        except (psycopg.Error, OSError) as error:
            self._lose(error)
        return self._is_held

    def _ask(self) -> bool:
        connection = self._connect()
        if self._is_held:
            connection.execute("SELECT 1")  # the lock lives as long as the connection does
            return True
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", [BEAT_LOCK]).fetchone()
        return bool(row and row[0])

    def _connect(self) -> psycopg.Connection:
        if self._connection is None:
            need_session("beat")
            self._connection = psycopg.connect(**{**connection_parameters(), **VANISHED_IN}, autocommit=True)
        return self._connection

    def claim(self, entry: LeaderEntry) -> bool:
        """Note in its row that the entry runs now; False where the row has changed since, or the lock is lost.

        Committed before the task is sent: of two that want the same run one is refused, and a run whose sender is
        killed in between is left out rather than sent twice.
        """
        if self._connection is None or not self._is_held:
            return False
        values = {"now": entry.model.last_run_at, "id": entry.model.pk, "seen": entry.seen_last_run_at}
        try:
            return self._connection.execute(CLAIM, values).rowcount == 1
        except (psycopg.Error, OSError) as error:
            self._lose(error)
            return False

    def bring_back(self) -> None:
        """Count what ran or was changed later than now as run or changed now, for the clock was set back since.

        In the rows, because entries are made of them anew every few minutes: a longer interval would never pass.
        Another process that has read such a row before is refused its claim.
        """
        if self._connection is None or not self._is_held:
            return
        try:
            self._connection.execute(BRING_BACK, {"now": timezone.now()})
        except (psycopg.Error, OSError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        if self._is_held:
            logger.warning("beat leads no more: %s", error)
        self.release()

    def release(self) -> None:
        """Let another process lead."""
        self._is_held = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class LeaderScheduler(DatabaseScheduler):
    """The schedule of the database, sent by one process of however many run."""

    Entry = LeaderEntry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.leadership = Leadership()
        self._was_leader = False
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """Send one entry that is due, where this process leads; the seconds until the next look."""
        if not self.leadership.is_held():
            self._was_leader = False
            return STANDBY_SECONDS
        if not self._was_leader:
            logger.info("beat leads: this process sends what is due")
            self.read_anew()
        elif self._is_ahead_of_the_clock():
            logger.warning("the clock was set back: entries that ran later than now count as run now")
            self.read_anew()
        self._was_leader = True
        seconds: float = super().tick(*args, **kwargs)
        return seconds

    def _is_ahead_of_the_clock(self) -> bool:
        """Whether an entry ran later than now. The heap of the base class is sorted by the time before, too."""
        now = timezone.now()
        return any(entry.last_run_at > now for entry in (self._schedule or {}).values())

    def all_as_schedule(self) -> dict[str, LeaderEntry]:
        """The entries as they are in the database, where none is ahead of the clock."""
        self.leadership.bring_back()
        entries: dict[str, LeaderEntry] = super().all_as_schedule()
        return entries

    def schedule_changed(self) -> bool:
        """Whether a change was noted since the last look, by whichever clock; the base class wants a later one."""
        last = self._last_timestamp
        is_later: bool = super().schedule_changed()
        return is_later or bool(self._last_timestamp != last)

    def reserve(self, entry: LeaderEntry) -> LeaderEntry:
        """The entry as it is after this run; the base class leaves the old one in the schedule, to be sent again."""
        following: LeaderEntry = next(entry)
        self._schedule[entry.name] = following
        return following

    def apply_entry(self, entry: LeaderEntry, producer: Any = None) -> None:
        """Send the entry, where no other process has and nothing about its last run has changed since it was read.

        A run that would find nothing to do is noted in the row and not sent.
        """
        if not self.leadership.claim(entry):
            self.read_anew()
        elif has_work(self.app.tasks.get(entry.task)):
            super().apply_entry(entry, producer=producer)

    def read_anew(self) -> None:
        """Forget what was read before: another process has sent since, or an operator changed something."""
        self._initial_read, self._heap, self.old_schedulers = True, None, None

    def close(self) -> None:
        super().close()
        self.leadership.release()
