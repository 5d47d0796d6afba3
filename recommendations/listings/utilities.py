"""Utilities of the rows of a listing index, kept between the lists of one buyer.

A buyer who changes a filter gets utilities of other rows under the same preference. A computed utility is kept as long
as the preference is the same and the row is not written.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cachetools import Cache, LRUCache
from numpy.typing import NDArray

BYTES_KEPT = 48 * 2**20  # of one process: some ninety preferences over 100,000 rows
GATHERED = 4  # rows are multiplied one by one only where they are fewer than one in so many

Product = Callable[[NDArray[np.intp]], NDArray[np.float32]]
Entry = tuple[NDArray[np.float32], NDArray[np.bool_]]  # utilities, and which of them are known


class KeptUtilities:
    """The most recently used utilities, by preference vector, up to a number of bytes.

    The class has no lock: callers hold the lock of the index.
    """

    def __init__(self, at_most: int = BYTES_KEPT) -> None:
        self._kept: LRUCache[bytes, Entry] = LRUCache(at_most, getsizeof=lambda entry: sum(e.nbytes for e in entry))

    def note(self, rows: NDArray[np.intp]) -> None:
        """Drop the utilities of rows that were written or added."""
        for key in self._kept:
            _, is_known = Cache.__getitem__(self._kept, key)  # the cache's own would count it as used
            is_known[rows[rows < len(is_known)]] = False

    def of(
        self, weights: NDArray[np.floating], rows: NDArray[np.intp], n_rows: int, product: Product
    ) -> NDArray[np.float32]:
        """``weights · vector`` of some rows, shape (len(rows),).

        Args:
            weights: The preference vector, shape (n_dims,).
            rows: Positions, each below ``n_rows``.
            n_rows: Rows that the index has now.
            product: Computes the utilities of some rows.
        """
        key = weights.tobytes()
        entry = self._kept.get(key)
        if entry is None or len(entry[0]) < n_rows:
            entry = grown(entry, n_rows)
            if sum(part.nbytes for part in entry) > self._kept.maxsize:
                return product(rows)
            self._kept[key] = entry
        utilities, is_known = entry
        missing = rows[~is_known[rows]]
        if len(missing) * GATHERED >= n_rows:  # to multiply all of them costs less than to gather so many
            missing = np.arange(n_rows)
        if len(missing):
            utilities[missing] = product(missing)
            is_known[missing] = True
        return utilities[rows]


def grown(entry: Entry | None, n_rows: int) -> Entry:
    """Return an entry with room for ``n_rows`` rows; the added rows are marked as unknown."""
    utilities, is_known = np.zeros(n_rows, np.float32), np.zeros(n_rows, bool)
    if entry is not None:
        utilities[: len(entry[0])], is_known[: len(entry[1])] = entry
    return utilities, is_known
