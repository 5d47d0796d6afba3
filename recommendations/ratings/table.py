"""Ratings as arrays: who (a row of people), what (a row of items), how many stars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from recommendations.engine.arrays import Flags, Integers, Reals


@dataclass(frozen=True)
class Scale:
    """The lowest and the highest rating that was given: 1 to 5, 0.5 to 4, 0 to 10."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"

    def __contains__(self, rating: float) -> bool:
        return self.low <= rating <= self.high  # False for NaN

    def clip(self, ratings: Reals) -> Reals:
        return np.clip(ratings, self.low, self.high)


@dataclass(frozen=True)
class RatingTable:
    """Ratings, one per pair of person and item.

    Attributes:
        people: Ids as they were read, shape (n_people,); a person row is a position in it.
        items: The same of items, shape (n_items,).
        person_rows: Who rated, int32, shape (n_ratings,).
        item_rows: What was rated, int32, shape (n_ratings,).
        ratings: How, float64, shape (n_ratings,).
        descriptions: What is known of items besides, in groups: sparse, shape (n_items, n_features of the group) each.
        moments: When each was given, in seconds, nan where that is not known, shape (n_ratings,); None: of none.
    """

    people: Sequence[str] = field(repr=False)
    items: Sequence[str] = field(repr=False)
    person_rows: Integers = field(repr=False)
    item_rows: Integers = field(repr=False)
    ratings: Reals = field(repr=False)
    descriptions: tuple[sparse.csr_matrix, ...] = field(default=(), repr=False)
    moments: Reals | None = field(default=None, repr=False)

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str, float] | tuple[str, str, float, float]]) -> RatingTable:
        """From (person, item, rating), and the moment where it is known, in the order of time: who rates a thing twice
        means the later rating.
        """
        people: dict[str, int] = {}
        items: dict[str, int] = {}
        latest: dict[tuple[int, int], tuple[float, float]] = {}
        for person, item, rating, *moment in rows:
            pair = people.setdefault(person, len(people)), items.setdefault(item, len(items))
            latest[pair] = rating, moment[0] if moment else np.nan
        pairs = np.array(list(latest), dtype=np.int32).reshape(-1, 2)
        ratings, moments = np.array(list(latest.values()), dtype=np.float64).reshape(-1, 2).T.copy()
        known = moments if np.isfinite(moments).any() else None
        return cls(list(people), list(items), pairs[:, 0].copy(), pairs[:, 1].copy(), ratings, moments=known)

    @property
    def n_people(self) -> int:
        return len(self.people)

    @property
    def n_items(self) -> int:
        return len(self.items)

    def __len__(self) -> int:
        return len(self.ratings)

    @cached_property
    def scale(self) -> Scale:
        return Scale(float(self.ratings.min()), float(self.ratings.max()))

    @cached_property
    def times_rated(self) -> Integers:
        """How many people rated each item, shape (n_items,)."""
        return np.bincount(self.item_rows, minlength=self.n_items)

    def only(self, is_chosen: Flags) -> RatingTable:
        """Some of the ratings, with every person and item still in its row."""
        return replace(
            self,
            person_rows=self.person_rows[is_chosen],
            item_rows=self.item_rows[is_chosen],
            ratings=self.ratings[is_chosen],
            moments=None if self.moments is None else self.moments[is_chosen],
        )

    def split(self, share: float, rng: np.random.Generator) -> tuple[RatingTable, RatingTable]:
        """(the rest, about ``share`` of the ratings chosen at random)."""
        is_held_out = rng.random(len(self)) < share
        return self.only(~is_held_out), self.only(is_held_out)

    def matrix(self) -> sparse.csr_matrix:
        """Ratings by person and item, shape (n_people, n_items); what was not rated is not stored, a 0 is."""
        shape = (self.n_people, self.n_items)
        return sparse.csr_matrix((self.ratings, (self.person_rows, self.item_rows)), shape=shape)
