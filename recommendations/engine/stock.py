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

    def samples_live(self, moments: NDArray[np.float64], n: int, seeds: NDArray[np.int64]) -> NDArray[np.intp]:
        """For each of many moments, up to ``n`` different rows that were for sale then, each as likely as any other.

        A draw depends on its seed and on which listings exist, not on the order of the rows nor on what else is asked,
        so every process draws the same. Ids are drawn and looked up, and an id without a row is drawn again: were the
        next row to stand for it, a listing after a gap would stand for the whole gap. A stock that is small, mostly
        ended, or whose ids lie far apart is searched through instead.

        Args:
            moments: Epoch seconds, shape (n_samples,).
            n: Rows wanted of each.
            seeds: Shape (n_samples,).

        Returns:
            Row positions, shape (n_samples, n), those drawn first; -1 from where on no more were live.
        """
        found = np.full((len(moments), n), -1, np.intp)
        if not len(self) or not n:
            return found
        wanting = np.arange(len(moments))
        for n_draws in (DRAWS_PER_ROW * n)[DRAWS_PER_ROW * n < len(self)]:
            for part in np.array_split(wanting, -(-len(wanting) * int(n_draws) // DRAWS_AT_ONCE) or 1):
                found[part] = self._drawn(moments[part], n, seeds[part], int(n_draws))
            wanting = wanting[found[wanting, -1] < 0]
        for sample in wanting.tolist():
            live = np.flatnonzero(self.was_live(np.arange(len(self)), float(moments[sample])))
            rows = live[np.argsort(hashed(self.listing_ids[live], int(seeds[sample])))[:n]]
            found[sample, : len(rows)], found[sample, len(rows) :] = rows, -1
        return found

    def _drawn(self, moments: NDArray[np.float64], n: int, seeds: NDArray[np.int64], n_draws: int) -> NDArray[np.intp]:
        """The first ``n`` different live rows among so many draws each, -1 where they hold fewer."""
        drawn = hashed(np.arange(n_draws)[None], seeds[:, None])
        drawn &= np.uint64((1 << int(self._sorted_ids[-1]).bit_length()) - 1)
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
    """Whether each number of a matrix is the first of its kind in its row."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    is_new = np.ones(values.shape, bool)
    is_new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    is_first = np.empty(values.shape, bool)
    np.put_along_axis(is_first, order, is_new, axis=1)
    return is_first
