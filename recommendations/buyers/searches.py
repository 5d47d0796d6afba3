"""The evidence of a search: each of its conditions is evidence about one field, and none about the others.

Cars that meet a condition differ from others in further ways: a search for one make finds cars of its prices and ages,
which the buyer did not ask for. So a condition is a choice between the parts of the vectors that its own field
contributes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.attributes import CATEGORY_FEATURES, NUMBER_FEATURES
from catalog.filters import ListingFilters
from recommendations.listings.snapshot import ListingSnapshot

MATCHES_AVERAGED = 30  # a condition stands for the mean of that many of the cars that meet it
SEARCHES_AT_ONCE = 500  # bounds the memory of what each field makes of their cars: some 50 of each condition
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


# Ranges of these are rarely given twice alike; what is asked of the other fields is a name, the same each time.
NUMBER_FIELDS = frozenset({"age", "price", *(number.name for number in NUMBER_FEATURES)})


@dataclass(eq=False)
class Drawn:
    """The cars of one condition of a search.

    Attributes:
        field: Of the encoder.
        asked: As in ``Condition``.
        met: Rows of cars that meet it.
        rows: The same, and then some that do not.
        mixture: Of the field, for ``rows``, once it was needed: it is used in a fraction of the time that it takes to
            look up. None for tags.
    """

    field: str
    asked: str
    met: NDArray[np.intp]
    rows: NDArray[np.intp]
    mixture: tuple[NDArray[np.int32], NDArray[np.float64]] | None = None


@dataclass(frozen=True, eq=False)
class Condition:
    """One field of a search as a choice.

    Attributes:
        field: Of the encoder.
        asked: What was asked of it, as text; equal where it was the same.
        met: Mean part of the cars that meet it, float32, shape (n_dims,).
        unmet: Parts of cars that do not, float32, shape (n, n_dims).
    """

    field: str
    asked: str
    met: NDArray[np.float32]
    unmet: NDArray[np.float32]


class Search(NamedTuple):
    """A search to learn from.

    Attributes:
        query: As ``ListingFilters.as_query`` makes it, or as an earlier release did.
        moment: Epoch seconds.
        seed: Of the cars drawn.
    """

    query: object
    moment: float
    seed: int


def conditions_of(query: object, snapshot: ListingSnapshot, moment: float, seed: int, n_unmet: int) -> list[Condition]:
    """Return the conditions of a search; one that all cars for sale meet, or none, is left out.

    Args:
        query: As ``ListingFilters.as_query`` makes it, or as an earlier release did; unreadable parts are ignored.
        snapshot: The listings.
        moment: Time of the search, epoch seconds: cars for sale then are compared (``Stock.settled``), so that the
            result does not depend on when it is computed.
        seed: Of the cars drawn.
        n_unmet: Largest number of cars that do not meet a condition.
    """
    return [condition for _, condition in conditions_of_searches([Search(query, moment, seed)], snapshot, n_unmet)]


def conditions_of_searches(
    searches: Sequence[Search], snapshot: ListingSnapshot, n_unmet: int
) -> list[tuple[int, Condition]]:
    """Return the conditions of many searches, each with the position of its search, in order.

    The parts of the cars are computed for many searches together: one by one, a buyer's fifty searches took longer than
    the rest of their log.
    """
    numbered = list(enumerate(searches))
    return [
        found
        for start in range(0, len(numbered), SEARCHES_AT_ONCE)
        for found in conditions_at_once(numbered[start : start + SEARCHES_AT_ONCE], snapshot, n_unmet)
    ]


def conditions_at_once(
    searches: Sequence[tuple[int, Search]], snapshot: ListingSnapshot, n_unmet: int
) -> list[tuple[int, Condition]]:
    drawn = [(at, one) for at, search in searches for one in kept_drawn(search, snapshot, n_unmet)]
    parts = {field: iter(parts_of(field, [one for _, one in drawn if one.field == field], snapshot))
             for field in {one.field for _, one in drawn}}  # fmt: skip
    return [(at, condition_of(one, next(parts[one.field]))) for at, one in drawn]


def condition_of(drawn: Drawn, parts: NDArray[np.float32]) -> Condition:
    n_met = len(drawn.met)
    return Condition(drawn.field, drawn.asked, parts[:n_met].mean(axis=0), parts[n_met:])


def parts_of(field: str, drawn: Sequence[Drawn], snapshot: ListingSnapshot) -> list[NDArray[np.float32]]:
    """The parts that one field contributes to the vectors of the cars of each condition: those that meet it first.

    A car's part depends on the car alone, to the last bit, whatever else is computed with it.
    """
    ranker = snapshot.ranker
    keep_mixtures(field, [one for one in drawn if one.mixture is None], snapshot)
    mixtures = [one.mixture for one in drawn if one.mixture is not None]
    if mixtures:
        states, shares = (np.concatenate(columns) for columns in zip(*mixtures, strict=True))
        content = ranker.encoder.mixed_apart(field, states, shares)
    else:
        content = snapshot.parts_apart(field, np.concatenate([one.rows for one in drawn]))
    parts = np.zeros((len(content), ranker.n_dims), np.float32)
    parts[:, : content.shape[1]] = content
    return np.split(parts, np.cumsum([len(one.rows) for one in drawn])[:-1])


def keep_mixtures(field: str, drawn: Sequence[Drawn], snapshot: ListingSnapshot) -> None:
    """Look up the mixtures of new conditions, of all together, and keep each with its condition."""
    if not drawn:
        return
    table = snapshot.columns.table(np.concatenate([one.rows for one in drawn]))
    if (mixture := snapshot.ranker.encoder.field_mixture(table, field)) is None:
        return
    ends = np.cumsum([len(one.rows) for one in drawn])[:-1]
    for one, states, shares in zip(drawn, *(np.split(column, ends) for column in mixture), strict=True):
        one.mixture = states.copy(), shares.copy()  # a view would keep those of all


def kept_drawn(search: Search, snapshot: ListingSnapshot, n_unmet: int) -> list[Drawn]:
    """Cache ``drawn_for`` while the stock does not change: most searches of a buyer are the same as last time."""
    key = (json.dumps(search.query, sort_keys=True), search.moment, search.seed, n_unmet)
    known: list[Drawn] | None = snapshot.searches.get(key)
    if known is None:
        known = snapshot.searches[key] = list(drawn_for(search, snapshot, n_unmet))
    return known


def drawn_for(search: Search, snapshot: ListingSnapshot, n_unmet: int) -> Iterator[Drawn]:
    """Yield each condition of a search, with cars that meet it and some that do not."""
    asked = ListingFilters.from_query(search.query).as_query()
    stock = StockOfSearch(snapshot, search.moment, search.seed)
    for field, names in FILTERS_OF_FIELD.items():
        part = {name: asked[name] for name in names if name in asked}
        if not part or field not in snapshot.ranker.encoder.names:
            continue
        met, unmet = stock.divided_by(ListingFilters.from_query(part), n_unmet)
        if len(met) and len(unmet):
            # copies, since views would keep all that they were chosen from
            yield Drawn(field, text_of(part), met.copy(), np.concatenate([met, unmet]))


def text_of(asked: dict[str, object]) -> str:
    """Conditions as text, the same in whichever order names were given."""
    in_order = {name: sorted(value) if isinstance(value, list) else value for name, value in asked.items()}
    return json.dumps(in_order, sort_keys=True)


class StockOfSearch:
    """The cars for sale at the time of a search, in a random order that depends on its seed only."""

    def __init__(self, snapshot: ListingSnapshot, moment: float, seed: int) -> None:
        self.snapshot = snapshot
        self._moment = float(snapshot.stock.settled(np.array([moment]))[0])
        self._seed = seed

    def divided_by(self, filters: ListingFilters, n_unmet: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows of ``MATCHES_AVERAGED`` cars that meet a condition, and of ``n_unmet`` that do not, as far as
        there are any.

        A training has thousands of searches, so the whole stock is filtered only where a sample does not suffice.
        """
        met, unmet = self._divided(self._some, filters)
        if len(met) >= MATCHES_AVERAGED and len(unmet):
            return met[:MATCHES_AVERAGED], unmet[:n_unmet]
        met, unmet = self._divided(self._all, filters)
        stock, seed = self.snapshot.stock, self._seed
        return stock.shuffled(met, seed, MATCHES_AVERAGED), stock.shuffled(unmet, seed, n_unmet)

    def _divided(self, rows: NDArray[np.intp], filters: ListingFilters) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        is_met = self.snapshot.columns.matching(filters, rows)
        return rows[is_met], rows[~is_met]

    @cached_property
    def _all(self) -> NDArray[np.intp]:
        return self.snapshot.stock.live_rows(self._moment)

    @cached_property
    def _some(self) -> NDArray[np.intp]:
        return self.snapshot.stock.shuffled_live(self._moment, self._seed, SEARCHED_AMONG)
