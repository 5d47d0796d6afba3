"""The true utility function of a simulated buyer.

Most of a ``TrueTaste`` has the form that the recommender assumes (a sum over attributes, with a curve in price), so it
can be recovered. Some parts have another form: pairs of attributes, drift over time, and households that need two
different cars. ``oracle_share`` measures how much of it a list serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommendations.engine.arrays import Array, Flags, Floats, Integers
from recommendations.engine.table import ListingTable

Rows = NDArray[np.int64]

LEVEL_FIELDS = ("make", "model", "body", "fuel", "gearbox", "drive", "colour", "seller_kind")
TYPICAL = {"price": 12_000.0, "year": 2018.0, "mileage_km": 80_000.0, "power_kw": 100.0, "consumption_l_100km": 6.0}


@dataclass(frozen=True, kw_only=True)
class TrueTaste:
    """The utility of a car to one buyer, in logits: a car one unit better is chosen e times as often.

    Attributes:
        kind: Type of buyer, for slices of an evaluation.
        levels: Field -> level -> utility; other levels are worth 0. Fields are the categories of a ``ListingTable``; a
            model is named ``make/model``.
        budget: The price with the highest utility.
        too_dear: Utility lost when the price is e times the budget.
        too_cheap: The same below it; smaller, and negative where cheaper is always better.
        per_year: Utility of a car one year younger.
        wear: Utility lost when the mileage is e times as high.
        power: Utility of e times the power.
        thirst: Utility lost per litre and 100 km.
        pairs: Interactions of attributes: ``(field, level, field, level, utility)``.
        second_car: Utility of another car that the household needs; a car is worth the larger of the two.
        former: Utility ``drift_days`` ago; in between it changes linearly.
        drift_days: See ``former``.
    """

    kind: str = "ordinary"
    levels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    budget: float = TYPICAL["price"]
    too_dear: float = 0.0
    too_cheap: float = 0.0
    per_year: float = 0.0
    wear: float = 0.0
    power: float = 0.0
    thirst: float = 0.0
    pairs: Sequence[tuple[str, str, str, str, float]] = ()
    second_car: TrueTaste | None = None
    former: TrueTaste | None = None
    drift_days: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.budget) and self.budget > 0):
            raise ValueError(f"a budget must be positive, not {self.budget}")
        if unknown := set(self.levels) - set(LEVEL_FIELDS):
            raise ValueError(f"no such field of a listing: {', '.join(sorted(unknown))}")
        if self.former is not None and not self.drift_days > 0:
            raise ValueError("a taste with a former one needs drift_days above 0")

    def to_json(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers; ``from_json`` is the inverse."""
        return asdict(self) | {"pairs": [list(pair) for pair in self.pairs]} | self._nested(TrueTaste.to_json)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Restore from JSON; unknown names are ignored, because stored rows outlive this class."""
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        known["pairs"] = tuple((a, b, c, d, value) for a, b, c, d, value in known.get("pairs", ()))
        for name in ("second_car", "former"):
            known[name] = cls.from_json(data[name]) if data.get(name) else None
        return cls(**known)

    def scaled(self, factor: float) -> Self:
        """Return the utility multiplied by ``factor``, to four decimals; the budget stays."""

        def times(value: float) -> float:
            return round(float(value) * factor, 4)

        return replace(
            self,
            levels={name: {level: times(worth) for level, worth in of.items()} for name, of in self.levels.items()},
            pairs=tuple((*pair[:4], times(pair[4])) for pair in self.pairs),
            too_dear=times(self.too_dear),
            too_cheap=times(self.too_cheap),
            per_year=times(self.per_year),
            wear=times(self.wear),
            power=times(self.power),
            thirst=times(self.thirst),
        )

    def _nested(self, convert: Callable[[TrueTaste], dict[str, Any]]) -> dict[str, Any]:
        return {name: convert(part) if (part := getattr(self, name)) else None for name in ("second_car", "former")}


class CodedTable:
    """A listing table with its categories as numbers, so that many utilities can be computed on it cheaply."""

    def __init__(self, table: ListingTable) -> None:
        self.table = table
        self._positions: dict[str, dict[str, int]] = {}
        self._codes: dict[str, NDArray[np.intp]] = {}
        for name in LEVEL_FIELDS:
            levels, codes = np.unique(_levels(table, name), return_inverse=True)
            self._positions[name] = {level: position for position, level in enumerate(levels.tolist())}
            self._codes[name] = codes

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: Integers | Flags) -> CodedTable:
        """Return the listings at these positions, without coding them again."""
        part = object.__new__(CodedTable)
        part.table, part._positions = self.table, self._positions
        part._codes = {name: codes[rows] for name, codes in self._codes.items()}
        part.__dict__["numbers"] = {name: values[rows] for name, values in self.numbers.items()}
        return part

    def worth(self, name: str, worth_by_level: Mapping[str, float]) -> Floats:
        """Return the utility of each row's level of a field, float64, shape (n,)."""
        worth = np.zeros(len(self._positions[name]))
        for level, value in worth_by_level.items():
            if (position := self._positions[name].get(level)) is not None:
                worth[position] = value
        return worth[self._codes[name]]

    def has(self, name: str, level: str) -> NDArray[np.bool_]:
        """Mark the rows with this level of a field."""
        has_level: NDArray[np.bool_] = self._codes[name] == self._positions[name].get(level, -1)
        return has_level

    @cached_property
    def numbers(self) -> dict[str, Floats]:
        """Return the numeric fields on the scales of ``scaled_numbers``."""
        return scaled_numbers({name: getattr(self.table, name) for name in TYPICAL})


def scaled_numbers(columns: Mapping[str, Array]) -> dict[str, Floats]:
    """Convert columns named as in ``TYPICAL`` to scales on which utility is linear; an unknown number is a typical
    one."""
    known = {name: np.nan_to_num(columns[name], nan=typical) for name, typical in TYPICAL.items()}
    return {
        "log_price": np.log(np.maximum(known["price"], 1.0)),
        "years": known["year"] - TYPICAL["year"],
        "log_mileage": np.log1p(known["mileage_km"] / 10_000),
        "log_power": np.log(np.maximum(known["power_kw"], 1.0) / TYPICAL["power_kw"]),
        "litres": known["consumption_l_100km"] - TYPICAL["consumption_l_100km"],
    }


def _levels(table: ListingTable, name: str) -> Array:
    if name != "model":
        levels: Array = getattr(table, name).astype(str)
        return levels
    return np.array([f"{make}/{model}" for make, model in zip(table.make, table.model, strict=True)], str)


def utility(taste: TrueTaste, table: ListingTable | CodedTable, days_ago: ArrayLike = 0.0) -> Floats:
    """Return the utility of each listing to the buyer.

    Args:
        taste: The buyer's utility function.
        table: n listings. Unknown texts are worth 0, unknown numbers count as typical ones.
        days_ago: Time of the choice, a number or one per listing; matters only where the utility drifts.

    Returns:
        float64, shape (n,), finite. 0 is a typical car at the buyer's budget without liked or disliked levels.
    """
    coded = table if isinstance(table, CodedTable) else CodedTable(table)
    worth = _present_utility(taste, coded)
    if taste.former is None:
        return worth
    share = np.clip(np.asarray(days_ago) / taste.drift_days, 0.0, 1.0)  # of the former taste
    return (1 - share) * worth + share * _present_utility(taste.former, coded)


def _present_utility(taste: TrueTaste, coded: CodedTable) -> Floats:
    worth = _one_car(taste, coded)
    return worth if taste.second_car is None else np.maximum(worth, _one_car(taste.second_car, coded))


def _one_car(taste: TrueTaste, coded: CodedTable) -> Floats:
    worth = worth_of_numbers(taste, coded.numbers)
    for name, worth_by_level in taste.levels.items():
        worth += coded.worth(name, worth_by_level)
    for field_a, level_a, field_b, level_b, value in taste.pairs:
        worth += value * (coded.has(field_a, level_a) & coded.has(field_b, level_b))
    return worth


def worth_of_numbers(taste: TrueTaste, numbers: Mapping[str, Floats]) -> Floats:
    """Return the part of utility from price, age, mileage, power and consumption; ``numbers`` as of
    ``scaled_numbers``."""
    over = numbers["log_price"] - np.log(taste.budget)
    worth = -taste.too_dear * np.maximum(over, 0) - taste.too_cheap * np.maximum(-over, 0)
    worth += taste.per_year * numbers["years"] - taste.wear * numbers["log_mileage"]
    total: Floats = worth + taste.power * numbers["log_power"] - taste.thirst * numbers["litres"]
    return total


def oracle_share(utilities: Floats, chosen_rows: Rows, oracle_k: int = 20) -> float:
    """Return the utility of a list relative to that of the best ``oracle_k`` listings, above that of random ones.

    The zero point is the mean utility of the listings given, which should be the live ones: a list drawn at random
    scores 0 on average, the oracle's list 1, a list worse than chance less than 0. A list with fewer than ``oracle_k``
    cars has empty slots, which count as chance.

    Args:
        utilities: True utility of every live listing, shape (n,).
        chosen_rows: Positions of the recommended listings, without repeats, at most ``oracle_k`` of them.
        oracle_k: Length of the oracle's list; cut to n.

    Returns:
        The share; 1 where all listings are worth the same, nan where there are none.

    Raises:
        ValueError: If a row is repeated or the list is longer than the oracle's.
    """
    best = _best(utilities, chosen_rows, oracle_k)
    if not len(best):
        return float("nan")
    above_chance = utilities - utilities.mean()
    possible = above_chance[best].sum()
    return 1.0 if possible <= 1e-12 else float(above_chance[chosen_rows].sum() / possible)


def _best(utilities: Floats, chosen_rows: Rows, oracle_k: int) -> Rows:
    """Return the oracle's rows."""
    if len(np.unique(chosen_rows)) != len(chosen_rows):
        raise ValueError("a list must not repeat a listing")
    if len(chosen_rows) > oracle_k:
        raise ValueError(f"a list of {len(chosen_rows)} cannot be compared with an oracle's {oracle_k}")
    k = min(oracle_k, len(utilities))
    return np.argpartition(-utilities, k - 1)[:k] if k else np.zeros(0, np.int64)
