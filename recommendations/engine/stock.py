"""Listings as arrays: their vectors, and when each was for sale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.draws import hashed

FOREVER = np.inf

# Draws per row wanted, tried in turn: the first is enough where most of the stock is live, the last where one in fifty.
# A stock with fewer rows than that is searched through instead.
DRAWS_PER_ROW = np.array([4, 16, 96])
DRAWS_AT_ONCE = 2**20  # bounds the memory of many samples

# After so long it is known what was for sale: a transaction that stored listings has ended, every process has taken
# them in, and a clock that was set back by an hour stamps nothing earlier any more.
SETTLED_SECONDS = 7_200.0
ENOUGH_SETTLED = 1_000  # listings to choose alternatives from, even where many more have come since


@dataclass(frozen=True)
class Stock:
    """Listings in one vector space, one row each, in no particular order.

    Attributes:
        listing_ids: Database keys, int64, shape (n_listings,), positive, each once.
        vectors: float32, shape (n_listings, n_dims).
        published_at: Start of sale in epoch seconds, shape (n_listings,); nan where never published.
        ended_at: End of sale in epoch seconds, shape (n_listings,); ``FOREVER`` while it lasts.
    """

    listing_ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    published_at: NDArray[np.float64]
    ended_at: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.listing_ids)

    @cached_property
    def _by_id(self) -> NDArray[np.intp]:
        return np.argsort(self.listing_ids)

    @cached_property
    def _sorted_ids(self) -> NDArray[np.int64]:
        return self.listing_ids[self._by_id]

    def rows_of(self, listing_ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Row of each listing, of the same shape; -1 where the stock lacks it."""
        if not len(self):
            return np.full(np.shape(listing_ids), -1, np.intp)
        at = np.minimum(np.searchsorted(self._sorted_ids, listing_ids), len(self) - 1)
        return np.where(self._sorted_ids[at] == listing_ids, self._by_id[at], -1)

    def was_live(self, rows: NDArray[np.intp], moment: float) -> NDArray[np.bool_]:
        """Whether each of the rows was for sale at a time in epoch seconds."""
        return (self.published_at[rows] <= moment) & (self.ended_at[rows] > moment)

    @cached_property
    def _buckets(self) -> NDArray[np.uint64]:
        """A uniform random number for each row, for sampling."""
        return hashed(self.listing_ids, 0)

    def live_rows(self, moment: float) -> NDArray[np.intp]:
        """Return rows of all listings for sale at a time (epoch seconds), in their order."""
        return np.flatnonzero((self.published_at <= moment) & (self.ended_at > moment))

    def shuffled_live(self, moment: float, seed: int, at_least: int | None = None) -> NDArray[np.intp]:
        """Return rows of listings for sale at a time in random order; for a large stock a sample of them.

        The twin of ``samples_live`` for one large sample. It is faster for thousands of rows, and its size varies.

        Args:
            moment: Epoch seconds.
            seed: Of the order, and of the sample.
            at_least: Number of rows wanted; about that many up to twice as many. None: all.
        """
        live = self.live_rows(moment)
        return self.shuffled(self._some_of(live, len(live), seed, at_least) if at_least else live, seed)

    def shuffled_live_among(
        self, rows: NDArray[np.intp], moment: float, seed: int, n: int, at_least: int
    ) -> NDArray[np.intp]:
        """Return the first ``n`` of some rows in the order of ``shuffled_live``; if it has fewer of them, from all for
        sale then.

        It reads those rows only, for callers who use the same few rows for many times.
        """
        n_live = int(self.n_live_at(np.array([moment]))[0])
        found = self._some_of(rows, n_live, seed, at_least)
        found = found[self.was_live(found, moment)]
        if len(found) < n:
            found = rows[self.was_live(rows, moment)]
        return self.shuffled(found, seed, n)

    def _some_of(self, rows: NDArray[np.intp], n_live: int, seed: int, at_least: int) -> NDArray[np.intp]:
        """Return those of the rows that are in the sample of at least ``at_least`` of ``n_live`` under a seed."""
        n_bits = (n_live // at_least).bit_length() - 1
        if n_bits <= 0:
            return rows
        bucket = hashed(np.array([seed]), 0)
        some: NDArray[np.intp] = rows[(self._buckets[rows] ^ bucket) >> np.uint64(64 - n_bits) == 0]
        return some

    def shuffled(self, rows: NDArray[np.intp], seed: int, n: int | None = None) -> NDArray[np.intp]:
        """Return rows in the random order of ``shuffled_live``; the first ``n`` are faster than all."""
        numbers = hashed(self.listing_ids[rows], seed)
        if n is not None and n < len(rows):
            first = np.argpartition(numbers, n)[:n]
            rows, numbers = rows[first], numbers[first]
        in_order: NDArray[np.intp] = rows[np.argsort(numbers)]
        return in_order

    @cached_property
    def _publications(self) -> NDArray[np.float64]:
        """Sorted times at which listings came on sale, without those that were sold when they came."""
        return np.sort(self.published_at[self.ended_at > self.published_at])

    @cached_property
    def _ends(self) -> NDArray[np.float64]:
        """Sorted times at which the same listings ended."""
        return np.sort(self.ended_at[self.ended_at > self.published_at])

    @cached_property
    def _longer_ids_since(self) -> NDArray[np.float64]:
        """Times at which the first listing came on sale whose id has more than 0 to 63 bits, ``FOREVER`` for none;
        sorted."""
        rows = self._by_id
        published = np.where(self.ended_at[rows] > self.published_at[rows], self.published_at[rows], FOREVER)
        ends = np.searchsorted(self._sorted_ids, 1 << np.arange(63))  # of the ids of up to 0, 1, ... 62 bits
        first = np.full(64, FOREVER)
        longer = np.flatnonzero(np.diff(ends, append=len(rows)) > 0)
        first[longer] = np.minimum.reduceat(published, ends[longer])
        return np.minimum.accumulate(first[::-1])[::-1]

    def n_published_by(self, moments: NDArray[np.float64]) -> NDArray[np.intp]:
        """Count the listings that had come on sale by each time, ended ones included; same shape."""
        return np.searchsorted(self._publications, moments, side="right")

    def n_live_at(self, moments: NDArray[np.float64]) -> NDArray[np.intp]:
        """Count the listings for sale at each time; same shape."""
        return self.n_published_by(moments) - np.searchsorted(self._ends, moments, side="right")

    def settled(self, moments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times as of which the stock is sampled for choices made at ``moments``; same shape.

        They are two hours earlier. A choice is evaluated within a second, and again for months; what this process does
        not know yet, what a long transaction stores, and what is dated by a clock that was set back arrives later, and
        must not change the sample. While a stock is younger than that, with few listings for sale then and more since,
        they are the times themselves.
        """
        earlier = moments - SETTLED_SECONDS
        n_since = self.n_published_by(moments) - self.n_published_by(earlier)
        return np.where(self.n_live_at(earlier) >= np.minimum(n_since, ENOUGH_SETTLED), earlier, moments)

    def samples_live(self, moments: NDArray[np.float64], n: int, seeds: NDArray[np.int64]) -> NDArray[np.intp]:
        """For each of many times, draw up to ``n`` different rows that were for sale then, uniformly.

        A sample depends on its seed and on the listings that had come on sale by its time, and neither on later ones,
        nor on the order of rows, nor on other samples. So every process draws the same, today and in a year. Ids are
        drawn and looked up; an id without a row is drawn again, since the next row would otherwise be too likely. A
        stock that was small, mostly ended, or whose ids are far apart is searched completely instead.

        Args:
            moments: Epoch seconds, shape (n_samples,).
            n: Rows wanted of each.
            seeds: Shape (n_samples,).

        Returns:
            Rows, shape (n_samples, n), in the order drawn; -1 after the last live one.
        """
        found = np.full((len(moments), n), -1, np.intp)
        if not len(self) or not n:
            return found
        wanting = np.arange(len(moments))
        n_published = self.n_published_by(moments)
        for n_draws in DRAWS_PER_ROW * n:
            drawing = wanting[n_published[wanting] > n_draws]
            for part in np.array_split(drawing, -(-len(drawing) * int(n_draws) // DRAWS_AT_ONCE) or 1):
                found[part] = self._drawn(moments[part], n, seeds[part], int(n_draws))
            wanting = wanting[found[wanting, -1] < 0]
        for sample in wanting.tolist():
            rows = self.shuffled(self.live_rows(float(moments[sample])), int(seeds[sample]), n)
            found[sample, : len(rows)], found[sample, len(rows) :] = rows, -1
        return found

    def _drawn(self, moments: NDArray[np.float64], n: int, seeds: NDArray[np.int64], n_draws: int) -> NDArray[np.intp]:
        """Return the first ``n`` different live rows among so many draws each, -1 where there are fewer."""
        drawn = hashed(np.arange(n_draws)[None], seeds[:, None])
        # Of as many bits as the ids had by then: with those of later listings, half of the draws would be others.
        n_bits = np.searchsorted(self._longer_ids_since, moments, side="right")
        drawn &= ((np.uint64(1) << n_bits.astype(np.uint64)) - np.uint64(1))[:, None]
        # Ids beyond the newest are drawn again rather than folded back: a new listing must not move old draws.
        at = np.searchsorted(self._sorted_ids, drawn.astype(np.int64))
        at = np.minimum(at, len(self) - 1)
        rows = np.where(self._sorted_ids[at] == drawn.astype(np.int64), self._by_id[at], -1)
        wanted = (rows >= 0) & (self.published_at[rows] <= moments[:, None]) & (self.ended_at[rows] > moments[:, None])
        wanted &= is_first_of_its_row(rows)
        wanted &= wanted.cumsum(axis=1) <= n
        found = np.full((len(rows), n), -1, np.intp)
        sample, draw = np.nonzero(wanted)
        found[sample, wanted.cumsum(axis=1)[sample, draw] - 1] = rows[sample, draw]
        return found


def is_first_of_its_row(values: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Mark the numbers of a matrix that occur for the first time in their row."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    is_new = np.ones(values.shape, bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    is_first = np.empty(values.shape, bool)
    np.put_along_axis(is_first, order, is_new, axis=1)
    return is_first
