"""The stock of one ranker version in memory: one matrix and the filter columns, exact for any filter.

An index is loaded once, then updated: triggers record every write to a listing or a vector in
``catalog_listingchange``, with its transaction id, and an index reads the rows it has not seen. A transaction that
began early and commits late is not missed, because reading resumes at the oldest transaction that was open the time
before.

The index is a copy: serving reads the rows of a list from the database last.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.utils import timezone
from numpy.typing import NDArray

from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import ListingQuerySet
from jobs.isolation import each_that_works
from recommendations.engine.columns import Columns
from recommendations.engine.draws import hashed
from recommendations.listings import shared
from recommendations.listings.cars import KeptCars, keys_of
from recommendations.listings.columns import with_room_for
from recommendations.listings.orders import KeptOrders
from recommendations.listings.rows import ListingRows, read_listings
from recommendations.listings.snapshot import Derived, ListingSnapshot
from recommendations.listings.texts import KeptTexts
from recommendations.listings.utilities import KeptUtilities
from recommendations.listings.vectors import read_similar, read_vectors
from recommendations.models import SIMILAR_DIMENSIONS
from recommendations.models.artifacts import load_ranker
from recommendations.telemetry import WINDOW_LISTINGS, WINDOW_SYNC_SECONDS

logger = logging.getLogger(__name__)
UPDATED_PER_SYNC = 2000  # listings; after a large import an index catches up in parts, so that no reader waits long
SEEN_AT_MOST = 4 * UPDATED_PER_SYNC  # lines that are read again for each question what has changed


@dataclass(frozen=True, eq=False)
class Additions(Columns):
    """Listings with everything computed that the index holds: adding them only copies.

    Attributes:
        derived: Arrays that depend on the version's space.
        similar: Vectors for similar cars, shape (n, SIMILAR_DIMENSIONS).
    """

    derived: Derived
    similar: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.similar)

    @property
    def listing_ids(self) -> NDArray[np.int64]:
        return self.derived.rows.listing_ids


@dataclass(frozen=True, eq=False)
class Update:
    """Changed listings: those the index holds from now on, and those that belong in it but could not be encoded.

    ``car_keys`` are those of existing listings; None where they were not read, since no car was known.
    """

    listing_ids: set[int]
    additions: list[Additions]
    left_out: frozenset[int] = frozenset()
    car_keys: Mapping[int, str] | None = None

    @classmethod
    def of(cls, rows: ListingRows, additions: list[Additions]) -> Update:
        taken = {key for part in additions for key in part.listing_ids.tolist()}
        listing_ids = set(rows.listing_ids.tolist())
        return cls(listing_ids, additions, frozenset(listing_ids - taken))


class ListingIndex(ListingSnapshot):
    """The stock of one ranker version. Threads take turns by ``borrow_index``.

    Rows are listings for sale, reserved, or ended within ``settings.WINDOW_LOOKBACK_DAYS`` (choices of the past need
    the stock of the past). ``is_complete`` is false where more is for sale than ``settings.WINDOW_MAX_LISTINGS``: then
    it is a uniform sample, used for the alternatives of choices, and pgvector answers queries.
    """

    def __init__(self, version_id: int, taken_down: shared.Shared | None = None) -> None:
        super().__init__(load_ranker(version_id))
        started = time.monotonic()
        self.version_id = version_id
        self.loaded_at = self.synced_at = started
        # from which transaction on to read again, and the lines from there on that were seen: line -> its transaction
        self._position: tuple[int, dict[int, int]] = read_oldest_open_transaction(), {}
        self._similar = np.empty((0, SIMILAR_DIMENSIONS), np.float32)
        self._similar_squares = np.empty(0, np.float32)  # of their lengths
        # replaced as a whole, because readers look at them without taking turns
        self._pending_ids: frozenset[int] = frozenset()  # changed listings that no sync has come to yet
        self._left_out: frozenset[int] = frozenset()  # listings that belong here, but could not be taken in
        self._orders, self._texts, self._utilities = KeptOrders(), KeptTexts(), KeptUtilities()
        self.cars = KeptCars()
        self.is_complete, self._share = True, 1.0
        if taken_down:
            self.restore(taken_down.arrays, taken_down.rest)
            self.sync()
            while self.is_behind:
                self.sync()
        else:
            self._load()
        WINDOW_LISTINGS.set(len(self))
        how = "mapped" if taken_down else "read"
        seconds = time.monotonic() - started
        logger.info("listing index of v%s: %s listings %s in %.2f s", version_id, len(self), how, seconds)

    def _load(self) -> None:
        """Read everything from the database."""
        n_live = Listing.objects.available().cars().count()
        self.is_complete = n_live <= settings.WINDOW_MAX_LISTINGS
        self._share = 1.0 if self.is_complete else settings.WINDOW_MAX_LISTINGS / n_live
        rows = self._sampled(read_listings(indexed_listings(Listing.objects.all())))
        update = Update.of(rows, self._worked_out(rows, read_vectors(self.version_id), read_similar(self.version_id)))
        self._left_out = update.left_out
        for additions in update.additions:
            self._add(additions)

    def taken_down(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return its current content; only the updating thread may call this, since updates write in place."""
        arrays, rest = super().taken_down()
        arrays |= {"similar": self._similar, "similar_squares": self._similar_squares}
        since, seen = self._position
        rest |= {
            "position": [since, list(seen.items())],
            "pending": sorted(self._pending_ids),
            "left_out": sorted(self._left_out),
            "loaded_at": time.time() - (time.monotonic() - self.loaded_at),
        }
        return arrays, rest

    def restore(self, arrays: Mapping[str, NDArray[Any]], rest: Mapping[str, Any]) -> None:
        super().restore(arrays, rest)
        self._similar, self._similar_squares = arrays["similar"], arrays["similar_squares"]
        since, seen = rest["position"]
        self._position = since, dict(seen)
        self._pending_ids, self._left_out = frozenset(rest["pending"]), frozenset(rest["left_out"])
        self.loaded_at = time.monotonic() - (time.time() - rest["loaded_at"])

    def sync(self) -> None:
        """Apply everything committed before this call."""
        self.apply(self.read_update())

    def read_update(self) -> Update:
        """Read what was committed since the last update and compute its arrays; readers see no change.

        One thread at a time may call this.
        """
        with WINDOW_SYNC_SECONDS.time():
            resume_at = read_oldest_open_transaction()
            since, seen = self._position
            lines = read_changes(since)
            # first what is pending, then the position: a reader who sees the second also sees the first
            self._pending_ids |= {listing_id for line, _, listing_id in lines if line not in seen}
            self._position = resume_at, {line: at for line, at, _ in lines if at >= resume_at}
            listing_ids = sorted(self._pending_ids)[:UPDATED_PER_SYNC]
            if not listing_ids:
                return Update(set(), [])
            rows = self._sampled(read_listings(indexed_listings(Listing.objects.filter(pk__in=listing_ids))))
            stored, similar = read_vectors(self.version_id, listing_ids), read_similar(self.version_id, listing_ids)
            additions = self._worked_out(rows, stored, similar)
            car_keys = keys_of(listing_ids) if self.cars else None
            return replace(Update.of(rows, additions), listing_ids=set(listing_ids), car_keys=car_keys)

    def read_undecided(self, at_most: int) -> set[int] | None:
        """Return listings for which the database may differ from this index, by everything committed before this call:
        they changed and were not applied yet, or could not be encoded.

        None where there are more than ``at_most``, or where a long transaction requires many changes to be read again.
        It queries the database, and needs no lock.
        """
        since, seen = self._position
        if len(seen) > SEEN_AT_MOST:
            return None
        lines = read_changes(since, at_most + len(seen) + 1)
        unseen = {listing_id for line, _, listing_id in lines if line not in seen}
        undecided = unseen | self._pending_ids | self._left_out
        return undecided if len(lines) <= at_most + len(seen) and len(undecided) <= at_most else None

    @property
    def is_behind(self) -> bool:
        """Whether there are more changes than one update applies."""
        return bool(self._pending_ids)

    def apply(self, update: Update) -> None:
        """Apply an update that was read before; it only copies, so that readers hardly wait."""
        if update.listing_ids:
            self._left_out = (self._left_out - update.listing_ids) | update.left_out
            self.forget(update.listing_ids.difference(*(part.listing_ids.tolist() for part in update.additions)))
            for additions in update.additions:
                self._add(additions)
            if update.car_keys is None:
                self.cars.forget()
            else:
                self.cars.note(update.listing_ids, update.car_keys)
            WINDOW_LISTINGS.set(len(self))
            self._pending_ids -= update.listing_ids
        self.synced_at = time.monotonic()

    def forget(self, listing_ids: Collection[int]) -> None:
        super().forget(listing_ids)
        rows = [self._row_by_listing_id[key] for key in listing_ids if key in self._row_by_listing_id]
        self._note(np.array(rows, np.intp))

    def _note(self, rows: NDArray[np.intp]) -> None:
        """Report changed rows."""
        if len(rows):
            self._orders.note(rows)
            self._texts.note(rows)
            self._utilities.note(rows)

    def rows_in(self, ordering: str) -> NDArray[np.intp]:
        """Return all rows in an order of ``orders``; read-only, and valid until the next update."""
        return self._orders.rows_in(ordering, self)

    def utilities(self, weights: NDArray[np.floating], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return self._utilities.of(weights, rows, len(self), lambda missing: self.products(weights, missing))

    def having_words(self, text: str) -> NDArray[np.bool_]:
        """Return which rows match a text, by the database; cached, and queried again for changed rows."""
        return self._texts.mask_of(text, self.stock.listing_ids)

    def prepare_words(self, text: str) -> None:
        """Query which listings match a text, unless cached. It needs no lock."""
        self._texts.prepare(text)

    def vectors_elsewhere(self, listing_ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return vectors of listings that ended long ago: from the table, else computed."""
        stored_ids, stored, _ = read_vectors(self.version_id, listing_ids)
        missing = set(listing_ids) - set(stored_ids.tolist())
        if not missing:
            return stored_ids, stored
        rows = read_listings(Listing.objects.filter(pk__in=missing))
        made = self.ranker.vectors(rows.table)
        return np.concatenate([stored_ids, rows.listing_ids]), np.concatenate([stored, made])

    def _worked_out(
        self,
        rows: ListingRows,
        stored: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]],
        similar: tuple[NDArray[np.int64], NDArray[np.float32]],
    ) -> list[Additions]:
        """Return listings with the vectors of ``read_vectors`` and ``read_similar``, without those that cannot be
        encoded.

        Missing or outdated vectors are computed here, which takes microseconds; workers store them, because the index
        of the table makes storing a thousand times slower.
        """
        vectors, is_current = match_vectors(rows, *stored)
        near, is_placed = match_similar(rows, *similar)
        is_placed &= is_current

        def work_out(at: Sequence[int]) -> list[Additions]:
            part = np.array(at, np.intp)
            outdated, missing = part[~is_current[part]], part[~is_placed[part]]
            if len(outdated):
                vectors[outdated] = self.ranker.vectors(rows.table.take(outdated))
            if len(missing):
                near[missing] = self.ranker.similarity.vectors(rows.table.take(missing))
            if len(part) == len(rows):  # all of them, as they are: a copy of a hundred thousand vectors takes its time
                return [Additions(Derived.of(self.ranker, rows, vectors), near)]
            return [Additions(Derived.of(self.ranker, rows.take(part), vectors[part]), near[part])]

        return each_that_works(range(len(rows)), work_out, batch="listings in memory")

    def _add(self, additions: Additions) -> None:
        """Add listings to the index, except those with errors, which are removed."""
        listing_ids = additions.listing_ids

        def write(at: Sequence[int]) -> list[int]:
            part = additions if len(at) == len(additions) else additions.take(np.array(at, np.intp))
            self.write(part.derived)
            self._similar = with_room_for(self._similar, len(self), 0.0)
            self._similar_squares = with_room_for(self._similar_squares, len(self), 0.0)
            own, near = self.stock.rows_of(part.listing_ids), part.similar
            self._similar[own], self._similar_squares[own] = near, np.einsum("ij,ij->i", near, near)
            self._note(own)
            return []

        def leave_out(row: int, _error: Exception) -> list[int]:
            self._left_out |= {int(listing_ids[row])}
            self.forget([int(listing_ids[row])])
            return []

        each_that_works(range(len(additions)), write, batch="listings in memory", on_fault=leave_out)

    def nearest(
        self,
        vector: NDArray[np.floating],
        k: int,
        filters: ListingFilters | None = None,
        exclude: Collection[int] = (),
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the k live listings most similar to a car, as ids and distances, nearest first, ties by id.

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
        if len(rows) > 2 * k + 10:  # by the value of the last: argpartition takes ten times as long
            rows = rows[roughly <= np.partition(roughly, 2 * k + 10)[2 * k + 10]]
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
    """Return stored vectors in the order of the listings, zero where none is stored; and which are up to date."""
    order = np.argsort(stored_ids)
    at = np.searchsorted(stored_ids, rows.listing_ids, sorter=order)
    source = order[np.minimum(at, max(len(order) - 1, 0))] if len(order) else np.zeros(len(rows), np.intp)
    found = stored_ids[source] == rows.listing_ids if len(order) else np.zeros(len(rows), bool)
    if found.all():
        vectors = stored_vectors[source]
    else:
        vectors = np.zeros((len(rows), stored_vectors.shape[1]), np.float32)
        vectors[found] = stored_vectors[source[found]]
    is_current = found.copy()
    table = rows.table if found.all() else rows.table.take(np.flatnonzero(found))
    is_current[found] = table.digests() == stored_digests[source[found]]
    return vectors, is_current


def match_similar(
    rows: ListingRows, stored_ids: NDArray[np.int64], stored: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return stored vectors for similar cars in the order of the listings, and which exist; ``stored_ids`` ascend."""
    near = np.zeros((len(rows), SIMILAR_DIMENSIONS), np.float32)
    if not len(stored_ids):
        return near, np.zeros(len(rows), bool)
    at = np.minimum(np.searchsorted(stored_ids, rows.listing_ids), len(stored_ids) - 1)
    is_known = stored_ids[at] == rows.listing_ids
    near[is_known] = stored[at[is_known]]
    return near, is_known


def indexed_listings(listings: ListingQuerySet) -> ListingQuerySet:
    """Select the listings that an index holds: for sale or reserved, or ended not long ago."""
    ended_lately = Q(ended_at__gte=timezone.now() - timedelta(days=settings.WINDOW_LOOKBACK_DAYS))
    return listings.cars().filter(Q(status__in=[Listing.Status.LIVE, Listing.Status.RESERVED]) | ended_lately)


def read_oldest_open_transaction() -> int:
    """Return the number below which every transaction has ended and is visible."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        oldest: int = cursor.fetchone()[0]
        return oldest


def read_changes(since_transaction: int, at_most: int | None = None) -> list[tuple[int, int, int]]:
    """Return rows of the change log from a transaction on: id, transaction, listing; at most ``at_most``, in any order.

    Rows of future transactions are left out: after a restore into a new cluster, whose transaction ids start again
    below the old ones, they would be read again and again. Our own transaction counts as past, though a snapshot does
    not.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, transaction_id, listing_id FROM catalog_listingchange WHERE transaction_id >= %s AND "
            "(transaction_id < pg_snapshot_xmax(pg_current_snapshot())::text::bigint "
            "OR transaction_id = pg_current_xact_id_if_assigned()::text::bigint) LIMIT %s",
            [since_transaction, at_most],
        )
        changes: list[tuple[int, int, int]] = cursor.fetchall()
        return changes
