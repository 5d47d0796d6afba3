"""Listings as arrays: their vectors, and when each was for sale."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FOREVER = np.inf


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
        """Whether each of the rows was for sale at a moment (epoch seconds)."""
        return (self.published_at[rows] <= moment) & (self.ended_at[rows] > moment)

    def sample_live(self, moment: float, n: int, seed: int) -> NDArray[np.intp]:
        """Up to ``n`` different rows that were for sale at a moment, drawn about evenly.

        The draw depends on the seed and on which listings exist, not on the order of the rows, so every process
        draws the same. Ids are drawn and looked up, an id that nobody has standing for the next one; only a stock
        that is small or mostly ended is searched through.

        Returns:
            Row positions, shape (at most n,); fewer when fewer were live, empty for an empty stock.
        """
        if not len(self):
            return np.empty(0, np.intp)
        if len(self) > 4 * n:
            drawn = hashed(np.arange(6 * n), seed) & np.uint64((1 << int(self._sorted_ids[-1]).bit_length()) - 1)
            # Ids beyond the newest are drawn again rather than folded back: a new listing must not move old draws.
            at = np.searchsorted(self._sorted_ids, drawn[drawn > 0].astype(np.int64))  # ids start at 1
            rows = self._by_id[at[at < len(self)]]
            _, first = np.unique(rows, return_index=True)
            rows = rows[np.sort(first)]
            rows = rows[self.was_live(rows, moment)][:n]
            if len(rows) == n:
                return rows
        live = np.flatnonzero(self.was_live(np.arange(len(self)), moment))
        return live[np.argsort(hashed(self.listing_ids[live], seed))[:n]]


def hashed(ids: NDArray[np.integer], seed: int) -> NDArray[np.uint64]:
    """A pseudo-random 64-bit number for each id under a seed (splitmix64: Steele, Lea and Flood 2014)."""
    z = ids.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 & (2**64 - 1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
