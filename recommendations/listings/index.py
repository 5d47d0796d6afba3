"""The live stock in memory: one matrix and the filter columns per process, exact for any filter.

A window belongs to one ranker version. It is loaded once, then kept in step: every write to a listing or a vector is
noted in ``catalog_listingchange`` by triggers, with its transaction id, and a window that is more than a moment
behind reads the lines it has not seen. A transaction that began early and commits late is not missed, because
reading resumes at the oldest transaction that was still open the time before.

The window is a fast copy and never the truth: serving reads the rows of a list from the database last.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from jobs.isolation import each_that_works
from recommendations.engine.stock import hashed
from recommendations.exceptions import RankerRefused
from recommendations.listings.columns import with_room_for
from recommendations.listings.rows import ListingRows, read_listings
from recommendations.listings.snapshot import ListingSnapshot
from recommendations.listings.vectors import read_similar, read_vectors
from recommendations.models import SIMILAR_DIMENSIONS, RankerVersion
from recommendations.models.artifacts import load_ranker
from recommendations.telemetry import WINDOW_LISTINGS, WINDOW_SYNC_SECONDS

logger = logging.getLogger(__name__)

UPDATED_PER_SYNC = 2000  # listings; after a large import a window catches up over a few requests, not within one
RELOAD_AFTER_ASLEEP_SECONDS = 1800  # lines of changes are swept after an hour (tasks.maintenance)
RELOAD_AFTER_SECONDS = 86_400  # to let go of listings that ended long ago


class ListingIndex(ListingSnapshot):
    """The stock of one ranker version. Threads take turns by ``borrow_index``.

    Rows are listings for sale, reserved, or ended within ``settings.WINDOW_LOOKBACK_DAYS`` (choices of the past need
    the stock of the past). ``is_complete`` is false where more is for sale than ``settings.WINDOW_MAX_LISTINGS``:
    then the window is an even sample, good as a background for choices, and pgvector answers queries.
    """

    def __init__(self, version_id: int) -> None:
        super().__init__(load_ranker(version_id))
        started = time.monotonic()
        self.version_id = version_id
        self.loaded_at = self.synced_at = started
        self._resume_at = read_oldest_open_transaction()
        self._seen_lines: dict[int, int] = {}  # line -> its transaction, for lines that will be read again
        self._similar = np.empty((0, SIMILAR_DIMENSIONS), np.float32)
        self._similar_squares = np.empty(0, np.float32)  # of their lengths
        self._pending_ids: set[int] = set()  # changed listings that no sync has come to yet
        n_live = Listing.objects.available().cars().count()
        self.is_complete = n_live <= settings.WINDOW_MAX_LISTINGS
        self._share = 1.0 if self.is_complete else settings.WINDOW_MAX_LISTINGS / n_live
        rows = self._sampled(read_listings(indexed_listings(Listing.objects.all())))
        self._store_rows(rows, read_vectors(version_id), read_similar(version_id))
        logger.info("window of v%s: %s listings in %.2f s", version_id, len(self), time.monotonic() - started)

    def sync(self) -> None:
        """Bring the window in step with everything committed before this call."""
        with WINDOW_SYNC_SECONDS.time():
            resume_at = read_oldest_open_transaction()
            lines = read_changes(self._resume_at)
            changed = {listing_id for line, _, listing_id in lines if line not in self._seen_lines}
            self._seen_lines = {line: transaction for line, transaction, _ in lines if transaction >= resume_at}
            self._resume_at = resume_at
            self._pending_ids |= changed
            if self._pending_ids:
                self._update(sorted(self._pending_ids)[:UPDATED_PER_SYNC])
            self.synced_at = time.monotonic()

    def vectors_elsewhere(self, listing_ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Vectors of listings that ended long ago: from the table, else made on the spot."""
        stored_ids, stored, _ = read_vectors(self.version_id, listing_ids)
        rows = read_listings(Listing.objects.filter(pk__in=set(listing_ids) - set(stored_ids.tolist())))
        made = self.ranker.vectors(rows.table)
        return np.concatenate([stored_ids, rows.listing_ids]), np.concatenate([stored, made])

    def _update(self, listing_ids: list[int]) -> None:
        rows = self._sampled(read_listings(indexed_listings(Listing.objects.filter(pk__in=listing_ids))))
        self.forget(set(listing_ids) - set(rows.listing_ids.tolist()))
        if len(rows):
            self._store_rows(
                rows, read_vectors(self.version_id, listing_ids), read_similar(self.version_id, listing_ids)
            )
        self._pending_ids.difference_update(listing_ids)

    def _store_rows(
        self,
        rows: ListingRows,
        stored: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]],
        similar: tuple[NDArray[np.int64], NDArray[np.float32]],
    ) -> None:
        """Put listings into the window with their stored vectors, as ``read_vectors`` and ``read_similar`` found them.

        Vectors that are missing or out of date are made here and now, which takes microseconds; storing them is left
        to the workers, because the index of the table makes that a thousand times slower.
        """
        vectors, is_current = match_vectors(rows, *stored)

        def put(at: Sequence[int]) -> list[int]:
            part = np.array(at, np.intp)
            outdated = part[~is_current[part]]
            if len(outdated):
                vectors[outdated] = self.ranker.vectors(rows.table.take(outdated))
            self.put(rows.take(part), vectors[part])
            return []

        def leave_out(row: int, _error: Exception) -> list[int]:
            self.forget([int(rows.listing_ids[row])])
            return []

        each_that_works(range(len(rows)), put, batch="listings in memory", on_fault=leave_out)
        self._put_similar(rows, *similar, is_current)
        WINDOW_LISTINGS.set(len(self))

    def _put_similar(
        self,
        rows: ListingRows,
        stored_ids: NDArray[np.int64],
        stored: NDArray[np.float32],
        is_current: NDArray[np.bool_],
    ) -> None:
        """Where the listings lie among similar cars: as stored, else made on the spot. ``stored_ids`` are sorted."""
        at = np.minimum(np.searchsorted(stored_ids, rows.listing_ids), max(len(stored_ids) - 1, 0))
        is_known = is_current & (stored_ids[at] == rows.listing_ids) if len(stored_ids) else np.zeros(len(rows), bool)
        vectors = np.empty((len(rows), SIMILAR_DIMENSIONS), np.float32)
        vectors[is_known] = stored[at[is_known]]
        missing = np.flatnonzero(~is_known)
        if len(missing):
            vectors[missing] = self.ranker.similarity.vectors(rows.table.take(missing))
        self._similar = with_room_for(self._similar, len(self), 0.0)
        self._similar_squares = with_room_for(self._similar_squares, len(self), 0.0)
        own = self.stock.rows_of(rows.listing_ids)
        self._similar[own], self._similar_squares[own] = vectors, np.einsum("ij,ij->i", vectors, vectors)

    def nearest(
        self,
        vector: NDArray[np.floating],
        k: int,
        filters: ListingFilters | None = None,
        exclude: Collection[int] = (),
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k live listings most like a car, as ids and distances, the nearest first, ties by id.

        Args:
            vector: Of the car, as ``Ranker.similarity`` makes it, shape (SIMILAR_DIMENSIONS,).
            k, filters, exclude: As in ``best``.
        """
        rows = np.flatnonzero(self.allowed(filters or ListingFilters(), exclude))
        if not len(rows) or k <= 0:
            return np.empty(0, np.int64), np.empty(0)
        vector = np.asarray(vector, np.float32)
        # the square of a difference needs one product; rounding may swap near ones, so a few more are compared exactly
        roughly = (self._similar_squares[: len(self)] - 2.0 * (self._similar[: len(self)] @ vector))[rows]
        if len(rows) > 2 * k + 10:
            rows = rows[np.argpartition(roughly, 2 * k + 10)[: 2 * k + 10]]
        distances = np.linalg.norm(self._similar[rows].astype(np.float64) - vector, axis=1)
        order = np.lexsort((self.stock.listing_ids[rows], distances))[:k]
        return self.stock.listing_ids[rows[order]], distances[order]

    def _sampled(self, rows: ListingRows) -> ListingRows:
        if self.is_complete:
            return rows
        return rows.take(np.flatnonzero(hashed(rows.listing_ids, 0).astype(np.float64) < self._share * 2.0**64))


def match_vectors(
    rows: ListingRows,
    stored_ids: NDArray[np.int64],
    stored_vectors: NDArray[np.float32],
    stored_digests: NDArray[np.int64],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Stored vectors in the order of the listings, zero where none is stored; and which still fit their listing."""
    order = np.argsort(stored_ids)
    at = np.searchsorted(stored_ids, rows.listing_ids, sorter=order)
    source = order[np.minimum(at, max(len(order) - 1, 0))] if len(order) else np.zeros(len(rows), np.intp)
    found = stored_ids[source] == rows.listing_ids if len(order) else np.zeros(len(rows), bool)
    vectors = np.zeros((len(rows), stored_vectors.shape[1]), np.float32)
    vectors[found] = stored_vectors[source[found]]
    is_current = found.copy()
    is_current[found] = rows.table.take(np.flatnonzero(found)).digests() == stored_digests[source[found]]
    return vectors, is_current


def indexed_listings(listings: ListingQuerySet) -> ListingQuerySet:
    """Listings a window keeps: for sale or reserved, or ended not long ago."""
    ended_lately = Q(ended_at__gte=timezone.now() - timedelta(days=settings.WINDOW_LOOKBACK_DAYS))
    return listings.cars().filter(Q(status__in=[Listing.Status.LIVE, Listing.Status.RESERVED]) | ended_lately)


def read_oldest_open_transaction() -> int:
    """Every transaction below this number has ended, and what it committed is visible."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        return cursor.fetchone()[0]


def read_changes(since_transaction: int) -> list[tuple[int, int, int]]:
    """Lines of the change log from a transaction on: line, transaction, listing.

    Lines of the future are left out: after a restore into a new cluster, whose transaction ids start again below the
    old ones, they would be read over and over. Our own transaction is not the future, though a snapshot says so.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, transaction_id, listing_id FROM catalog_listingchange WHERE transaction_id >= %s AND "
            "(transaction_id < pg_snapshot_xmax(pg_current_snapshot())::text::bigint "
            "OR transaction_id = pg_current_xact_id_if_assigned()::text::bigint)",
            [since_transaction],
        )
        return cursor.fetchall()


# --- One window per process ------------------------------------------------------------------------------------------

_lock = threading.RLock()
_index: ListingIndex | None = None
_checked_at = float("-inf")
_n_borrowed = 0  # blocks of the thread that holds the lock


@contextmanager
def borrow_index(*, is_stale_allowed: bool = False) -> Iterator[ListingIndex | None]:
    """The window of the live version, in step, for the length of a block; None before the first promotion.

    Other threads of the process wait, so take what you need and leave. A version promoted or rolled back anywhere
    is followed here, at most ``settings.WINDOW_STALENESS_SECONDS`` later. Where the database does not answer, a caller
    that needs nothing else of it may have the window as it was (``is_stale_allowed``); others get the database's error.
    """
    global _n_borrowed
    with _lock:
        if not _n_borrowed:  # a borrower who calls another must not have the window changed underneath
            try:
                _follow_live_version()
            except (OperationalError, InterfaceError):
                if not is_stale_allowed or _index is None:
                    raise
        _n_borrowed += 1
        try:
            yield _index
        finally:
            _n_borrowed -= 1


def drop_index() -> None:
    """Drop the window, so that the next reader loads a new one."""
    global _index, _checked_at
    with _lock:
        _index, _checked_at = None, float("-inf")


def _follow_live_version() -> None:
    global _index, _checked_at
    now = time.monotonic()
    if now - _checked_at <= settings.WINDOW_STALENESS_SECONDS:
        return
    live_id = RankerVersion.objects.filter(status=RankerVersion.Status.LIVE).values_list("id", flat=True).first()
    if live_id is None:
        _index = None
    elif _index is None or _index.version_id != live_id or is_too_old(_index, now):
        try:
            _index = ListingIndex(live_id)
        except RankerRefused as refusal:
            logger.error("cannot load the live ranker: %s", refusal)
            _index = None
    else:
        _index.sync()
    _checked_at = time.monotonic()


def is_too_old(listing_index: ListingIndex, now: float) -> bool:
    return (
        now - listing_index.synced_at > RELOAD_AFTER_ASLEEP_SECONDS
        or now - listing_index.loaded_at > RELOAD_AFTER_SECONDS
    )
