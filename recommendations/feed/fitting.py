"""Fit the feed from its log: read the new rows, fit, store. It runs every few seconds and after new actions.

A process keeps the rows it has read, so the next fit reads only newer ones. Fits take at most a tenth of the time,
requested ones a fortieth, and no fit is made when nothing is new. However large the log grows, only its newest rows are
kept and fitted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from numpy.typing import NDArray
from psycopg.sql import SQL, Composed, Literal

from jobs.queue import enqueue_once_on_commit
from recommendations import telemetry
from recommendations.feed.held_out import FeedLog
from recommendations.feed.log import VARIANT, execute
from recommendations.feed.memory import Items, config, memory, pack_model
from recommendations.feed.model import FeedEvents, fit_feed
from recommendations.models import BotMark, FeedFit, FeedJudgement
from recommendations.models.arrays import read_columns

logger = logging.getLogger(__name__)

LOCK = 7_466_001  # id of the advisory lock that fitting and emptying the site take
SETTLED = timedelta(seconds=1)  # rows are committed at most this long after their time
REQUEST_SECONDS = 0.5  # between two requests of one process for a fit
IDLE_FACTOR = 9  # pause after a fit, as a multiple of its duration
REQUESTED_IDLE_FACTOR = 39  # the same for requested fits: a slow fit waits for the schedule
PATIENCE_PERIODS = 6  # periods without a fit after which a web process makes one
MAX_SHOWN = 5_000_000  # newest pairs of user and item shown that are fitted; 120 MB, two seconds of a processor
MAX_ACTIONS = 2_000_000  # newest likes and dislikes that are fitted
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

# TRUNCATE gives a table, and each of its monthly partitions, a new file
TABLE_FILE = (
    "coalesce(pg_relation_filenode('{0}'), (SELECT pg_relation_filenode(min(inhrelid)) FROM pg_inherits "
    "WHERE inhparent = '{0}'::regclass))"
)
TABLE_FILES = (
    f"SELECT {TABLE_FILE.format('recommendations_servedlist')}, {TABLE_FILE.format('recommendations_interaction')}"
)
SHOWN = SQL(
    "SELECT buyer_id, unnest(listing_ids), extract(epoch FROM served_at)::float8 FROM recommendations_servedlist "
    "WHERE served_at >= {since} AND served_at < {until} AND variant = {variant} AND buyer_id IS NOT NULL"
)
# Reads events on cars too, and leaves them out afterwards. A join with a table of listings that was not analysed
# since it was filled could compare each event with each listing, and take minutes.
ACTIONS = SQL(
    "SELECT i.buyer_id, i.listing_id, sign(k.weight)::bigint, i.id, extract(epoch FROM i.occurred_at)::float8, "
    "extract(epoch FROM i.received_at)::float8 "
    "FROM recommendations_interaction i "
    "JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.weight <> 0 "
    "WHERE i.received_at >= {since} AND i.received_at < {until} AND i.listing_id IS NOT NULL"
)
# time of the oldest row that still counts; uses the indexes on time
OLDEST_SHOWN = "SELECT served_at FROM recommendations_servedlist ORDER BY served_at DESC OFFSET %s LIMIT 1"
OLDEST_ACTION = "SELECT received_at FROM recommendations_interaction ORDER BY received_at DESC OFFSET %s LIMIT 1"


class Log:
    """What users were shown and how they acted on items, as far as this process has read it.

    Attributes:
        shown: Buyer id and listing id, shape (n_shown, 2).
        shown_at: Time of each row of ``shown``, epoch seconds, shape (n_shown,).
        actions: Buyer id, listing id, sign and event id, shape (n_actions, 4).
        acted_at: Time of each action, epoch seconds, shape (n_actions,).
        newest: Time at which the newest row arrived, epoch seconds; 0 without rows.
        files: Numbers of the files of the two tables; they change when a table is emptied.
    """

    def __init__(self) -> None:
        self.files: tuple[int, ...] = ()
        self._clear()

    def _clear(self) -> None:
        self._settled_until: datetime | None = None
        self.shown, self.actions = np.zeros((0, 2), np.int64), np.zeros((0, 4), np.int64)
        self.shown_at, self.acted_at, self.newest = np.zeros(0), np.zeros(0), 0.0

    def read_until(self, until: datetime) -> Items:
        """Read the rows that arrived since the last call, before ``until``.

        The first call, and the first one after the tables were emptied, reads the newest rows up to ``MAX_SHOWN`` and
        ``MAX_ACTIONS``.

        Returns:
            The items. They are read after the rows, so that each row finds its item.
        """
        with connection.cursor() as cursor:
            cursor.execute(TABLE_FILES)
            files = cursor.fetchone()
            if files != self.files:
                self.files = files
                self._clear()
            since_shown = self._settled_until or _read_time(cursor, OLDEST_SHOWN, MAX_SHOWN // settings.FEED_LENGTH)
            since_actions = self._settled_until or _read_time(cursor, OLDEST_ACTION, MAX_ACTIONS)
        *shown, served_at = read_columns(_between(SHOWN, since_shown, until), np.int64, np.int64, np.float64)
        *actions, occurred_at, received_at = read_columns(
            _between(ACTIONS, since_actions, until), np.int64, np.int64, np.int64, np.int64, np.float64, np.float64
        )
        self._settled_until = until
        items = memory.items()
        is_of_item = np.isin(actions[1], items.listing_ids)
        self.newest = max(self.newest, served_at.max(initial=0), received_at[is_of_item].max(initial=0))
        self.shown = np.concatenate([self.shown, np.column_stack(shown)])[-MAX_SHOWN:]
        self.shown_at = np.concatenate([self.shown_at, served_at])[-MAX_SHOWN:]
        self.actions = np.concatenate([self.actions, np.column_stack(actions)[is_of_item]])[-MAX_ACTIONS:]
        self.acted_at = np.concatenate([self.acted_at, occurred_at[is_of_item]])[-MAX_ACTIONS:]
        return items

    def with_unsettled(self, now: datetime) -> tuple[Log, Items]:
        """Return a copy that is read until ``now``, and the items.

        The copy may lack rows that are not committed yet; this log still reads them.
        """
        newest = copy(self)
        return newest, newest.read_until(now)

    def to_feed_log(self, listing_ids: NDArray[np.int64], bots: Sequence[int] = ()) -> FeedLog:
        """Translate ids into rows: items in the order of ``listing_ids``, actions oldest first.

        Rows about other listings, and rows of the buyers in ``bots``, are left out.
        """
        is_counted = np.isin(self.shown[:, 1], listing_ids) & ~np.isin(self.shown[:, 0], bots)
        shown, shown_at = self.shown[is_counted], self.shown_at[is_counted]
        oldest_first = np.lexsort((self.actions[:, 3], self.acted_at))
        actions, acted_at = self.actions[oldest_first], self.acted_at[oldest_first]
        is_counted = np.isin(actions[:, 1], listing_ids) & ~np.isin(actions[:, 0], bots)
        actions, acted_at = actions[is_counted], acted_at[is_counted]
        user_ids, user_rows = np.unique(np.concatenate([shown[:, 0], actions[:, 0]]), return_inverse=True)
        order = np.argsort(listing_ids)
        item_rows = [order[np.searchsorted(listing_ids, rows[:, 1], sorter=order)] for rows in (shown, actions)]
        events = FeedEvents(
            shown_users=user_rows[: len(shown)],
            shown_items=item_rows[0],
            users=user_rows[len(shown) :],
            items=item_rows[1],
            signs=actions[:, 2].astype(np.int8),
            n_users=max(len(user_ids), 1),
            n_items=len(listing_ids),
        )
        return FeedLog(events, shown_at, acted_at)


def _read_time(cursor: Any, query: str, offset: int) -> datetime:
    cursor.execute(query, [offset])
    found = cursor.fetchone()
    return found[0] if found else BEGINNING


def _between(query: SQL, since: datetime, until: datetime) -> Composed:
    return query.format(since=Literal(since), until=Literal(until), variant=Literal(VARIANT))


_log = Log()
_log_lock = threading.Lock()


def clear_log() -> None:
    """Make the next fit read the whole log again; for tests that empty the tables."""
    global _log
    with _log_lock:
        _log = Log()


def refresh_fit(settled: timedelta | None = None, idle_factor: int = IDLE_FACTOR) -> bool:
    """Fit the feed on all that has happened, and store the fit.

    Only one process fits at a time; a second caller returns at once. So does a caller that comes before ``idle_factor``
    times the duration of the last fit is over.

    Args:
        settled: Rows are committed at most this long after their time, so the next fit reads newer ones again;
            ``SETTLED`` when None.
        idle_factor: Pause after a fit, as a multiple of its duration.

    Returns:
        Whether a new fit was stored.
    """
    with _log_lock, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT clock_timestamp()")  # rows are dated by the clock of the database
        now, settled = cursor.fetchone()[0], SETTLED if settled is None else settled
        before = FeedFit.objects.defer("content").first()
        if before and now - before.fitted_at < timedelta(seconds=idle_factor * before.seconds):
            return False
        if before and FeedJudgement.objects.filter(is_holding=True).exists():
            FeedFit.objects.update(fitted_at=now)
            return False
        started = time.process_time()
        _log.read_until(now - settled)
        log, items = _log.with_unsettled(now)
        known_until = (before.fitted_at - settled).timestamp() if before else 0.0
        if log.newest <= known_until:
            if before:
                FeedFit.objects.update(fitted_at=now)
            return False
        bots = list(BotMark.objects.filter(is_bot=True).values_list("buyer_id", flat=True))
        model = fit_feed(log.to_feed_log(items.listing_ids, bots).events, items.tags, config(bool(items.tags.nnz)))
        write_fit(
            pack_model(model, items.listing_ids),
            now,
            seconds=time.process_time() - started,
            n_shown=len(log.shown),
            n_actions=len(log.actions),
        )
    telemetry.FEED_FIT_SECONDS.observe(time.process_time() - started)
    return True


@contextmanager
def lock_fits() -> Iterator[tuple[int, ...]]:
    """Open a transaction in which no other caller writes a fit; yields the file numbers of the log's tables, as in
    ``Log``."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(TABLE_FILES)
        yield cursor.fetchone()


# Directly to the driver: Django would read the former content before, and write the new one as text.
WRITE_FIT = """
    INSERT INTO recommendations_feedfit AS former (id, number, content, fitted_at, seconds, n_shown, n_actions)
    VALUES (
        %(pk)s::smallint, %(number)s::bigint, %(content)s::bytea, %(fitted_at)s::timestamptz,
        coalesce(%(seconds)s::float8, 0), coalesce(%(n_shown)s::bigint, 0), coalesce(%(n_actions)s::bigint, 0)
    )
    ON CONFLICT (id) DO UPDATE SET
        number = greatest(excluded.number, former.number + 1),
        content = excluded.content,
        fitted_at = excluded.fitted_at,
        seconds = coalesce(%(seconds)s::float8, former.seconds),
        n_shown = coalesce(%(n_shown)s::bigint, former.n_shown),
        n_actions = coalesce(%(n_actions)s::bigint, former.n_actions)
"""


def write_fit(content: bytes, now: datetime, **figures: float) -> None:
    """Store a packed model, which every process then serves; ``figures`` are further fields of ``FeedFit``."""
    fields = {"seconds": None, "n_shown": None, "n_actions": None, **figures}
    number = int(now.timestamp() * 1000)
    execute(WRITE_FIT, {"pk": FeedFit.ONLY, "number": number, "content": content, "fitted_at": now, **fields})


def force_next_fit() -> None:
    """Make the next call of ``refresh_fit`` fit even if nothing has happened since the last one."""
    FeedFit.objects.update(fitted_at=BEGINNING)


# --- Requested fits --------------------------------------------------------------------------------------------------

REQUESTED_TASK = "recommendations.refresh_feed_when_asked"
_requested_at = float("-inf")
_refused_until = float("-inf")  # epoch seconds: until then a worker refuses a requested fit, by the newest known fit
_attempted_at = float("-inf")
_attempt_lock = threading.Lock()


def request_fit() -> None:
    """Enqueue a fit in a worker, at most once in ``REQUEST_SECONDS`` for this process.

    Not while a worker would refuse it: to enqueue a task, and to refuse it, costs a few milliseconds each.
    """
    global _requested_at
    if time.monotonic() - _requested_at >= REQUEST_SECONDS and time.time() >= _refused_until:
        _requested_at = time.monotonic()
        enqueue_once_on_commit(REQUESTED_TASK)


def ensure_fitted(fitted_at: datetime | None, seconds: float | None = None) -> None:
    """Fit in a thread of this process if no process has fitted for long; the caller does not wait.

    Args:
        fitted_at: Time of the newest fit; None before the first one.
        seconds: Processor time that it took; None if that is not known.
    """
    global _attempted_at, _refused_until
    _refused_until = fitted_at.timestamp() + REQUESTED_IDLE_FACTOR * (seconds or 0.0) if fitted_at else float("-inf")
    patience = PATIENCE_PERIODS * settings.FEED_REFRESH_SECONDS
    if fitted_at is not None and (timezone.now() - fitted_at).total_seconds() < patience:
        return
    if connection.in_atomic_block or time.monotonic() - _attempted_at < patience:
        return
    with _attempt_lock:
        if time.monotonic() - _attempted_at < patience:
            return
        _attempted_at = time.monotonic()
    threading.Thread(target=_fit_quietly, name="feed-fit", daemon=True).start()


def _fit_quietly() -> None:
    try:
        refresh_fit()
    except DatabaseError as error:
        logger.warning("could not learn from the feed: %s", error)
    finally:
        connection.close()
