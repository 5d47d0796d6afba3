"""The rows of a listing index in the orders of searches, kept sorted while listings change.

The twin of a search's ORDER BY; a test compares them. Sorting 100,000 rows takes longer than the rest of a search, so
an order that was used is cached, and changed rows are moved in it.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Array

NEWEST = "newest"
NUMBERS = {"price": "price", "year": "year", "mileage": "mileage_km"}  # name of an order -> column of numbers
MOVED_AT_MOST = 2_000  # rows; where more have changed, sorting all of them anew is not slower


class Sortable(Protocol):
    """The properties of a listing index that its orders depend on."""

    columns: Any

    def __len__(self) -> int: ...

    def column(self, name: str) -> Array: ...


def keys_of(rows: Sortable, ordering: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sort keys of rows, lowest first: a number, infinite where it is unknown, and a tie-breaker."""
    ids = rows.column("listing_ids")
    if ordering == NEWEST:
        return sortable(rows.column("published_at"), is_descending=True), -ids
    numbers = rows.columns.numbers(NUMBERS[ordering.lstrip("-")])
    return sortable(numbers, is_descending=ordering.startswith("-")), ids


def sortable(numbers: NDArray[np.float64], *, is_descending: bool) -> NDArray[np.float64]:
    """Return numbers that sort in the order wanted; the unknown (nan) come last either way."""
    return np.where(np.isnan(numbers), np.inf, -numbers if is_descending else numbers)


class KeptOrders:
    """The cached orders of one index. Callers take turns, as readers and writers of the index do."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.intp]] = {}
        self._changed: dict[str, list[NDArray[np.intp]]] = {}  # rows written since, by order

    def note(self, rows: NDArray[np.intp]) -> None:
        """Report changed or new rows."""
        for ordering, changed in list(self._changed.items()):
            changed.append(rows)
            if sum(map(len, changed)) > MOVED_AT_MOST:
                del self._changed[ordering], self._kept[ordering]

    def rows_in(self, ordering: str, rows: Sortable) -> NDArray[np.intp]:
        """Return all rows in an order; read-only."""
        kept = self._kept.get(ordering)
        changed = self._changed.get(ordering, [])
        if kept is None:
            keys, ties = keys_of(rows, ordering)
            self._kept[ordering] = np.lexsort((ties, keys))
        elif changed:
            self._kept[ordering] = moved(kept, np.unique(np.concatenate(changed)), *keys_of(rows, ordering))
        self._changed[ordering] = []
        return self._kept[ordering]


def moved(
    order: NDArray[np.intp], changed: NDArray[np.intp], keys: NDArray[np.float64], ties: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return an order in which changed and new rows are sorted again.

    Args:
        order: Rows sorted by their previous keys, shape (n_before,).
        changed: Rows, each once; those beyond ``n_before`` are new, and all of these are among them.
        keys, ties: Current sort keys, shape (n_rows,).
    """
    is_changed = np.zeros(len(keys), bool)
    is_changed[changed] = True
    rest = order[~is_changed[order]]
    added = changed[np.lexsort((ties[changed], keys[changed]))]
    return np.insert(rest, places_among(keys[rest], ties[rest], keys[added], ties[added]), added)


def places_among(
    keys: NDArray[np.float64], ties: NDArray[np.int64], new_keys: NDArray[np.float64], new_ties: NDArray[np.int64]
) -> NDArray[np.intp]:
    """Return the insertion positions of new keys among sorted ones, as ``numpy.insert`` takes them; both sorted by
    key, then tie."""
    low, high = np.searchsorted(keys, new_keys, "left"), np.searchsorted(keys, new_keys, "right")
    for at in np.flatnonzero(low < high).tolist():
        low[at] += np.searchsorted(ties[low[at] : high[at]], new_ties[at])
    return low
