"""The items and the newest fit as arrays, in each process.

A process follows the items by the log of listing changes: each request compares the newest id of that log with the one
read last. So a list never lacks an item whose adding was acknowledged before the request. A fit is read when its number
has changed. A reader holds a ``View``, which never changes; newer data make a new one.
"""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from django.conf import settings
from numpy.typing import NDArray
from scipy.sparse import csr_array

from catalog.models import Listing
from catalog.querysets import ITEMS
from recommendations.engine.arrays import Array
from recommendations.feed.log import execute
from recommendations.feed.model import FeedConfig, FeedEvents, FeedModel, fit_feed
from recommendations.feed.ranking import ItemScorer
from recommendations.listings.listing_index import read_changes, read_oldest_open_transaction

logger = logging.getLogger(__name__)

EVERYTHING = 0  # this listing id in the log of changes means that all listings may have changed
CATCH_UP_SECONDS = 1.0  # a transaction that commits late has a lower id in that log than some already read
RELOAD_AFTER_ASLEEP_SECONDS = 1800  # rows of that log are removed after an hour


def config(has_genres: bool) -> FeedConfig:
    """Return the settings of a fit. Without genres only likes of pairs are left as evidence, so more pairs are used."""
    usual = FeedConfig(most_items=settings.FEED_MODEL_ITEMS)
    if has_genres:
        return usual
    return replace(usual, pair_strength=1.0, fewest_likes=1, n_pairs=usual.n_neighbours * usual.most_items)


@dataclass(frozen=True, eq=False)
class Items:
    """All items, live or not, in one row each; an item keeps its row as long as the process runs.

    Attributes:
        listing_ids: Keys, shape (n_items,).
        names: The client's ids.
        is_live: Whether an item may be listed, shape (n_items,).
        tags: 1 where an item has a genre, shape (n_items, n_tags).
        row_of: Row by listing id.
        listing_id_of: Listing id by the client's id.
    """

    listing_ids: NDArray[np.int64]
    names: list[str]
    is_live: NDArray[np.bool_]
    tags: csr_array
    row_of: dict[int, int]
    listing_id_of: dict[str, int]

    def rows_of(self, listing_ids: Iterable[int]) -> NDArray[np.intp]:
        """Return the rows of those listings that are items, in their order."""
        row_of = self.row_of
        return np.array([row_of[each] for each in listing_ids if each in row_of], np.intp)

    @cached_property
    def prior_model(self) -> FeedModel:
        """The model without events: each item has the base rate, and no neighbours."""
        nothing = np.zeros(0, np.intp)
        events = FeedEvents(nothing, nothing, nothing, nothing, np.zeros(0, np.int8), 1, len(self.names))
        return fit_feed(events, self.tags, config(bool(self.tags.nnz)))


@dataclass(frozen=True, eq=False)
class View:
    """Items and a scorer of one fit over them."""

    items: Items
    scorer: ItemScorer
    fit_number: int | None


@dataclass
class _ItemArrays:
    """Items under construction, in lists that grow."""

    listing_ids: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    is_live: list[bool] = field(default_factory=list)
    tags: list[list[int]] = field(default_factory=list)
    row_of: dict[int, int] = field(default_factory=dict)
    column_of: dict[str, int] = field(default_factory=dict)

    def put(self, listing_id: int, name: str, status: str, tags: Sequence[str]) -> None:
        row = self.row_of.get(listing_id)
        columns = [self.column_of.setdefault(tag, len(self.column_of)) for tag in dict.fromkeys(tags)]
        if row is None:
            self.row_of[listing_id] = len(self.listing_ids)
            self.listing_ids.append(listing_id)
            self.names.append(name)
            self.is_live.append(status == Listing.Status.LIVE)
            self.tags.append(columns)
        else:
            self.is_live[row], self.tags[row] = status == Listing.Status.LIVE, columns

    def forget(self, listing_ids: Iterable[int]) -> None:
        """Mark deleted listings as not live; they keep their rows."""
        for listing_id in listing_ids:
            if (row := self.row_of.get(listing_id)) is not None:
                self.is_live[row] = False

    def items(self) -> Items:
        lengths = np.fromiter(map(len, self.tags), np.intp, len(self.tags))
        columns = np.fromiter((column for row in self.tags for column in row), np.intp, int(lengths.sum()))
        ends = np.concatenate([[0], np.cumsum(lengths)])
        shape = (len(self.tags), len(self.column_of))
        return Items(
            np.array(self.listing_ids, np.int64),
            list(self.names),
            np.array(self.is_live, bool),
            csr_array((np.ones(len(columns)), columns, ends), shape=shape),
            dict(self.row_of),
            dict(zip(self.names, self.listing_ids, strict=True)),
        )


class Memory:
    """The items and the fit of this process. Threads take turns at reading; most requests find nothing new to read."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Make the next call read everything again."""
        with self._lock:
            self._arrays = _ItemArrays()
            self._items: Items | None = None
            self._view: View | None = None
            self._fit: tuple[int | None, dict[str, Array]] = (None, {})
            self._change: int | None = None
            self._resume_at = 0
            self._seen_lines: dict[int, int] = {}
            self._looked_at = float("-inf")

    def view(self, newest_change: int | None, fit_number: int | None) -> View:
        """Return items and fit that are no older than the two numbers, which a request has just read."""
        view = self._view
        is_followed = newest_change is None or (self._change is not None and newest_change <= self._change)
        is_recent = time.monotonic() - self._looked_at < CATCH_UP_SECONDS
        if view is not None and is_followed and is_recent and view.fit_number == fit_number:
            return view
        with self._lock:
            return self._brought_up_to_date(newest_change, fit_number)

    def items(self) -> Items:
        """Read the changes, and return the items."""
        with self._lock:
            self._follow_items(None)
            assert self._items is not None  # noqa: S101 (for the type checker)
            return self._items

    def known_items(self) -> Items | None:
        """Return the items as this process read them last; None before the first time."""
        return self._items

    def note_liked(self, names: Iterable[str]) -> None:
        """Count likes in the scores of this process at once, before the next fit."""
        if view := self._view:
            listing_id_of = view.items.listing_id_of
            rows = view.items.rows_of(listing_id_of[name] for name in names if name in listing_id_of)
            if len(rows):
                view.scorer.note_liked(rows)

    def _brought_up_to_date(self, newest_change: int | None, fit_number: int | None) -> View:
        before = self._items
        is_followed = newest_change is None or (self._change is not None and newest_change <= self._change)
        if not is_followed or time.monotonic() - self._looked_at >= CATCH_UP_SECONDS or self._view is None:
            self._follow_items(newest_change)
        if fit_number != self._fit[0]:
            self._fit = read_fit(fit_number)
        if self._view is None or self._items is not before or self._view.fit_number != self._fit[0]:
            self._view = self._new_view()
        return self._view

    def _new_view(self) -> View:
        assert self._items is not None  # noqa: S101 (for the type checker)
        number, arrays = self._fit
        model = model_for_items(arrays, self._items)
        if self._view is not None and self._view.items is self._items:
            return View(self._items, self._view.scorer.with_model(model), number)
        return View(self._items, ItemScorer(model, self._items.tags, self._items.is_live), number)

    def _follow_items(self, newest_change: int | None) -> None:
        now = time.monotonic()
        resume_at = read_oldest_open_transaction()
        is_asleep = now - self._looked_at > RELOAD_AFTER_ASLEEP_SECONDS
        lines = [] if is_asleep else read_changes(self._resume_at)
        changed = {listing_id for line, _, listing_id in lines if line not in self._seen_lines}
        if is_asleep or EVERYTHING in changed:
            self._reload()
        elif changed:
            self._update(sorted(changed))
        self._seen_lines = {line: transaction for line, transaction, _ in lines if transaction >= resume_at}
        self._resume_at, self._looked_at = resume_at, now
        newest = max([newest_change or 0, self._change or 0, *(line for line, _, _ in lines)])
        self._change = newest or None

    def _reload(self) -> None:
        started = time.monotonic()
        self._arrays = _ItemArrays()
        for row in item_rows():
            self._arrays.put(*row)
        self._items = self._arrays.items()
        logger.info("items of the feed: %s in %.2f s", len(self._items.names), time.monotonic() - started)

    def _update(self, listing_ids: list[int]) -> None:
        rows = item_rows(listing_ids)
        known = [listing_id for listing_id in listing_ids if listing_id in self._arrays.row_of]
        if not rows and not known:  # cars
            return
        for row in rows:
            self._arrays.put(*row)
        self._arrays.forget(set(known) - {row[0] for row in rows})
        self._items = self._arrays.items()


def item_rows(listing_ids: Sequence[int] | None = None) -> list[tuple[int, str, str, list[str]]]:
    """Return listing id, client's id, status and genres of all items, or of the items among some listings; ordered by
    key."""
    items = Listing.objects.filter(source=ITEMS, external_id__isnull=False)
    if listing_ids is not None:
        items = items.filter(pk__in=listing_ids)
    rows = items.order_by("pk").values_list("pk", "external_id", "status", "tags")
    return [(listing_id, str(name), status, tags) for listing_id, name, status, tags in rows]


# --- Stored fits -----------------------------------------------------------------------------------------------------


def pack_model(model: FeedModel, listing_ids: NDArray[np.int64]) -> bytes:
    """Serialise a model with its listing ids, because the rows of items differ from process to process."""
    neighbours = model.neighbours.tocoo()
    buffer = io.BytesIO()
    np.savez(
        buffer,
        listing_ids=listing_ids,
        n_shown=model.n_shown,
        means=model.means,
        deviations=model.deviations,
        neighbour_rows=neighbours.row.astype(np.int32),
        neighbour_columns=neighbours.col.astype(np.int32),
        neighbour_values=neighbours.data.astype(np.float32),
        dislike_surprise=model.dislike_surprise,
        n_likes=model.n_likes,
    )
    return buffer.getvalue()


def read_fit(number: int | None) -> tuple[int | None, dict[str, Array]]:
    """Return the newest fit and its number, which may be higher than ``number``; no arrays when there is none."""
    found = execute("SELECT number, content FROM recommendations_feedfit", {}) if number is not None else None
    if not found:
        return number, {}
    return found[0][0], unpack_arrays(found[0][1])


def unpack_arrays(content: bytes) -> dict[str, Array]:
    """Return the arrays of a serialised model."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def model_for_items(arrays: dict[str, Array], items: Items) -> FeedModel:
    """Translate stored arrays into a model over the rows of this process.

    Items that the fit does not know get its median and its largest uncertainty; without a fit, the prior of their
    genres.
    """
    n_items, fresh = len(items.names), items.prior_model
    if not arrays:
        return fresh
    order = np.argsort(items.listing_ids)
    at = np.minimum(np.searchsorted(items.listing_ids, arrays["listing_ids"], sorter=order), max(n_items - 1, 0))
    rows = order[at] if n_items else np.zeros(0, np.intp)
    known = items.listing_ids[rows] == arrays["listing_ids"] if n_items else np.zeros(0, bool)
    rows = np.where(known, rows, -1)
    means, deviations, n_shown = fresh.means.copy(), fresh.deviations.copy(), fresh.n_shown.copy()
    if known.any():
        means[:] = np.median(arrays["means"])
        deviations[:] = arrays["deviations"].max()
    means[rows[known]], deviations[rows[known]] = arrays["means"][known], arrays["deviations"][known]
    n_shown[rows[known]] = arrays["n_shown"][known]
    of, to = rows[arrays["neighbour_rows"]], rows[arrays["neighbour_columns"]]
    both = (of >= 0) & (to >= 0)
    values = arrays["neighbour_values"][both].astype(np.float32)
    return replace(
        fresh,
        means=means,
        deviations=deviations,
        n_shown=n_shown,
        neighbours=csr_array((values, (of[both], to[both])), shape=(n_items, n_items)),
        dislike_surprise=float(arrays["dislike_surprise"]),
        n_likes=int(arrays["n_likes"]),
    )


memory = Memory()
