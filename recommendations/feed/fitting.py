"""Learning from the whole log, on a schedule of seconds: read what is new, fit, put the result in its one row.

Whoever fits keeps what it has read, so that the next time costs reading what came since and the arithmetic. A fit never
takes more than a tenth of the time, however large the log has grown, and none is made where nothing happened.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from numpy.typing import NDArray

from catalog.querysets import ITEMS
from recommendations import telemetry
from recommendations.engine.feed_model import FeedEvents, fit_feed
from recommendations.feed.log import VARIANT
from recommendations.feed.memory import config, memory, packed
from recommendations.models import FeedFit

logger = logging.getLogger(__name__)

LOCK = 7_466_001  # among advisory locks: of fitting, and of emptying the site
SETTLED = timedelta(seconds=1)  # rows are committed this long after their time at the latest
IDLE_FACTOR = 9  # so much longer than a fit took nobody fits
PATIENCE_PERIODS = 6  # without a fit before a web process makes one
NOTHING_SHOWN = np.zeros((0, 2), np.int64)  # buyer, listing
NOTHING_SAID = np.zeros((0, 5), np.float64)  # buyer, listing, sign, moment, id
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

# a table that was emptied has another file
FILES = """
    SELECT pg_relation_filenode('recommendations_servedlist'), pg_relation_filenode('recommendations_interaction'),
        clock_timestamp()
"""
NEW_SHOWN = """
    SELECT buyer_id, unnest(listing_ids) FROM recommendations_servedlist
    WHERE served_at >= %s AND served_at < %s AND variant = %s AND buyer_id IS NOT NULL
"""
NEW_ACTIONS = """
    SELECT i.buyer_id, i.listing_id, sign(k.weight)::int, extract(epoch FROM i.occurred_at)::float8, i.id
    FROM recommendations_interaction i
    JOIN catalog_listing l ON l.id = i.listing_id AND l.source = %s
    JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.weight <> 0
    WHERE i.received_at >= %s AND i.received_at < %s
"""


class Log:
    """What was shown and said, as far as this process has read it."""

    def __init__(self) -> None:
        self._files: list[int] = []
        self._read_until = BEGINNING
        self.shown, self.actions = NOTHING_SHOWN, NOTHING_SAID

    def read_on(self, settled: timedelta) -> None:
        """Read what has come since the last time; all of it when the tables were emptied in between."""
        with connection.cursor() as cursor:
            cursor.execute(FILES)
            *files, now = cursor.fetchone()
            if files != self._files:
                self._files, self._read_until = files, BEGINNING
                self.shown, self.actions = NOTHING_SHOWN, NOTHING_SAID
            since, until = self._read_until, now - settled
            cursor.execute(NEW_SHOWN, [since, until, VARIANT])
            shown = np.array(cursor.fetchall(), np.int64).reshape(-1, 2)
            cursor.execute(NEW_ACTIONS, [ITEMS, since, until])
            actions = np.array(cursor.fetchall(), np.float64).reshape(-1, 5)
        self._read_until = until
        self.shown = np.concatenate([self.shown, shown])
        self.actions = np.concatenate([self.actions, actions])

    def as_events(self, listing_ids: NDArray[np.int64]) -> FeedEvents:
        """The same in rows: items in the order of ``listing_ids``, users in any; without what is about other items."""
        shown = self.shown[np.isin(self.shown[:, 1], listing_ids)]
        actions = self.actions[np.isin(self.actions[:, 1], listing_ids)]
        actions = actions[np.lexsort((actions[:, 4], actions[:, 3]))]
        people, user_rows = np.unique(
            np.concatenate([shown[:, 0], actions[:, 0].astype(np.int64)]), return_inverse=True
        )
        order = np.argsort(listing_ids)
        item_rows = [
            order[np.searchsorted(listing_ids, rows[:, 1].astype(np.int64), sorter=order)] for rows in (shown, actions)
        ]
        return FeedEvents(
            shown_users=user_rows[: len(shown)],
            shown_items=item_rows[0],
            users=user_rows[len(shown) :],
            items=item_rows[1],
            signs=actions[:, 2].astype(np.int8),
            n_users=max(len(people), 1),
            n_items=len(listing_ids),
        )


_log = Log()
_log_lock = threading.Lock()


def forget_log() -> None:
    """Read all of the log anew at the next fit."""
    global _log
    with _log_lock:
        _log = Log()


def refresh_fit(settled: timedelta | None = None) -> bool:
    """Learn from what has happened until a moment ago; returns whether there was anything new.

    One at a time, whoever asks: a second caller leaves at once. So does one that comes too soon after a long fit.
    """
    with _log_lock, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return False
        now = timezone.now()
        before = FeedFit.objects.defer("content").first()
        if before and now - before.fitted_at < timedelta(seconds=IDLE_FACTOR * before.seconds):
            return False
        started = time.process_time()
        _log.read_on(SETTLED if settled is None else settled)
        known = (len(_log.shown), len(_log.actions))
        if before and known == (before.n_shown, before.n_actions):
            FeedFit.objects.update(fitted_at=now)
            return False
        if not before and not any(known):
            return False
        items = memory.items()
        model = fit_feed(_log.as_events(items.listing_ids), items.tags, config())
        FeedFit.objects.update_or_create(
            pk=1,
            defaults={
                "number": max(int(now.timestamp() * 1000), before.number + 1 if before else 0),
                "content": packed(model, items.listing_ids),
                "fitted_at": now,
                "seconds": time.process_time() - started,
                "n_shown": known[0],
                "n_actions": known[1],
            },
        )
    telemetry.FEED_FIT_SECONDS.observe(time.process_time() - started)
    return True


# --- Where no worker comes by ----------------------------------------------------------------------------------------

_attempted_at = float("-inf")
_attempt_lock = threading.Lock()


def ensure_fitted(fitted_at: datetime | None) -> None:
    """Learn in a thread of this process when nobody has for long; the caller does not wait."""
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
