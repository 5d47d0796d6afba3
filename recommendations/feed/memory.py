"""What a process knows of the items and of what was learned of them: arrays, ready for the next list.

Followed like the window follows its listings: by the log of changes, which every request looks at for a newer line.
So a list never lacks an item whose adding was acknowledged before it was asked for. What was learned is read when its
number has changed. Readers hold one ``View``, which never changes; a newer one takes its place.
"""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from django.conf import settings
from numpy.typing import NDArray
from scipy.sparse import csr_array

from catalog.models import Listing
from catalog.querysets import ITEMS
from recommendations.engine.arrays import Array
from recommendations.feed.model import FeedConfig, FeedEvents, FeedModel, fit_feed
from recommendations.feed.ranking import ItemScorer
from recommendations.listings.listing_index import read_changes, read_oldest_open_transaction
from recommendations.models import FeedFit

logger = logging.getLogger(__name__)

EVERYTHING = 0  # as a listing's id in the log of changes: all listings may have changed
CATCH_UP_SECONDS = 1.0  # a transaction that began early and commits late has an older line than those already read
RELOAD_AFTER_ASLEEP_SECONDS = 1800  # lines of changes are swept after an hour


def config(has_genres: bool) -> FeedConfig:
    """How much is believed; without genres, likes of pairs are all there is to go by, so more of them are."""
    usual = FeedConfig(most_items=settings.FEED_MODEL_ITEMS)
    if has_genres:
        return usual
    return replace(usual, pair_strength=1.0, fewest_likes=1, n_pairs=usual.n_neighbours * usual.most_items)


@dataclass(frozen=True, eq=False)
class Items:
    """All items, live or not, one row each; rows keep their place for as long as the process lives.

    Attributes:
        listing_ids: Keys, shape (n_items,).
        names: The ids that client systems know.
        row_of: Row by listing id; ``listing_id_of``: key by the client's id.
    """

    listing_ids: NDArray[np.int64]
    names: list[str]
    is_live: NDArray[np.bool_]
    tags: csr_array
    row_of: dict[int, int]
    listing_id_of: dict[str, int]

    def rows_of(self, listing_ids: Iterable[int]) -> NDArray[np.intp]:
        """Rows of the listings that are items, in their order; the others are left out."""
        row_of = self.row_of
        return np.array([row_of[each] for each in listing_ids if each in row_of], np.intp)


@dataclass(frozen=True, eq=False)
class View:
    items: Items
    scorer: ItemScorer
    fit_number: int | None


@dataclass
class _ItemArrays:
    """Rows under construction: plain lists that grow."""

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
        """Deleted listings keep their row, and are not live."""
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
    """One per process. Threads take turns where something is to be read; most requests find nothing to read."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Read everything anew at the next question."""
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
        """Items and what was learned, no older than the two numbers a request has just read."""
        view = self._view
        is_followed = newest_change is None or (self._change is not None and newest_change <= self._change)
        is_recent = time.monotonic() - self._looked_at < CATCH_UP_SECONDS
        if view is not None and is_followed and is_recent and view.fit_number == fit_number:
            return view
        with self._lock:
            return self._brought_up_to_date(newest_change, fit_number)

    def items(self) -> Items:
        """Items as they are now."""
        with self._lock:
            self._follow_items(None)
            assert self._items is not None  # noqa: S101 (for the type checker)
            return self._items

    def known_items(self) -> Items | None:
        """Items as they were a moment ago; None before the first look."""
        return self._items

    def note_liked(self, names: Iterable[str]) -> None:
        """Let likes count for everybody at once, as far as this process serves them."""
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
        model = model_of(arrays, self._items)
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
    """Key, the client's id, status and genres of all items, or of the items among some listings; by key."""
    items = Listing.objects.filter(source=ITEMS, external_id__isnull=False)
    if listing_ids is not None:
        items = items.filter(pk__in=listing_ids)
    rows = items.order_by("pk").values_list("pk", "external_id", "status", "tags")
    return [(listing_id, str(name), status, tags) for listing_id, name, status, tags in rows]


# --- What was learned, as arrays -------------------------------------------------------------------------------------


def packed(model: FeedModel, listing_ids: NDArray[np.int64]) -> bytes:
    """A model as the content of a row: arrays by listing, since rows of items differ from process to process."""
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
    """The fit and its number, which may be a newer one by now; nothing when there is none."""
    found = FeedFit.objects.values_list("number", "content").first() if number is not None else None
    if found is None:
        return number, {}
    return found[0], unpacked(bytes(found[1]))


def unpacked(content: bytes) -> dict[str, Array]:
    """The arrays of a packed model."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def model_of(arrays: dict[str, Array], items: Items) -> FeedModel:
    """The model over a process's rows. Items that it does not know are as any item of their genres before the fit."""
    n_items = len(items.names)
    nothing = np.zeros(0, np.intp)
    fresh = fit_feed(
        FeedEvents(nothing, nothing, nothing, nothing, np.zeros(0, np.int8), 1, n_items),
        items.tags,
        config(bool(items.tags.nnz)),
    )
    if not arrays:
        return fresh
    order = np.argsort(items.listing_ids)
    at = np.minimum(np.searchsorted(items.listing_ids, arrays["listing_ids"], sorter=order), max(n_items - 1, 0))
    rows = order[at] if n_items else np.zeros(0, np.intp)
    known = items.listing_ids[rows] == arrays["listing_ids"] if n_items else np.zeros(0, bool)
    rows = np.where(known, rows, -1)
    means, deviations, n_shown = fresh.means.copy(), fresh.deviations.copy(), fresh.n_shown.copy()
    if known.any():
        # what is not known yet is as the average of what is, and as unsure as the least sure
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
