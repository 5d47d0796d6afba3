"""What a search says of a preference: each of its conditions something about one field, and nothing about the others.

Cars that meet a condition differ from those that do not in other ways too: a search for one make finds cars of its
prices and ages, which the buyer said nothing of. So a condition is a choice between the parts of the vectors that its
own field makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from catalog.attributes import CATEGORY_FEATURES, NUMBER_FEATURES
from catalog.filters import ListingFilters
from recommendations.listings.snapshot import ListingSnapshot

MATCHES_AVERAGED = 30  # a condition stands for the mean of that many of the cars that meet it
SEARCHED_AMONG = 4_000  # live cars; a condition that enough of these meet is not put to all the others

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


def conditions_of(query: object, snapshot: ListingSnapshot, seed: int, n_unmet: int) -> Iterator[Condition]:
    """What each condition of a search says; one that every live car meets, or none, says nothing.

    Args:
        query: As ``ListingFilters.as_query`` makes it, or as an earlier release did; what cannot be read asks for
            nothing.
        snapshot: Whose live cars are compared.
        seed: The same cars are drawn for the same seed.
        n_unmet: Cars that do not meet a condition, at most.
    """
    asked = ListingFilters.from_query(query).as_query()
    for field, names in FILTERS_OF_FIELD.items():
        part = {name: asked[name] for name in names if name in asked}
        if part and field in snapshot.ranker.encoder.names:
            yield from condition_on(field, ListingFilters.from_query(part), snapshot, seed, n_unmet)


def condition_on(
    field: str, filters: ListingFilters, snapshot: ListingSnapshot, seed: int, n_unmet: int
) -> Iterator[Condition]:
    met, unmet = divided_by(filters, snapshot)
    if not len(met) or not len(unmet):
        return
    rng = np.random.default_rng(seed)
    met = rng.choice(met, min(MATCHES_AVERAGED, len(met)), replace=False)
    unmet = rng.choice(unmet, min(n_unmet, len(unmet)), replace=False)
    parts = snapshot.parts(field, np.concatenate([met, unmet]))
    yield Condition(parts[: len(met)].mean(axis=0), parts[len(met) :])


def divided_by(filters: ListingFilters, snapshot: ListingSnapshot) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of live cars that meet a condition, and of those that do not; enough of either, not all of them.

    A training meets thousands of searches, and looking through the whole stock for each would take most of its time.
    """
    some = snapshot.live_sample(SEARCHED_AMONG)
    is_met = snapshot.columns.matching(filters, some)
    met, unmet = some[is_met], some[~is_met]
    if len(met) < MATCHES_AVERAGED or not len(unmet):
        is_live, is_met = snapshot.column("is_live"), snapshot.columns.matching(filters)
        met, unmet = np.flatnonzero(is_live & is_met), np.flatnonzero(is_live & ~is_met)
    return met, unmet
