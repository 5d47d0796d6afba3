"""Reads beside the primary: which of them a streaming replica may answer, and which replica.

Everything is read from the primary, unless a function says by ``read_beside`` that what it reads may be some seconds
old. Then a replica answers that is known to be well: it has all that the primary had committed at most
``REPLICA_STALENESS_SECONDS`` ago. Where none is well, where the read fails there, or where the caller wrote something
a moment ago, the primary answers. So a replica can make nothing wrong that its age does not, and no answer fails
because of it.

How old a replica is, is measured by log positions and one clock, ours: the primary says all the time how far its log
is, and a replica that has replayed up to there has all that was committed before the question. So neither a clock of
another machine nor a primary without work, nor a replica that is cut off and believes to be up to date, deceives it.
What was measured ages by itself: a process that measures no more soon uses no replica.

Only web processes watch replicas (``watch_replicas``); tasks, commands and migrations know none.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.models import Model
from prometheus_client import Counter, Gauge

from web.outage import Answer, DatabaseWatch, add_watch, ask

logger = logging.getLogger(__name__)

READS_BESIDE = Counter(
    "forecourt_reads_beside_total",
    "Reads that a replica may answer, by what answered: replica; or the primary, as none was well, the replica failed, "
    "the caller had just written, or the replica was behind the buyer's log.",
    ["kind", "answered_by"],
)
REPLICA_SECONDS = Gauge(
    "forecourt_replica_behind_seconds", "How old a replica may be, at most.", ["replica"], multiprocess_mode="livemax"
)
REPLICA_USED = Gauge(
    "forecourt_replica_used",
    "1: reads go to this replica. 0: it is left out.",
    ["replica"],
    multiprocess_mode="livemin",
)

PRIMARY_QUESTION = b"""
SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, pg_size_bytes(current_setting('wal_segment_size')),
    (SELECT system_identifier FROM pg_control_system())
"""
REPLICA_QUESTION = b"""
SELECT pg_is_in_recovery(), (pg_last_wal_replay_lsn() - '0/0')::bigint,
    (SELECT system_identifier FROM pg_control_system())
"""
PAUSE_SECONDS = 0.05
POSITIONS_KEPT = 4000  # at five a second, those of more than the longest staleness
PAGE_BYTES, PAGE_HEADER, SEGMENT_HEADER = 8192, 24, 40  # of the log

Read = TypeVar("Read")


class Positions:
    """How far the primary's log was, and when."""

    def __init__(self) -> None:
        self.system = ""
        self._known: deque[tuple[float, int]] = deque(maxlen=POSITIONS_KEPT)
        self._lock = threading.Lock()

    def hear(self, asked_at: float, answer: Answer) -> None:
        """Note an answer to ``PRIMARY_QUESTION``; one that is an error says nothing."""
        if len(answer) != 3 or answer[0] is None:
            return
        position = before_header(int(answer[0]), int(answer[1] or 0))
        with self._lock:
            self.system = text_of(answer[2])
            if self._known and self._known[-1][1] > position:  # another server took over, whose log is shorter
                self._known.clear()
            self._known.append((asked_at, position))

    def complete_as_of(self, position: int) -> float:
        """The latest moment known, by ``time.monotonic()``, up to which a log that far has everything."""
        with self._lock:
            return next((moment for moment, known in reversed(self._known) if known <= position), float("-inf"))


def before_header(position: int, segment_bytes: int) -> int:
    """A page of the log begins with a header, which is not sent before there is a record behind it."""
    if position % PAGE_BYTES == PAGE_HEADER:
        return position - PAGE_HEADER
    if segment_bytes and position % segment_bytes == SEGMENT_HEADER:
        return position - SEGMENT_HEADER
    return position


def text_of(value: bytes | None) -> str:
    return value.decode() if value else ""


@dataclass(eq=False)
class Replica:
    """What this process knows of one replica.

    Attributes:
        alias: Of its connections.
        as_of: When it was complete, by ``time.monotonic()``.
        problem: Why it may not be used, whatever its age; empty for no such reason.
    """

    alias: str
    positions: Positions
    watch: DatabaseWatch = field(default_factory=DatabaseWatch)
    as_of: float = float("-inf")
    problem: str = "it has not been looked at yet"

    def hear(self, asked_at: float, answer: Answer) -> None:
        """Note an answer to ``REPLICA_QUESTION``."""
        self.problem = self._problem_in(answer)
        if not self.problem and answer[1] is not None:
            self.as_of = max(self.as_of, self.positions.complete_as_of(int(answer[1])))
        REPLICA_SECONDS.labels(self.alias).set(min(self.seconds_behind(), 1e9))
        REPLICA_USED.labels(self.alias).set(not self.why_left_out())

    def _problem_in(self, answer: Answer) -> str:
        if len(answer) != 3:
            return "it does not say how far it is"
        if answer[0] != b"t":
            return "it is no replica: it takes writes itself"
        if self.positions.system and text_of(answer[2]) != self.positions.system:
            return "it is a replica of another server"
        return ""

    def seconds_behind(self) -> float:
        return time.monotonic() - self.as_of

    def why_left_out(self) -> str:
        """Empty where it may be used now."""
        if self.watch.is_away:
            return "it does not answer"
        if not self.problem and self.seconds_behind() > settings.REPLICA_STALENESS_SECONDS:
            return "it is too far behind"
        return self.problem

    def leave_out(self, error: Exception) -> None:
        """A read failed there: not before the next look is it used again."""
        self.problem = f"a read failed: {error}"
        REPLICA_USED.labels(self.alias).set(0)


_positions = Positions()
_replicas: list[Replica] = []  # those that this process watches
_reading: ContextVar[str | None] = ContextVar("reading", default=None)  # the alias that a block reads from
_has_written: ContextVar[Callable[[], bool] | None] = ContextVar("has_written", default=None)


def aliases() -> list[str]:
    """Of all replicas that are configured."""
    return [alias for alias in settings.DATABASES if alias != DEFAULT_DB_ALIAS]


def watch_replicas(parameters_of: Callable[[str], dict[str, Any]]) -> Positions:
    """Watch every replica from now on; the caller lets the result hear how far the primary is."""
    for alias in aliases():
        replica = Replica(alias, _positions, add_watch(alias))
        _replicas.append(replica)
        replica.watch.start(lambda alias=alias: parameters_of(alias), REPLICA_QUESTION, replica.hear)  # type: ignore[misc]
    return _positions


def examine(alias: str, parameters_of: Callable[[str], dict[str, Any]]) -> tuple[str, float]:
    """Why a replica would be left out, or nothing; and the seconds until it had what the primary has now."""
    replica, began_at = Replica(alias, Positions()), time.monotonic()
    try:
        with (
            psycopg.connect(**{**parameters_of(DEFAULT_DB_ALIAS), "autocommit": True}) as primary,
            psycopg.connect(**{**parameters_of(alias), "autocommit": True}) as server,
        ):
            replica.positions.hear(began_at, ask(primary, PRIMARY_QUESTION))
            while time.monotonic() - began_at <= settings.REPLICA_STALENESS_SECONDS:
                replica.hear(time.monotonic(), ask(server, REPLICA_QUESTION))
                if replica.problem or replica.as_of >= began_at:
                    break
                time.sleep(PAUSE_SECONDS)
    except psycopg.Error as error:
        return f"it does not answer: {' '.join(str(error).split())}", 0.0
    return replica.why_left_out(), time.monotonic() - began_at


def are_watched() -> bool:
    """Whether this process has replicas at all."""
    return bool(_replicas)


def watched() -> list[Replica]:
    return list(_replicas)


def forget_replicas() -> None:
    """End the watches, and use no replica."""
    for replica in _replicas:
        replica.watch.end()
    _replicas.clear()


def read_beside(kind: str, read: Callable[[], Read]) -> Read:
    """What ``read`` gives, by a replica where one is well, otherwise by the primary.

    ``read`` may be called twice. ``kind`` is a label of the metric.
    """
    found = try_beside(kind, read)
    return read() if found is None else found[0]


def try_beside(kind: str, read: Callable[[], Read], *, own_writes_matter: bool = True) -> tuple[Read] | None:
    """What ``read`` gives by a replica, in a tuple; None where the primary has to be asked.

    Callers for whom it does not matter what was written a moment ago, since they compare what they get with the
    primary, say so by ``own_writes_matter``.
    """
    if _reading.get() is not None:
        return (read(),)  # inside of another
    if not _replicas or connections[DEFAULT_DB_ALIAS].in_atomic_block:
        return None
    if own_writes_matter and (has_written := _has_written.get()) and has_written():
        count(kind, "primary_own_write")
        return None
    replica = chosen()
    if replica is None:
        count(kind, "primary_none_well")
        return None
    try:
        with reading_from(replica.alias):
            found = read()
    except Error as error:
        logger.warning("the primary answers, as %s failed: %s", replica.alias, error)
        replica.leave_out(error)
        with suppress(Error):
            connections[replica.alias].close()
        count(kind, "primary_replica_failed")
        return None
    count(kind, "replica")
    return (found,)


def count(kind: str, answered_by: str) -> None:
    READS_BESIDE.labels(kind, answered_by).inc()


def chosen() -> Replica | None:
    """Any of those that are well."""
    well = [replica for replica in _replicas if not replica.why_left_out()]
    return random.choice(well) if well else None


@contextmanager
def reading_from(alias: str) -> Iterator[None]:
    token = _reading.set(alias)
    try:
        yield
    finally:
        _reading.reset(token)


@contextmanager
def on_primary() -> Iterator[None]:
    """For what is written down afterwards: nothing in the block is read from a replica, whatever calls it."""
    token = _reading.set(DEFAULT_DB_ALIAS)
    try:
        yield
    finally:
        _reading.reset(token)


@contextmanager
def unless(has_written: Callable[[], bool]) -> Iterator[None]:
    """Reads of the block go to the primary where the caller has just written; asked once at most, where it matters."""
    known: list[bool] = []

    def ask_once() -> bool:
        if not known:
            known.append(has_written())
        return known[0]

    token = _has_written.set(ask_once)
    try:
        yield
    finally:
        _has_written.reset(token)


def reading_alias() -> str:
    """Where a read goes now; always the primary in a transaction that was begun there."""
    alias = _reading.get()
    if alias is None or connections[DEFAULT_DB_ALIAS].in_atomic_block:
        return DEFAULT_DB_ALIAS
    return alias


def reading_connection() -> Any:
    """The connection for a statement in SQL that only reads; in ``read_beside`` that of the replica."""
    return connections[reading_alias()]


class ReplicaRouter:
    """Django's own queries: reads of ``REPLICA_MODELS`` go where ``read_beside`` says, all else to the primary.

    Who may do what (users, keys, sessions, roles) is none of them.
    """

    def db_for_read(self, model: type[Model], **hints: Any) -> str:
        names = {model._meta.app_label, model._meta.label_lower}
        return reading_alias() if names & settings.REPLICA_MODELS else DEFAULT_DB_ALIAS

    def db_for_write(self, model: type[Model], **hints: Any) -> str:
        return DEFAULT_DB_ALIAS

    def allow_relation(self, one: Model, other: Model, **hints: Any) -> bool:
        return True

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == DEFAULT_DB_ALIAS
