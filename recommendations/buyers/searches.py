"""What a search says of a preference: each of its conditions something about one field, and nothing about the others.

Cars that meet a condition differ from those that do not in other ways too: a search for one make finds cars of its
prices and ages, which the buyer said nothing of. So a condition is a choice between the parts of the vectors that its
own field makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from catalog.attributes import CATEGORY_FEATURES, NUMBER_FEATURES
from catalog.filters import ListingFilters
from recommendations.listings.snapshot import ListingSnapshot

MATCHES_AVERAGED = 30  # a condition stands for the mean of that many of the cars that meet it
SEARCHED_AMONG = 2_000  # cars for sale; a condition that enough of these meet is not put to all the others

# Field of the encoder -> the filters that ask about it. Words and places are in no field.
FILTERS_OF_FIELD: dict[str, tuple[str, ...]] = {
    "make": ("makes",),
    "model": ("models",),
    **{category.name: category.filters for category in CATEGORY_FEATURES},
    "seller": ("seller_kinds",),
    "tags": ("tags",),
    "age": ("min_year", "max_year"),
    "price": ("min_price", "max_price"),
    **{number.name: number.filters for number in NUMBER_FEATURES if number.is_filtered},
}


@dataclass(frozen=True, eq=False)
class Condition:
    """One field of a search as a choice.

    Attributes:
        met: Mean part of the cars that meet it, float32, shape (n_dims,).
        unmet: Parts of cars that do not, float32, shape (n, n_dims).
    """

    met: NDArray[np.float32]
    unmet: NDArray[np.float32]


def conditions_of(
    query: object, snapshot: ListingSnapshot, moment: float, seed: int, n_unmet: int
) -> Iterator[Condition]:
    """What each condition of a search says; one that every car for sale meets, or none, says nothing.

    Args:
        query: As ``ListingFilters.as_query`` makes it, or as an earlier release did; what cannot be read asks for
            nothing.
        snapshot: Whose cars are compared.
        moment: When it was asked, epoch seconds: the cars that were for sale then are compared (``Stock.settled``), so
            that a search says the same whenever it is looked at.
        seed: The same cars are drawn for the same seed.
        n_unmet: Cars that do not meet a condition, at most.
    """
    asked = ListingFilters.from_query(query).as_query()
    stock = StockOfSearch(snapshot, moment, seed)
    for field, names in FILTERS_OF_FIELD.items():
        part = {name: asked[name] for name in names if name in asked}
        if part and field in snapshot.ranker.encoder.names:
            yield from condition_on(field, ListingFilters.from_query(part), stock, n_unmet)


def condition_on(field: str, filters: ListingFilters, stock: StockOfSearch, n_unmet: int) -> Iterator[Condition]:
    met, unmet = stock.divided_by(filters)
    if not len(met) or not len(unmet):
        return
    met, unmet = met[:MATCHES_AVERAGED], unmet[:n_unmet]
    parts = stock.snapshot.parts(field, np.concatenate([met, unmet]))
    yield Condition(parts[: len(met)].mean(axis=0), parts[len(met) :])


class StockOfSearch:
    """The cars that were for sale when a search was made, in an order of chance that depends on its seed alone."""

    def __init__(self, snapshot: ListingSnapshot, moment: float, seed: int) -> None:
        self.snapshot = snapshot
        self._moment = float(snapshot.stock.settled(np.array([moment]))[0])
        self._seed = seed

    def divided_by(self, filters: ListingFilters) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of cars that meet a condition, and of those that do not; enough of either, not all of them.

        A training meets thousands of searches, and looking through the whole stock for each would take most of its
        time.
        """
        met, unmet = self._divided(self._some, filters)
        if len(met) < MATCHES_AVERAGED or not len(unmet):
            return self._divided(self.snapshot.stock.shuffled_live(self._moment, self._seed), filters)
        return met, unmet

    def _divided(self, rows: NDArray[np.intp], filters: ListingFilters) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        is_met = self.snapshot.columns.matching(filters, rows)
        return rows[is_met], rows[~is_met]

    @cached_property
    def _some(self) -> NDArray[np.intp]:
        return self.snapshot.stock.shuffled_live(self._moment, self._seed, SEARCHED_AMONG)
