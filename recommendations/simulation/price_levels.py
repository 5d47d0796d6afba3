"""Typical price and mileage of each model at each age: medians of British adverts of 2020.

A model or age that is not in the adverts follows the mean curve of the others.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from recommendations.engine.arrays import Floats
from recommendations.simulation.car_specs import DATA, CarSpecs, read_models, read_specs

AGES = 31  # years: 0 to 30
YEARLY_BEYOND = 0.88  # share of its price that a car keeps in each year beyond the adverts' oldest
KM_BEYOND = 8_000.0  # kilometres in each of those years
LEAST_PRICE = 650.0
ELECTRIC_A_YEAR = 0.96  # factor a year on the price of electric cars, relative to the shared curve
KM_BY_FUEL = {"diesel": 1.25, "electric": 0.9}  # against all cars of an age
USED_SPREAD = 0.7  # variants of a model differ less in price when used than when new, by this exponent
SPREAD = 0.14  # standard deviation of the logarithm of what is asked for equal cars
HALVINGS = 25
SEEN_AT_LEAST = 8  # models at one age, for the shared curve


@dataclass(frozen=True, eq=False)
class PriceLevels:
    """Shape (n_models, AGES), in the order of ``models``.

    Attributes:
        models: ``(make, model)`` as the specs spell them.
        price: Median price in pounds.
        km: Median kilometres.
    """

    models: tuple[tuple[str, str], ...]
    price: Floats
    km: Floats

    def rows_of(self, specs: CarSpecs) -> NDArray[np.int64]:
        """The row of each variant, shape (n,)."""
        row = {model: at for at, model in enumerate(self.models)}
        return np.array([row[model] for model in zip(specs.make, specs.model, strict=True)], np.int64)


Known = dict[tuple[str, str], dict[int, tuple[float, float]]]


def read_known(path: Path) -> Known:
    """Read price and kilometres by (make, model) as the adverts spell them, and by age."""
    known: Known = defaultdict(dict)
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            known[row["make"], row["model"]][int(row["age"])] = float(row["price"]), float(row["km"])
    return dict(known)


@cache
def read_levels() -> PriceLevels:
    """Read the levels of all models. Raises FileNotFoundError if a table is missing."""
    known, rows = read_known(DATA / "uk_prices.csv"), read_models()
    price_curve, km_curve = shared_curves(known)
    scale = typical_scale(known, rows)
    prices, kms = [], []
    for row in rows:
        seen = known.get((row["make"], row["listed_as"]), {})
        if seen:
            prices.append(filled({age: price for age, (price, _) in seen.items()}, price_curve))
            kms.append(driven({age: km for age, (_, km) in seen.items()}, km_curve))
        else:
            is_electric = all(engine.startswith("electric") for engine in row["engines"].split("|"))
            loss = ELECTRIC_A_YEAR ** np.maximum(np.arange(AGES) - 1, 0) if is_electric else 1.0
            prices.append(float(row["price_gbp"]) * scale * price_curve * loss)
            kms.append(km_curve * usual_driving(row))
    models = tuple((row["make"], row["model"]) for row in rows)
    return PriceLevels(models, np.maximum(prices, LEAST_PRICE), np.array(kms))


def shared_curves(known: Known) -> tuple[Floats, Floats]:
    """Return price at each age relative to age one, and kilometres: medians over the models, extrapolated."""
    price, km = np.full(AGES, np.nan), np.full(AGES, np.nan)
    for age in range(AGES):
        at_age = [ages for ages in known.values() if age in ages]
        if len(at_age) >= SEEN_AT_LEAST:
            km[age] = np.median([ages[age][1] for ages in at_age])
            ratios = [ages[age][0] / ages[1][0] for ages in at_age if 1 in ages]
            price[age] = np.median(ratios) if len(ratios) >= SEEN_AT_LEAST else np.nan
    for age in range(1, AGES):
        if np.isnan(price[age]):
            price[age] = price[age - 1] * YEARLY_BEYOND
        if np.isnan(km[age]):
            km[age] = km[age - 1] + KM_BEYOND
    return np.minimum.accumulate(price), np.maximum.accumulate(km)


def typical_scale(known: Known, rows: tuple[dict[str, str], ...]) -> float:
    """Return the ratio of the price at age one to the hand table's new price."""
    found = [
        known[row["make"], row["listed_as"]][1][0] / float(row["price_gbp"])
        for row in rows
        if 1 in known.get((row["make"], row["listed_as"]), {})
    ]
    return float(np.median(found))


def filled(seen: dict[int, float], curve: Floats) -> Floats:
    """Return a price for each age: interpolated in the logarithm, extrapolated along the shared curve."""
    ages = np.array(sorted(seen))
    deviation = np.log([seen[age] for age in ages.tolist()]) - np.log(curve[ages])
    filled_in: Floats = curve * np.exp(np.interp(np.arange(AGES), ages, deviation))
    return filled_in


def driven(seen: dict[int, float], curve: Floats) -> Floats:
    ages = np.array(sorted(seen))
    ratio = np.array([seen[age] for age in ages.tolist()]) / curve[ages]
    kilometres: Floats = curve * np.clip(np.interp(np.arange(AGES), ages, ratio), 0.4, 2.0)
    return kilometres


def usual_driving(row: dict[str, str]) -> float:
    """Return the mileage of a model without adverts relative to all cars: by its first engine, less for a
    convertible."""
    factor = KM_BY_FUEL.get(row["engines"].split()[0], 1.0)
    return factor * (0.65 if row["bodies"].split("|")[0].split()[0] in ("convertible", "coupe") else 1.0)


@cache
def relative_prices(anchor_year: int) -> Floats:
    """Return the price of each variant relative to the median of its model, among the cars of each year.

    Returns:
        Shape (n_years, n_variants), the first year of any variant first. The variants' own new prices, divided by their
        median within model and year, weighted by supply and smoothed as the prices of equal cars spread: so the median
        price of a model's cars is the model's level.
    """
    specs = read_specs()
    rows = read_levels().rows_of(specs)
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(rows[order]) > 0])
    price, n_of_model = USED_SPREAD * np.log(specs.price_new[order]), np.diff(np.r_[starts, len(order)])
    factors = []
    for year in range(int(specs.first_year.min()), anchor_year + 1):
        weight = specs.supply_in(year)[order]
        total = np.add.reduceat(weight, starts)
        low, high = np.minimum.reduceat(price, starts), np.maximum.reduceat(price, starts)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = weight * ndtr((np.repeat(middle, n_of_model) - price) / SPREAD)
            is_low = np.add.reduceat(below, starts) < total / 2
            low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
        relative = np.empty(len(order))
        relative[order] = np.exp(price - np.repeat((low + high) / 2, n_of_model))
        factors.append(relative)
    return np.array(factors)
