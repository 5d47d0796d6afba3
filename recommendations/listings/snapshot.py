"""Listings of one vector space in memory: their vectors, their filter columns, and searches over them.

The listing index of a serving process is a snapshot, and so is the archive that a training reads.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
from cachetools import LRUCache
from numpy.typing import ArrayLike, NDArray

from catalog.attributes import RANGES
from catalog.filters import ListingFilters
from recommendations.engine.arrays import Array
from recommendations.engine.columns import Columns
from recommendations.engine.features import ListingFeatures, Market
from recommendations.engine.ranker import Ranker
from recommendations.engine.stock import FOREVER, Stock
from recommendations.listings.columns import ListingColumns, text_matches, with_room_for
from recommendations.listings.rows import ListingRows

COLUMNS: dict[str, tuple[type, Any]] = {  # name -> dtype and what an empty row holds
    "listing_ids": (np.int64, 0),
    "names": (np.object_, ""),
    "published_at": (np.float64, np.nan),
    "ended_at": (np.float64, FOREVER),
    "is_live": (np.bool_, False),
    "seller_ids": (np.int64, 0),
    "seller_user_ids": (np.int64, 0),
    "promoted_until": (np.float64, np.nan),
}


OF_OBJECTS = [name for name, (dtype, _) in COLUMNS.items() if dtype is np.object_]  # no file that is mapped holds these
# by ``_refresh_views``
MADE_ANEW = ("stock", "state", "_typical", "_markets", "_live_samples", "_of_this_state", "searches")
ROW_BY_ID = "_row_by_listing_id"
KEPT_OF_A_STATE = 300  # answers of up to 16 kB
SEARCHES_KEPT = 4000  # some 2 kB each

T = TypeVar("T")
DERIVED = ("vectors", "archetypes", "deals", "is_plausible")  # what a ranker makes of the rows


@dataclass(frozen=True, eq=False)
class Derived(Columns):
    """Listings with the columns that a ranker computes for them; computing these takes longer than writing them."""

    rows: ListingRows
    vectors: NDArray[np.float32]
    archetypes: NDArray[np.int32]
    deals: NDArray[np.float64]
    is_plausible: NDArray[np.bool_]

    @classmethod
    def of(cls, ranker: Ranker, rows: ListingRows, vectors: NDArray[np.float32]) -> Self:
        archetypes = ranker.collaborative.archetypes.assign(rows.table)
        return cls(rows, vectors, archetypes, *ranker.prices.deals_and_plausibility(rows.table))


class ListingSnapshot:
    """Growable rows of listings; a listing keeps its row as long as the snapshot exists."""

    def __init__(self, ranker: Ranker) -> None:
        self.ranker = ranker
        self.columns = ListingColumns()
        self._row_by_listing_id: dict[int, int] = {}
        self._n_rows = 0
        self._arrays: dict[str, Array] = {name: np.empty(0, dtype) for name, (dtype, _) in COLUMNS.items()}
        self._vectors = np.empty((0, ranker.n_dims), np.float32)
        self._archetypes = np.empty(0, np.int32)
        self._deals = np.empty(0)
        self._is_plausible = np.empty(0, bool)
        self._markets: dict[int, tuple[float, Mapping[int, float], Market]]
        self._live_samples: dict[int, NDArray[np.intp]]
        self._typical: dict[str, float] | None
        self._of_this_state: LRUCache[Hashable, tuple[object, Any]]
        self.searches: LRUCache[Hashable, Any]  # of ``buyers.searches``, while the rows stay what they are
        self._refresh_views()

    def __len__(self) -> int:
        return self._n_rows

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, without spare rows and without columns that can be computed again.

        Equal names become one object. The rows by id are computed when first used: a worker of a training holds
        hundreds of thousands of listings and looks up few.
        """
        state = {name: value for name, value in self.__dict__.items() if name not in (*MADE_ANEW, ROW_BY_ID)}
        state["_arrays"] = {name: array[: self._n_rows] for name, array in self._arrays.items()}
        words: dict[Any, Any] = {}
        for name in OF_OBJECTS:
            alike = [words.setdefault(value, value) for value in self.column(name).tolist()]
            state["_arrays"][name] = np.array(alike, np.object_)
        return state | {f"_{name}": getattr(self, f"_{name}")[: self._n_rows] for name in DERIVED}

    def __getattr__(self, name: str) -> Any:
        """Compute the rows by id of a snapshot from another process when they are first read."""
        if name != ROW_BY_ID or "_arrays" not in self.__dict__:
            raise AttributeError(name)
        self._row_by_listing_id = {key: row for row, key in enumerate(self.column("listing_ids").tolist())}
        return self._row_by_listing_id

    def __copy__(self) -> Self:
        """Return a view that shares all columns."""
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        return copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._refresh_views()

    def taken_down(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return all columns as arrays by name, and all other state as JSON values; ``restore`` reverses it."""
        arrays, rest = self.columns.taken_down()
        arrays = {f"columns.{name}": array for name, array in arrays.items()}
        arrays |= {f"listing.{name}": array for name, array in self._arrays.items() if name not in OF_OBJECTS}
        arrays |= {name: getattr(self, f"_{name}") for name in DERIVED}
        texts = {name: self._arrays[name].tolist() for name in OF_OBJECTS}
        return arrays, {"columns": rest, "n_rows": self._n_rows, "texts": texts}

    def restore(self, arrays: Mapping[str, NDArray[Any]], rest: Mapping[str, Any]) -> None:
        start = "columns."
        of_columns = {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
        self.columns.restore(of_columns, rest["columns"])
        texts = {name: np.array(rest["texts"][name], dtype=np.object_) for name in OF_OBJECTS}
        self._arrays = {name: arrays[f"listing.{name}"] for name in COLUMNS if name not in OF_OBJECTS} | texts
        for name in DERIVED:
            setattr(self, f"_{name}", arrays[name])
        self._n_rows = rest["n_rows"]
        self._row_by_listing_id = {key: row for row, key in enumerate(self.column("listing_ids").tolist())}
        self._refresh_views()

    def put(self, rows: ListingRows, vectors: NDArray[np.float32]) -> None:
        """Add n listings or replace their rows; ``vectors`` has shape (n, n_dims)."""
        self.write(Derived.of(self.ranker, rows, vectors))

    def write(self, derived: Derived) -> None:
        """Write rows whose derived columns are already computed, as ``put`` does after computing them."""
        rows, vectors = derived.rows, derived.vectors
        at = self._rows_for(rows.listing_ids)
        for name, array in self._arrays.items():
            array[at] = getattr(rows, name)
        self._vectors[at] = vectors
        self._archetypes[at] = derived.archetypes
        self._deals[at], self._is_plausible[at] = derived.deals, derived.is_plausible
        self.columns.put(at, rows)
        self._refresh_views()

    def forget(self, listing_ids: Collection[int]) -> None:
        """Remove listings from the searches; they keep their rows."""
        rows = [self._row_by_listing_id[key] for key in listing_ids if key in self._row_by_listing_id]
        self._arrays["is_live"][rows] = False
        self._arrays["published_at"][rows] = np.nan
        self._refresh_views()  # the stock keeps what it has worked out of these arrays

    def as_of(self, moment: float) -> Self:
        """Return the same listings, with those live that were for sale at a time (epoch seconds).

        The view shares the columns and is valid until the next ``put``. Price, mileage and location are those of today.
        """
        view = copy.copy(self)
        view._arrays = {**self._arrays, "is_live": self.stock.was_live(np.arange(len(self)), moment)}
        view.state = object()
        view._typical = None
        view._markets, view._live_samples, view._of_this_state = {}, {}, LRUCache(KEPT_OF_A_STATE)
        view.searches = LRUCache(SEARCHES_KEPT)
        return view

    def best(
        self,
        weights: NDArray[np.floating],
        k: int,
        filters: ListingFilters | None = None,
        exclude: Collection[int] = (),
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The k live listings with the highest ``weights · vector``; ties go to the lower id.

        Args:
            weights: Shape (n_dims,).
            k: The most listings to return; all that match are returned if there are fewer.
            filters: Conditions that every returned listing satisfies.
            exclude: Listing ids to leave out.

        Returns:
            Listing ids (int64) and scores (float64), best first.
        """
        return self.top(weights, k, self.allowed(filters or ListingFilters(), exclude))

    def allowed(self, filters: ListingFilters, exclude: Collection[int] = ()) -> NDArray[np.bool_]:
        """Which rows are live and satisfy the filters, shape (n_rows,)."""
        mask = self.column("is_live").copy()
        if filters:
            mask &= self.matching(filters)
        excluded = [self._row_by_listing_id[key] for key in exclude if key in self._row_by_listing_id]
        mask[excluded] = False
        return mask

    def matching(self, filters: ListingFilters, rows: NDArray[np.intp] | None = None) -> NDArray[np.bool_]:
        """Which rows satisfy every filter, live or not: shape (n_rows,), or (len(rows),) if ``rows`` are given.

        A search for words finds only listings for sale.
        """
        at = np.arange(len(self)) if rows is None else rows
        mask = self.columns.matching(filters, rows)
        asked: ListingFilters | None = filters
        while asked:
            if asked.text:
                mask &= self.having_words(asked.text)[at]
            if asked.seller_ids:
                mask &= np.isin(self.column("seller_ids")[at], asked.seller_ids)
            if asked.listing_ids:
                mask &= np.isin(self.stock.listing_ids[at], asked.listing_ids)
            for hidden in filter(None, asked.hidden):
                mask &= ~self.matching(hidden, rows)
            asked = asked.also
        return mask

    def having_words(self, text: str) -> NDArray[np.bool_]:
        """Which rows are for sale and match a web-style query, shape (n_rows,)."""
        return np.isin(self.stock.listing_ids, text_matches(text))

    def top(
        self, weights: NDArray[np.floating], k: int, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The ids and scores of the k best rows of a mask."""
        rows = np.flatnonzero(mask)
        return self.highest(rows, self.products(weights, rows), k)

    def products(self, weights: NDArray[np.floating], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """``weights · vector`` of some rows, in single precision, shape (n_rows,)."""
        wanted = np.asarray(weights, np.float32)
        # gathering rows costs more than multiplying them all, unless they are few
        if len(rows) * 4 < len(self):
            return self.stock.vectors[rows] @ wanted
        return (self.stock.vectors @ wanted)[rows]

    def utilities(self, weights: NDArray[np.floating], rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return ``products``, and keep them for the next call with the same weights."""
        return self.products(weights, rows)

    def kept(self, key: Hashable, basis: object, make: Callable[[], T]) -> T:
        """Return the result of ``make``, which is called once as long as no row changes and ``basis`` is the same
        object."""
        known = self._of_this_state.get(key)
        if known is None or known[0] is not basis:
            known = self._of_this_state[key] = basis, make()
        answer: T = known[1]
        return answer

    def highest(
        self, rows: NDArray[np.intp], scores: NDArray[np.floating], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The ids and scores of the k rows with the highest scores, best first; ties go to the lower id."""
        if not len(rows) or k <= 0:
            return np.empty(0, np.int64), np.empty(0)
        if len(rows) > k:
            # everything at least as good as the k-th, so that a tie is settled by id and not by chance
            at_least = np.partition(scores, len(rows) - k)[len(rows) - k]
            rows, scores = rows[scores >= at_least], scores[scores >= at_least]
        listing_ids = self.stock.listing_ids[rows]
        order = np.lexsort((listing_ids, -scores))[:k]
        return listing_ids[order], scores[order].astype(np.float64)

    def parts_apart(self, name: str, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """The part of one field in the content of some rows, shape (n_rows, n_content); see
        ``Encoder.encode_field_apart``."""
        return self.ranker.encoder.encode_field_apart(self.columns.table(rows), name)

    def typical(self) -> dict[str, float]:
        """Medians of the live listings by field, without fields whose median is nan; "low mileage" is relative to
        them."""
        if self._typical is None:
            live = self.column("is_live")
            known = {number.column: self.columns.numbers(number.column)[live] for number in RANGES if number.aside}
            known = {name: values[~np.isnan(values)] for name, values in known.items()}
            self._typical = {name: float(np.median(values)) for name, values in known.items() if len(values)}
        return self._typical

    def live_sample(self, n: int = 2000) -> NDArray[np.intp]:
        """About ``n`` rows spread evenly over the live stock, for statistics of the whole stock."""
        if n not in self._live_samples:
            live = np.flatnonzero(self.column("is_live"))
            self._live_samples[n] = live[:: max(len(live) // n, 1)]
        return self._live_samples[n]

    def vectors_of(self, listing_ids: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors of listings, shape (n, n_dims), and which of them have a row; the vectors of the others are zero."""
        rows = self.stock.rows_of(np.asarray(listing_ids, np.int64))
        vectors = (
            self.stock.vectors[np.maximum(rows, 0)]
            if len(self)
            else np.zeros((len(rows), self.ranker.n_dims), np.float32)
        )
        vectors[rows < 0] = 0.0
        return vectors, rows >= 0

    def vectors_elsewhere(self, listing_ids: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Ids and vectors of listings without a row here, as far as they can be read from elsewhere."""
        return np.empty(0, np.int64), np.empty((0, self.ranker.n_dims), np.float32)

    def column(self, name: str) -> Array:
        """One column of COLUMNS, shape (n_rows,)."""
        return self._arrays[name][: self._n_rows]

    @property
    def archetypes(self) -> NDArray[np.int32]:
        """Archetype code of every row."""
        return self._archetypes[: self._n_rows]

    @property
    def is_plausible(self) -> NDArray[np.bool_]:
        """Whether price and mileage of every row are plausible (``CarPrices.are_plausible``)."""
        return self._is_plausible[: self._n_rows]

    @property
    def listing_features(self) -> ListingFeatures:
        """The inputs of the terms of a score for every row; views that are valid until the next ``put``."""
        return ListingFeatures(
            vectors=self.stock.vectors,
            archetypes=self.archetypes,
            published_at=self.stock.published_at,
            ended_at=self.stock.ended_at,
            deals=self._deals[: self._n_rows],
            latitude=self.columns.numbers("latitude"),
            longitude=self.columns.numbers("longitude"),
        )

    def market(self, moment: float, demand: Mapping[int, float]) -> Market:
        """The market at a time (epoch seconds), from decayed demand by listing id; a listing without an entry has none.

        The last results are kept as long as no row changes.
        """
        kept = self._markets.get(id(demand))
        if kept is None or kept[0] != moment or kept[1] is not demand:
            self._markets = {key: kept for key, kept in self._markets.items() if kept[0] == moment}
            rows = self.stock.rows_of(np.fromiter(demand.keys(), np.int64, len(demand)))
            strengths = np.fromiter(demand.values(), np.float64, len(demand))
            counts = np.bincount(rows[rows >= 0], strengths[rows >= 0], len(self)).astype(np.float64)
            kept = self._markets[id(demand)] = moment, demand, Market.at(self.listing_features, moment, counts)
        return kept[2]

    def _rows_for(self, listing_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """The row of each listing; new listings get the next free rows."""
        for listing_id in listing_ids.tolist():
            self._row_by_listing_id.setdefault(listing_id, len(self._row_by_listing_id))
        self._n_rows = len(self._row_by_listing_id)
        for name, (_, empty) in COLUMNS.items():
            self._arrays[name] = with_room_for(self._arrays[name], self._n_rows, empty)
        self._vectors = with_room_for(self._vectors, self._n_rows, 0.0)
        self._archetypes = with_room_for(self._archetypes, self._n_rows, 0)
        self._deals = with_room_for(self._deals, self._n_rows, np.nan)
        self._is_plausible = with_room_for(self._is_plausible, self._n_rows, True)
        return np.array([self._row_by_listing_id[key] for key in listing_ids.tolist()], np.intp)

    def _refresh_views(self) -> None:
        self.state = object()  # another one after every change, for callers that keep answers
        self._typical = None
        self._markets, self._live_samples, self._of_this_state = {}, {}, LRUCache(KEPT_OF_A_STATE)
        self.searches = LRUCache(SEARCHES_KEPT)
        self.stock = Stock(
            listing_ids=self.column("listing_ids"),
            vectors=self._vectors[: self._n_rows],
            published_at=self.column("published_at"),
            ended_at=self.column("ended_at"),
        )
