"""What a car like this costs, learned from what such cars are offered for: the ground of the deal term.

A price level per model, a thin one leaning on its make's, and slopes for age, mileage, power, engine and gearbox that
all models share (``scoring.fit_prices``). A car without comparable ones has no expected price, rather than a wild one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.fields import NUMBERS
from recommendations.engine.scoring import PriceModel, deal_term, fit_prices
from recommendations.engine.table import ListingTable

FEWEST_COMPARED = 5  # priced cars that make a group of their own
COVARIATES = ("age", "mileage", "power", "engine")
MANUAL, AUTOMATIC = "manual", ("automatic", "semi_automatic")

Group = tuple[str, str]  # make and model; model "" stands for the make


@dataclass(frozen=True, eq=False)
class CarPrices:
    """Expected prices of cars. Made by ``fit_car_prices``, ``nothing`` or ``from_arrays``.

    Attributes:
        groups: Make and model of each group of the model, its position being the code.
        model: Levels by group and shared slopes.
    """

    groups: tuple[Group, ...]
    model: PriceModel

    @classmethod
    def nothing(cls) -> Self:
        """Expects no price of any car, so that every deal is unknown."""
        n = len(COVARIATES) + 1
        return cls((), PriceModel(0.0, np.zeros(0), np.zeros(n), np.zeros(n)))

    def expect(self, table: ListingTable) -> NDArray[np.float64]:
        """Expected price of each listing in the market's currency, shape (n,); nan without comparable cars."""
        codes = self._codes(table)
        expected = self.model.expect(codes, covariates(table))
        return np.where(codes >= 0, expected, np.nan)

    def deals(self, table: ListingTable) -> NDArray[np.float64]:
        """Log of expected over asked price of each listing, shape (n,), as ``scoring.deal_term``; nan for unknown."""
        return deal_term(table.price, self.expect(table))

    def to_arrays(self) -> dict[str, NDArray]:
        """For storage without pickle; ``from_arrays`` restores it."""
        groups = np.frombuffer(json.dumps(self.groups).encode(), np.uint8)
        return {"groups": groups, **{f"model.{name}": array for name, array in self.model.to_arrays().items()}}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray]) -> Self:
        groups = tuple((make, model) for make, model in json.loads(arrays["groups"].tobytes()))
        model = {name.removeprefix("model."): array for name, array in arrays.items() if name.startswith("model.")}
        return cls(groups, PriceModel.from_arrays(model))

    @cached_property
    def _code_by_group(self) -> dict[Group, int]:
        return {group: code for code, group in enumerate(self.groups)}

    def _codes(self, table: ListingTable) -> NDArray[np.intp]:
        """The finest known group of each listing, -1 for none, shape (n,)."""
        code_by_group = self._code_by_group
        cars = zip(table.make, table.model, strict=True)
        return np.array([code_by_group.get(car, code_by_group.get((car[0], ""), -1)) for car in cars], np.intp)


def fit_car_prices(table: ListingTable) -> CarPrices:
    """Learn what cars cost from a catalogue, sold cars included.

    Args:
        table: Prices in one currency; a listing without a price or a make teaches nothing.

    Returns:
        The prices; ``CarPrices.nothing()`` when no make has ``FEWEST_COMPARED`` priced cars.
    """
    is_priced = (table.price > 0) & np.isfinite(table.price) & (table.make != "")
    priced = table.take(np.flatnonzero(is_priced))
    groups = _groups_of(priced)
    if not groups:
        return CarPrices.nothing()
    prices = replace(CarPrices.nothing(), groups=groups)
    parents = np.array([prices._code_by_group[make, ""] if model else -1 for make, model in groups], np.intp)
    model = fit_prices(priced.price, prices._codes(priced), covariates(priced), len(groups), parents=parents)
    return replace(prices, model=model)


def covariates(table: ListingTable) -> NDArray[np.float64]:
    """What moves a price within a model, shape (n, 5): age and logs of mileage, power and engine, and the gearbox."""
    numbers = [NUMBERS[name].read(table, 0) for name in COVARIATES]
    is_automatic = np.where(np.isin(table.gearbox, AUTOMATIC), 1.0, np.where(table.gearbox == MANUAL, 0.0, np.nan))
    return np.column_stack([*numbers, is_automatic])


def _groups_of(priced: ListingTable) -> tuple[Group, ...]:
    """Makes and models with enough cars to compare, in a fixed order."""
    cars = list(zip(priced.make, priced.model, strict=True))
    counts = Counter(car for car in cars if car[1]) + Counter((make, "") for make, _ in cars)
    return tuple(sorted(group for group, n in counts.items() if n >= FEWEST_COMPARED))
