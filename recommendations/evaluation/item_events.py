"""Events between users and items of any kind, and the question an evaluation asks about them.

For other people's data: a shop's orders, a library's loans. An item may be had again and again and needs no features.
Users and items are rows (positions in arrays); time is counted in days from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from recommendations.engine.arrays import Flags, Integers
from recommendations.engine.columns import Columns

COLD_EVENTS = 5  # a user or an item with fewer events before a moment is cold


@dataclass(frozen=True, eq=False)
class ItemEvents(Columns):
    """Who went for what, all arrays of shape (n_events,).

    Attributes:
        users, items: Rows, int.
        days: When.
        weights: Strength of each event, > 0.
        n_users, n_items: How many there are; events need not be about all of them.

    Raises:
        ValueError: If lengths disagree, a row is out of range, a time is not finite, or a weight is not positive.
    """

    SHARED = ("n_users", "n_items")

    users: NDArray[np.intp]
    items: NDArray[np.intp]
    days: NDArray[np.float64]
    weights: NDArray[np.float64]
    n_users: int
    n_items: int

    def __post_init__(self) -> None:
        if len({self.users.shape, self.items.shape, self.days.shape, self.weights.shape}) != 1 or self.users.ndim != 1:
            raise ValueError("users, items, days and weights must be of one length")
        for name, rows, n in (("user", self.users, self.n_users), ("item", self.items, self.n_items)):
            if len(rows) and not 0 <= rows.min() <= rows.max() < n:
                raise ValueError(f"{name} rows must lie between 0 and {n - 1}")
        if not np.isfinite(self.days).all():
            raise ValueError("every event needs a time")
        if not (np.isfinite(self.weights) & (self.weights > 0)).all():
            raise ValueError("weights must be positive and finite")

    def __len__(self) -> int:
        return len(self.users)

    def between(self, day: float, until: float) -> ItemEvents:
        """Events from a day on and before another."""
        return self.take((self.days >= day) & (self.days < until))

    def before(self, day: float) -> ItemEvents:
        return self.take(self.days < day)

    def matrix(self, strengths: NDArray[np.float64]) -> csr_array:
        """One number per event as a sparse matrix (n_users, n_items), repeats added up."""
        return csr_array((strengths, (self.users, self.items)), shape=(self.n_users, self.n_items))

    def decayed(self, day: float, half_life_days: float) -> NDArray[np.float64]:
        """Weights, each halved per half-life before the day, shape (n_events,)."""
        return self.weights * np.exp2(-(day - self.days) / half_life_days)

    def pairs(self) -> csr_array:
        """1 where a user had anything to do with an item, shape (n_users, n_items)."""
        matrix = self.matrix(np.ones(len(self)))
        matrix.data[:] = 1.0
        return matrix


@dataclass(frozen=True, eq=False)
class ItemCatalogue:
    """What is known of the items themselves; one row each.

    Attributes:
        listed_days, ended_days: When each could be had, shape (n_items,); -inf and inf where it always could.
        content: Features of unit length, shape (n_items, n_dims), 0 throughout for an item without any; None when
            nothing is known of any item.
        prices: Of each, nan where unknown, shape (n_items,); None when none is known.
    """

    listed_days: NDArray[np.float64]
    ended_days: NDArray[np.float64]
    content: csr_array | None = None
    prices: NDArray[np.float64] | None = None

    @classmethod
    def from_events(cls, events: ItemEvents) -> ItemCatalogue:
        """Items known by their events alone: had from the first of them on; one without any never was."""
        first = np.full(events.n_items, np.inf)
        np.minimum.at(first, events.items, events.days)
        return cls(first, np.full(events.n_items, np.inf))

    def is_live(self, day: float) -> NDArray[np.bool_]:
        """Which items could be had just before a day began, shape (n_items,)."""
        return (self.listed_days < day) & (self.ended_days >= day)


@dataclass(frozen=True, eq=False)
class ItemQuestion:
    """What some users went for after a day, out of what there was: the same for every ranker.

    Attributes:
        user_rows: Whom is asked about, int, shape (n_asked,), ascending.
        relevant: 1 where one of them went for an item, shape (n_asked, n_items).
        forbidden: 1 for pairs that must not be listed, same shape.
        candidates: Which items may be listed at all, shape (n_items,).
    """

    user_rows: NDArray[np.intp]
    relevant: csr_array
    forbidden: csr_array
    candidates: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.user_rows)

    def take(self, at: Integers | Flags) -> ItemQuestion:
        """The question about some of the users, by position."""
        return ItemQuestion(self.user_rows[at], self.relevant[at], self.forbidden[at], self.candidates)

    def allowed(self, at: slice = slice(None)) -> NDArray[np.bool_]:
        """The items that may be listed for each of some of the users, shape (n, n_items)."""
        is_allowed: NDArray[np.bool_] = (self.forbidden[at].toarray() == 0) & self.candidates
        return is_allowed


def ask(
    events: ItemEvents,
    catalogue: ItemCatalogue,
    day: float,
    until: float = np.inf,
    *,
    known_only: bool = True,
    unseen_only: bool = True,
) -> ItemQuestion:
    """Whom and what to ask about a day: everybody with something to find from then on.

    Args:
        events: All of them, later ones included.
        catalogue: Of the items.
        day: What happened before is known, what happens from then on is to be found.
        until: End of the test, exclusive.
        known_only: Ask only about users with an event before the day, and list only items with one.
        unseen_only: Neither list nor ask for what a user had before.
    """
    past, later = events.before(day), events.between(day, until)
    seen, wanted = past.pairs(), later.pairs()
    candidates = catalogue.is_live(day)
    if known_only:
        candidates &= np.bincount(past.items, minlength=events.n_items) > 0
    wanted = _without(wanted, seen) if unseen_only else wanted
    wanted = csr_array(wanted.multiply(candidates.astype(float)))
    wanted.eliminate_zeros()
    is_asked = np.diff(wanted.indptr) > 0
    if known_only:
        is_asked &= np.diff(seen.indptr) > 0
    users = np.flatnonzero(is_asked)
    nothing = csr_array((len(users), events.n_items))
    return ItemQuestion(users, wanted[users], seen[users] if unseen_only else nothing, candidates)


def _without(pairs: csr_array, others: csr_array) -> csr_array:
    """Pairs of 1 that are not among the others."""
    return csr_array(pairs - pairs.multiply(others))
