"""What a car like this costs, learned from what such cars are offered for: the basis of deals and market prices.

A price level per model, a thin one leaning on its make's, and slopes for age, mileage, power, engine and gearbox that
all models share (``scoring.fit_prices``); boosted trees correct it and say how widely such cars' prices are spread
(``price_trees``). A car without comparable ones has no expected price, rather than a wild one. A price or mileage out
of all reason is no evidence: it teaches nothing, and is no deal.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from catalog.attributes import DAMAGES_THAT_COST
from recommendations.engine.arrays import Array
from recommendations.engine.fields import NUMBERS
from recommendations.engine.price_trees import TreeConfig, Trees, fit_trees
from recommendations.engine.score_terms import deal_term
from recommendations.engine.scoring import PriceModel, fit_prices
from recommendations.engine.table import ListingTable

FEWEST_COMPARED = 5  # priced cars that make a group of their own
FEWEST_BOOSTED = 100  # priced cars; fewer do not say how widely prices are spread
MOST_BOOSTED = 120_000  # priced cars; more take longer and hardly say more
COVARIATES = ("age", "mileage", "power", "engine")
MANUAL, AUTOMATIC = "manual", ("automatic", "semi_automatic")
WORDS = ("fuel", "gearbox", "body", "drive", "seller_kind")  # categories that trees read

LOW, MEDIAN, HIGH = "low", "median", "high"
QUANTILES = {LOW: 0.1, MEDIAN: 0.5, HIGH: 0.9}
TREES = {LOW: TreeConfig(n_trees=50, learning_rate=0.2), MEDIAN: TreeConfig()}  # ends need less detail than the middle
TREES[HIGH] = TREES[LOW]
WIDEST = 3.0  # the high end over the low end; where prices spread more, a market price would say nothing
CALIBRATED_ON = 0.1  # of the priced cars: they say how much wider than learned the range must be to hold what it should

BEYOND_RANGE = 3.0  # times above the high end, or below the low end: no price of such a car
BEYOND_EXPECTED = 6.0  # the same where no range is known
BEYOND_MARKET = 200.0  # times the median price of the market: no price of any car
HARDLY_DRIVEN_KM, NOT_NEW_YEARS = 1_000.0, 4  # below so many kilometres after so many years: a form not filled in
MOST_DRIVEN_KM = 1_500_000.0

Group = tuple[str, str]  # make and model; model "" stands for the make
Label = Literal["good", "fair", "high"]


@dataclass(frozen=True)
class MarketPrice:
    """What such a car costs, in the currency of the table: the middle 80 % of prices lie from ``low`` to ``high``.

    ``label`` is "good" below that range, "high" above, "fair" within.
    """

    low: float
    median: float
    high: float
    label: Label


@dataclass(frozen=True, eq=False)
class Boosting:
    """Trees that correct the log price which levels and slopes expect.

    Attributes:
        trees: By quantile: ``LOW``, ``MEDIAN`` and ``HIGH``.
        widening: What is added to the range at both ends, in logs, so that it holds 80 % of unseen cars.
        words: Levels of each of ``WORDS``, by which trees know them.
    """

    trees: Mapping[str, Trees]
    widening: float
    words: Mapping[str, tuple[str, ...]]

    def correct(self, quantile: str, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The correction of the expected log price of each row of ``CarPrices.features``, shape (n,)."""
        widening = {LOW: -self.widening, MEDIAN: 0.0, HIGH: self.widening}[quantile]
        return self.trees[quantile].predict(features) + widening

    def to_arrays(self) -> dict[str, Array]:
        trees = {f"{of}.{name}": array for of, some in self.trees.items() for name, array in some.to_arrays().items()}
        words = np.frombuffer(json.dumps(dict(self.words)).encode(), np.uint8)
        return {**trees, "widening": np.array(self.widening), "words": words}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        words = {name: tuple(levels) for name, levels in json.loads(arrays["words"].tobytes()).items()}
        trees = {quantile: Trees.from_arrays(_part(arrays, quantile)) for quantile in QUANTILES}
        return cls(trees, float(arrays["widening"]), words)


@dataclass(frozen=True, eq=False)
class CarPrices:
    """Expected prices of cars. Made by ``fit_car_prices``, ``nothing`` or ``from_arrays``.

    Attributes:
        groups: Make and model of each group of the model, its position being the code.
        model: Levels by group and shared slopes.
        boosting: None where there were too few cars, and in versions that were stored before there was any.
        usual_price: The median of the market; nan where unknown.
        newest_year: Of nearly all cars it was learned from; nan where unknown.
    """

    groups: tuple[Group, ...]
    model: PriceModel
    boosting: Boosting | None = None
    usual_price: float = np.nan
    newest_year: float = np.nan

    @classmethod
    def nothing(cls) -> Self:
        """Expects no price of any car, so that every deal is unknown."""
        n = len(COVARIATES) + 1
        return cls((), PriceModel(0.0, np.zeros(0), np.zeros(n), np.zeros(n)))

    def expect(self, table: ListingTable) -> NDArray[np.float64]:
        """Expected price of each listing in the market's currency, shape (n,); nan without comparable cars."""
        return self._quantile(MEDIAN, *self._basis(table))

    def ranges(self, table: ListingTable) -> NDArray[np.float64]:
        """Low end, median and high end of what such cars cost, shape (n, 3), ascending; nan where nothing says so."""
        return self._ranges(*self._basis(table))

    def deals(self, table: ListingTable, ranges: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Log of expected over asked price of each listing, shape (n,), as ``scoring.deal_term``; nan for unknown.

        A price or mileage out of all reason makes no deal, nor does a damaged car, which is cheap for its damage.
        ``ranges`` are those of the table, if they are known.
        """
        return self.deals_and_plausibility(table, ranges)[0]

    def are_plausible(self, table: ListingTable) -> NDArray[np.bool_]:
        """Whether price and mileage of each listing may be what they say, shape (n,); the unknown may be anything."""
        return self.deals_and_plausibility(table)[1]

    def deals_and_plausibility(
        self, table: ListingTable, ranges: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """``deals`` and ``are_plausible`` at once."""
        ranges = self.ranges(table) if ranges is None else ranges
        is_plausible = self._are_plausible(table, ranges)
        has_deal = is_plausible & ~are_damaged(table)
        return np.where(has_deal, deal_term(table.price, ranges[:, 1]), np.nan), is_plausible

    def appraise(self, table: ListingTable, ranges: NDArray[np.float64] | None = None) -> list[MarketPrice | None]:
        """The market price of each listing; None without a plausible price, or where such cars' prices vary widely.

        None of a damaged car either: the prices of the others say nothing about it.
        ``ranges`` are those of the table, if they are known.
        """
        ranges = self.ranges(table) if ranges is None else ranges
        is_sayable = self._are_plausible(table, ranges) & (table.price > 0) & ~are_damaged(table)
        return [
            _appraised(price, *ends) if sayable and ends[2] <= WIDEST * ends[0] else None
            for price, ends, sayable in zip(table.price.tolist(), ranges.tolist(), is_sayable.tolist(), strict=True)
        ]

    def to_arrays(self) -> dict[str, Array]:
        """For storage without pickle; ``from_arrays`` restores it."""
        groups = np.frombuffer(json.dumps(self.groups).encode(), np.uint8)
        boosting = self.boosting.to_arrays() if self.boosting else {}
        market = {"usual_price": self.usual_price, "newest_year": self.newest_year}
        return {
            "groups": groups,
            **{name: np.array(value) for name, value in market.items() if np.isfinite(value)},
            **{f"model.{name}": array for name, array in self.model.to_arrays().items()},
            **{f"boosting.{name}": array for name, array in boosting.items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Self:
        """Also of what was stored before there were trees: then levels and slopes answer alone."""
        boosting = _part(arrays, "boosting")
        return cls(
            groups=tuple((make, model) for make, model in json.loads(arrays["groups"].tobytes())),
            model=PriceModel.from_arrays(_part(arrays, "model")),
            boosting=Boosting.from_arrays(boosting) if boosting else None,
            usual_price=float(arrays.get("usual_price", np.nan)),
            newest_year=float(arrays.get("newest_year", np.nan)),
        )

    def features(self, table: ListingTable, words: Mapping[str, tuple[str, ...]]) -> NDArray[np.float64]:
        """The features of the trees, shape (n, n_features), nan for unknown."""
        return self._features(table, self._log_levels(table), words)

    def _are_plausible(self, table: ListingTable, ranges: NDArray[np.float64]) -> NDArray[np.bool_]:
        low, expected, high = ranges.T
        with np.errstate(invalid="ignore"):
            is_odd = (table.price < low / BEYOND_RANGE) | (table.price > high * BEYOND_RANGE)
            if self.boosting is None:
                is_odd = (table.price < expected / BEYOND_EXPECTED) | (table.price > expected * BEYOND_EXPECTED)
            is_odd |= (table.price < self.usual_price / BEYOND_MARKET) | (
                table.price > self.usual_price * BEYOND_MARKET
            )
        are_plausible: NDArray[np.bool_] = ~is_odd & ~are_mileages_odd(table, self.newest_year)
        return are_plausible

    def _basis(self, table: ListingTable) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Log price by levels and slopes, nan without comparable cars, shape (n,); and what trees read."""
        table = _with_plausible_mileages(table, self.newest_year)
        levels = self._log_levels(table)
        if self.boosting is None:
            return levels[:, 0], None
        return levels[:, 0], self._features(table, levels, self.boosting.words)

    def _quantile(
        self, quantile: str, basis: NDArray[np.float64], features: NDArray[np.float64] | None
    ) -> NDArray[np.float64]:
        known = np.flatnonzero(~np.isnan(basis))
        corrected = basis.copy()
        if self.boosting is not None and features is not None:
            corrected[known] += self.boosting.correct(quantile, features[known])
        return np.exp(corrected)

    def _ranges(self, basis: NDArray[np.float64], features: NDArray[np.float64] | None) -> NDArray[np.float64]:
        if features is None:
            unknown = np.full(len(basis), np.nan)
            return np.column_stack([unknown, np.exp(basis), unknown])
        # each quantile is learned by itself; sorting what crosses never makes the estimate worse
        return np.sort(np.column_stack([self._quantile(each, basis, features) for each in QUANTILES]), axis=1)

    def _log_levels(self, table: ListingTable) -> NDArray[np.float64]:
        """Log price by levels and slopes, level of the model, and of the make, shape (n, 3); nan for unknown."""
        codes = self._codes(table)
        make_codes = np.array([self._code_by_group.get((make, ""), -1) for make in table.make], np.intp)
        levels = np.append(self.model.levels, np.nan)
        expected = np.where(codes >= 0, np.log(self.model.expect(codes, covariates(table))), np.nan)
        return np.column_stack([expected, levels[codes], levels[make_codes]])

    def _features(
        self, table: ListingTable, levels: NDArray[np.float64], words: Mapping[str, tuple[str, ...]]
    ) -> NDArray[np.float64]:
        consumption = NUMBERS["consumption"].read(table, 0)
        codes = [_codes_of(getattr(table, name), words.get(name, ())) for name in WORDS]
        return np.column_stack([levels, covariates(table), consumption, *codes])

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
        table: Prices in one currency; a listing without a price or a make teaches nothing, nor does one whose price is
            out of all reason, nor a damaged car.

    Returns:
        The prices; ``CarPrices.nothing()`` when no make has ``FEWEST_COMPARED`` priced cars.
    """
    is_priced = (table.price > 0) & np.isfinite(table.price) & (table.make != "") & ~are_damaged(table)
    priced = table.take(np.flatnonzero(is_priced))
    if not len(priced):
        return CarPrices.nothing()
    usual = float(np.median(priced.price))
    years = priced.year[np.isfinite(priced.year)]
    newest = float(np.quantile(years, 0.99)) if len(years) else np.nan
    priced = priced.take(np.abs(np.log(priced.price / usual)) <= np.log(BEYOND_MARKET))
    priced = _with_plausible_mileages(priced, newest)
    prices = replace(_fit_levels(priced), usual_price=usual, newest_year=newest)
    with np.errstate(invalid="ignore"):
        is_odd = np.abs(np.log(priced.price / prices.expect(priced))) > np.log(BEYOND_EXPECTED)
    if is_odd.any():
        priced = priced.take(~is_odd)
        prices = replace(_fit_levels(priced), usual_price=usual, newest_year=newest)
    return replace(prices, boosting=_fit_boosting(prices, priced))


def are_damaged(table: ListingTable) -> NDArray[np.bool_]:
    """Which cars cost less than their like because of a damage, shape (n,); where nothing is said there is none."""
    return np.isin(table.damage.astype(str), DAMAGES_THAT_COST)


def _fit_levels(priced: ListingTable) -> CarPrices:
    groups = _groups_of(priced)
    if not groups:
        return CarPrices.nothing()
    prices = replace(CarPrices.nothing(), groups=groups)
    parents = np.array([prices._code_by_group[make, ""] if model else -1 for make, model in groups], np.intp)
    model = fit_prices(priced.price, prices._codes(priced), covariates(priced), len(groups), parents=parents)
    return replace(prices, model=model)


def _fit_boosting(prices: CarPrices, priced: ListingTable) -> Boosting | None:
    """Trees over what levels and slopes leave unexplained; None for too few cars.

    The ends of the range are learned from nine cars in ten. The tenth says by how much they must move apart to hold
    the share of unseen cars that they should (conformalized quantile regression: Romano, Patterson & Candès 2019).
    """
    words = {name: tuple(sorted(set(getattr(priced, name)) - {""})) for name in WORDS}
    features = prices.features(priced, words)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(~np.isnan(features[:, 0])))[:MOST_BOOSTED]
    if len(rows) < FEWEST_BOOSTED:
        return None
    features, left_over = features[rows], np.log(priced.price[rows]) - features[rows, 0]
    n_calibrating = round(CALIBRATED_ON * len(rows))
    learned, unseen = slice(n_calibrating, None), slice(n_calibrating)
    trees = {}
    for name, share in QUANTILES.items():
        taught = slice(None) if name == MEDIAN else learned
        trees[name] = fit_trees(features[taught], left_over[taught], share, TREES[name])
    below = trees[LOW].predict(features[unseen]) - left_over[unseen]
    above = left_over[unseen] - trees[HIGH].predict(features[unseen])
    outside = np.maximum(below, above)
    widening = np.quantile(outside, QUANTILES[HIGH] - QUANTILES[LOW], method="higher")
    return Boosting(trees, float(widening), words)


def are_mileages_odd(table: ListingTable, newest_year: float) -> NDArray[np.bool_]:
    """Mileages that no such car has: next to nothing after years, or more than any car drives; shape (n,)."""
    with np.errstate(invalid="ignore"):
        is_old = table.year <= newest_year - NOT_NEW_YEARS
        return (is_old & (table.mileage_km < HARDLY_DRIVEN_KM)) | (table.mileage_km > MOST_DRIVEN_KM)


def _with_plausible_mileages(table: ListingTable, newest_year: float) -> ListingTable:
    is_odd = are_mileages_odd(table, newest_year)
    return replace(table, mileage_km=np.where(is_odd, np.nan, table.mileage_km)) if is_odd.any() else table


def _appraised(price: float, low: float, median: float, high: float) -> MarketPrice:
    label: Label = "good" if price < low else "high" if price > high else "fair"
    return MarketPrice(low, median, high, label)


def _codes_of(values: NDArray[np.object_], levels: tuple[str, ...]) -> NDArray[np.float64]:
    """The position of each value among the levels, shape (n,); nan for one that is none of them."""
    positions = {level: float(at) for at, level in enumerate(levels)}
    return np.array([positions.get(value, np.nan) for value in values], np.float64)


def _part(arrays: Mapping[str, Array], name: str) -> dict[str, Array]:
    start = f"{name}."
    return {key.removeprefix(start): array for key, array in arrays.items() if key.startswith(start)}


def covariates(table: ListingTable) -> NDArray[np.float64]:
    """Covariates of the price within a model, shape (n, 5): age, logs of mileage, power and engine, and gearbox."""
    numbers = [NUMBERS[name].read(table, 0) for name in COVARIATES]
    is_automatic = np.where(np.isin(table.gearbox, AUTOMATIC), 1.0, np.where(table.gearbox == MANUAL, 0.0, np.nan))
    return np.column_stack([*numbers, is_automatic])


def _groups_of(priced: ListingTable) -> tuple[Group, ...]:
    """Makes and models with enough cars to compare, in a fixed order."""
    cars = list(zip(priced.make, priced.model, strict=True))
    counts = Counter(car for car in cars if car[1]) + Counter((make, "") for make, _ in cars)
    return tuple(sorted(group for group, n in counts.items() if n >= FEWEST_COMPARED))
