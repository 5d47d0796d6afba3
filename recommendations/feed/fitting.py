"""Learning from the log, as soon as something is said and on a schedule of seconds: read what is new, fit, store.

A fit keeps what it has read, so that the next one costs reading what came since and the arithmetic. Fits never
take more than a tenth of the time, those asked for a fortieth, and none is made where nothing happened. However large
the log grows, no more than its newest rows are kept and learned from.
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
from recommendations.feed.log import VARIANT
from recommendations.feed.memory import Items, config, memory, packed
from recommendations.feed.model import FeedEvents, fit_feed
from recommendations.models import BotMark, FeedFit, FeedJudgement
from recommendations.models.arrays import read_columns

logger = logging.getLogger(__name__)

LOCK = 7_466_001  # among advisory locks: of fitting, and of emptying the site
SETTLED = timedelta(seconds=1)  # rows are committed this long after their time at the latest
ASK_SECONDS = 0.5  # between two requests of one process for a fit
IDLE_FACTOR = 9  # after a fit there is no other for so many times its duration
ASKED_IDLE_FACTOR = 39  # and none that is asked for: what is large can wait for the schedule
PATIENCE_PERIODS = 6  # without a fit before a web process makes one
SHOWN_AT_MOST = 5_000_000  # pairs that are learned from, the newest; 120 MB, and two seconds of a processor
SAID_AT_MOST = 2_000_000  # likes and dislikes, likewise
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

# a table that was emptied has another file, and so has each of its months
FILE = (
    "coalesce(pg_relation_filenode('{0}'), (SELECT pg_relation_filenode(min(inhrelid)) FROM pg_inherits "
    "WHERE inhparent = '{0}'::regclass))"
)
FILES = f"SELECT {FILE.format('recommendations_servedlist')}, {FILE.format('recommendations_interaction')}"
SHOWN = SQL(
    "SELECT buyer_id, unnest(listing_ids), extract(epoch FROM served_at)::float8 FROM recommendations_servedlist "
    "WHERE served_at >= {since} AND served_at < {until} AND variant = {variant} AND buyer_id IS NOT NULL"
)
# Of cars too: which listings are items is known here. Joined to a table of listings that was not analysed since it
# was filled, this could compare each event with each listing, and take minutes.
SAID = SQL(
    "SELECT i.buyer_id, i.listing_id, sign(k.weight)::bigint, i.id, extract(epoch FROM i.occurred_at)::float8, "
    "extract(epoch FROM i.received_at)::float8 "
    "FROM recommendations_interaction i "
    "JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.weight <> 0 "
    "WHERE i.received_at >= {since} AND i.received_at < {until} AND i.listing_id IS NOT NULL"
)
# of the oldest rows that still count; by the indexes that are in the order of time
OLDEST_SHOWN = "SELECT served_at FROM recommendations_servedlist ORDER BY served_at DESC OFFSET %s LIMIT 1"
OLDEST_SAID = "SELECT received_at FROM recommendations_interaction ORDER BY received_at DESC OFFSET %s LIMIT 1"


class Log:
    """What was shown and said of items lately, as far as this process has read it.

    Attributes:
        shown: Buyer and listing, shape (n_shown, 2); ``shown_at``: when, epoch seconds, shape (n_shown,).
        said: Buyer, listing, sign and id, shape (n_said, 4); ``moments``: when, epoch seconds, shape (n_said,).
        newest: When the newest of it arrived, epoch seconds; 0 where there is nothing.
        files: Of the tables as they were read; others once they were emptied.
    """

    def __init__(self) -> None:
        self.files: tuple[int, ...] = ()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._read_until: datetime | None = None
        self.shown, self.said = np.zeros((0, 2), np.int64), np.zeros((0, 4), np.int64)
        self.shown_at, self.moments, self.newest = np.zeros(0), np.zeros(0), 0.0

    def read_on(self, until: datetime) -> Items:
        """Read what has come since the last time; what counts of it when that was never, or the tables were emptied.

        Returns the items, which are read after it, so that none of them is missing.
        """
        with connection.cursor() as cursor:
            cursor.execute(FILES)
            files = cursor.fetchone()
            if files != self.files:
                self.files = files
                self._begin_anew()
            since_shown = self._read_until or _moment(cursor, OLDEST_SHOWN, SHOWN_AT_MOST // settings.FEED_LENGTH)
            since_said = self._read_until or _moment(cursor, OLDEST_SAID, SAID_AT_MOST)
        *shown, served_at = read_columns(_between(SHOWN, since_shown, until), np.int64, np.int64, np.float64)
        *said, occurred_at, received_at = read_columns(
            _between(SAID, since_said, until), np.int64, np.int64, np.int64, np.int64, np.float64, np.float64
        )
        self._read_until = until
        items = memory.items()
        is_of_item = np.isin(said[1], items.listing_ids)
        self.newest = max(self.newest, served_at.max(initial=0), received_at[is_of_item].max(initial=0))
        self.shown = np.concatenate([self.shown, np.column_stack(shown)])[-SHOWN_AT_MOST:]
        self.shown_at = np.concatenate([self.shown_at, served_at])[-SHOWN_AT_MOST:]
        self.said = np.concatenate([self.said, np.column_stack(said)[is_of_item]])[-SAID_AT_MOST:]
        self.moments = np.concatenate([self.moments, occurred_at[is_of_item]])[-SAID_AT_MOST:]
        return items

    def with_newest(self, now: datetime) -> tuple[Log, Items]:
        """A copy that goes on to ``now``, and the items. It lacks rows that are not committed yet, which this log
        still reads."""
        newest = copy(self)
        return newest, newest.read_on(now)

    def in_rows(self, listing_ids: NDArray[np.int64], bots: Sequence[int] = ()) -> FeedLog:
        """The same in rows: items in the order of ``listing_ids``, users in any, what was said oldest first; without
        what is about other items, and without ``bots``, who are buyers by id."""
        is_counted = np.isin(self.shown[:, 1], listing_ids) & ~np.isin(self.shown[:, 0], bots)
        shown, shown_at = self.shown[is_counted], self.shown_at[is_counted]
        oldest_first = np.lexsort((self.said[:, 3], self.moments))
        said, said_at = self.said[oldest_first], self.moments[oldest_first]
        is_counted = np.isin(said[:, 1], listing_ids) & ~np.isin(said[:, 0], bots)
        said, said_at = said[is_counted], said_at[is_counted]
        people, user_rows = np.unique(np.concatenate([shown[:, 0], said[:, 0]]), return_inverse=True)
        order = np.argsort(listing_ids)
        item_rows = [order[np.searchsorted(listing_ids, rows[:, 1], sorter=order)] for rows in (shown, said)]
        events = FeedEvents(
            shown_users=user_rows[: len(shown)],
            shown_items=item_rows[0],
            users=user_rows[len(shown) :],
            items=item_rows[1],
            signs=said[:, 2].astype(np.int8),
            n_users=max(len(people), 1),
            n_items=len(listing_ids),
        )
        return FeedLog(events, shown_at, said_at)


def _moment(cursor: Any, query: str, offset: int) -> datetime:
    cursor.execute(query, [offset])
    found = cursor.fetchone()
    return found[0] if found else BEGINNING


def _between(query: SQL, since: datetime, until: datetime) -> Composed:
    return query.format(since=Literal(since), until=Literal(until), variant=Literal(VARIANT))


_log = Log()
_log_lock = threading.Lock()


def forget_log() -> None:
    """Read all of the log anew at the next fit."""
    global _log
    with _log_lock:
        _log = Log()


def refresh_fit(settled: timedelta | None = None, idle_factor: int = IDLE_FACTOR) -> bool:
    """Learn from what has happened; returns whether there was anything new.

    One at a time, for all callers: a second caller leaves at once. So does one that comes too soon after a long fit.
    Rows may be committed up to ``settled`` after their time: the newest are read again by the next fit.
    """
    with _log_lock, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT clock_timestamp()")  # the clock that rows are dated by
        now, settled = cursor.fetchone()[0], SETTLED if settled is None else settled
        before = FeedFit.objects.defer("content").first()
        if before and now - before.fitted_at < timedelta(seconds=idle_factor * before.seconds):
            return False
        if before and FeedJudgement.objects.filter(is_holding=True).exists():
            FeedFit.objects.update(fitted_at=now)
            return False
        started = time.process_time()
        _log.read_on(now - settled)
        log, items = _log.with_newest(now)
        known_until = (before.fitted_at - settled).timestamp() if before else 0.0
        if log.newest <= known_until:
            if before:
                FeedFit.objects.update(fitted_at=now)
            return False
        bots = list(BotMark.objects.filter(is_bot=True).values_list("buyer_id", flat=True))
        model = fit_feed(log.in_rows(items.listing_ids, bots).events, items.tags, config(bool(items.tags.nnz)))
        write_fit(
            packed(model, items.listing_ids),
            now,
            seconds=time.process_time() - started,
            n_shown=len(log.shown),
            n_actions=len(log.said),
        )
    telemetry.FEED_FIT_SECONDS.observe(time.process_time() - started)
    return True


@contextmanager
def fits_stand_still() -> Iterator[tuple[int, ...]]:
    """A transaction in which no fit is written but by the caller; the files of the log's tables, as in ``Log``."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute(FILES)
        yield cursor.fetchone()


def write_fit(content: bytes, now: datetime, **figures: float) -> None:
    """Let a packed model be what every process serves; ``figures`` are fields of ``FeedFit`` beside."""
    before = FeedFit.objects.defer("content").first()
    number = max(int(now.timestamp() * 1000), before.number + 1 if before else 0)
    fields = {"seconds": 0.0} if before is None else {}
    FeedFit.objects.update_or_create(
        pk=1, defaults={**fields, **figures, "number": number, "content": content, "fitted_at": now}
    )


def learn_anew() -> None:
    """Have the next fit made though nothing has happened since the last."""
    FeedFit.objects.update(fitted_at=BEGINNING)


# --- Fits that are asked for -----------------------------------------------------------------------------------------

ASKED_TASK = "recommendations.refresh_feed_when_asked"
_asked_at = float("-inf")
_attempted_at = float("-inf")
_attempt_lock = threading.Lock()


def ask_for_fit() -> None:
    """Have a worker learn from what was just said, unless this process asked for that a moment ago."""
    global _asked_at
    if time.monotonic() - _asked_at >= ASK_SECONDS:
        _asked_at = time.monotonic()
        enqueue_once_on_commit(ASKED_TASK)


def ensure_fitted(fitted_at: datetime | None) -> None:
    """Learn in a thread of this process when no process has for long; the caller does not wait."""
    global _attempted_at
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
