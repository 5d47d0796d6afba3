"""The cars that exist: makes, models and engines with the years they were sold in, for simulated stock.

Two tables are read from ``recommendations/data``: variants derived from the US EPA's fuel economy data, and our own
short table of cars common in Europe. What neither says (power of an American engine, its price when new, what came
after 2015) is estimated here by rules of thumb, which are good enough for a plausible market and for nothing else.
"""

from __future__ import annotations

import csv
import gzip
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).resolve().parent.parent / "data"
STILL_SOLD = 9999  # last year of a car that is still made
EPA_SHARE = 0.4  # of the stock; the rest are European variants
LITRES_PER_100_KM = 235.215  # divided by miles per US gallon

GEARBOXES = {"m": "manual", "a": "automatic", "s": "semi_automatic"}
GEARED_ALONE = ("hybrid", "plugin_hybrid", "electric")  # these never have a clutch pedal
BODY_PRICE = {"estate": 1.04, "convertible": 1.15, "coupe": 1.05, "suv": 1.08, "mpv": 1.04, "pickup": 0.85, "van": 0.85}
FUEL_PRICE = {"diesel": 1.06, "hybrid": 1.1, "plugin_hybrid": 1.25, "electric": 1.3}
BODY_CONSUMPTION = {"suv": 1.15, "mpv": 1.12, "van": 1.2, "pickup": 1.3, "convertible": 1.05}  # against a saloon
FUEL_CONSUMPTION = {"diesel": 0.8, "hybrid": 0.72, "plugin_hybrid": 0.3}  # against petrol


class Spec(NamedTuple):
    """One variant of one model, as a buyer would tell it from the next."""

    make: str
    model: str
    body: str
    fuel: str
    gearbox: str
    drive: str
    engine_l: float  # nan for electric cars
    power_kw: float
    consumption_l_100km: float  # nan for electric cars
    price_new: float  # in pounds of today
    first_year: int
    last_year: int
    supply: float  # share of the stock, up to a constant


@dataclass(frozen=True)
class CarSpecs:
    """The variants as columns: object arrays of ``str``, float64 and int64, all of length n."""

    make: NDArray
    model: NDArray
    body: NDArray
    fuel: NDArray
    gearbox: NDArray
    drive: NDArray
    engine_l: NDArray
    power_kw: NDArray
    consumption_l_100km: NDArray
    price_new: NDArray
    first_year: NDArray
    last_year: NDArray
    supply: NDArray

    def __len__(self) -> int:
        return len(self.make)

    def supply_in(self, year: int) -> NDArray[np.float64]:
        """How many cars of each variant were registered in a year, in shares that sum to one, shape (n,)."""
        on_sale = (self.first_year <= year) & (year <= self.last_year)
        trend = fuel_trend(year)
        share = self.supply * on_sale * np.array([trend.get(fuel, 1.0) for fuel in self.fuel])
        return share / share.sum()

    @classmethod
    def from_rows(cls, specs: list[Spec]) -> CarSpecs:
        columns = {}
        for name, values in zip(Spec._fields, zip(*specs, strict=True), strict=True):
            dtype = object if isinstance(values[0], str) else np.int64 if name.endswith("year") else np.float64
            columns[name] = np.array(values, dtype)
        return cls(**columns)


def fuel_trend(year: int) -> dict[str, float]:
    """How often each fuel was chosen in a year of registration, against petrol's 1, where a model offered it.

    Diesel peaked before 2015; hybrids, plug-ins and electric cars took off one after the other.
    """
    return {
        "diesel": 1.1 - 0.95 * _rise(year, 2018, 2.2),
        "hybrid": 0.15 + 1.1 * _rise(year, 2018, 2.0),
        "plugin_hybrid": 0.05 + 0.9 * _rise(year, 2019, 1.5),
        "electric": 0.1 + 1.4 * _rise(year, 2020, 1.3),
    }


def _rise(year: float, middle: float, width: float) -> float:
    return float(1 / (1 + np.exp(-(year - middle) / width)))


@lru_cache(maxsize=10_000)
def slug(name: str) -> str:
    """``Citroën C4`` -> ``citroen-c4``: as the catalogue makes its slugs, so that both sides use the same key."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


@cache
def read_specs(folder: Path = DATA) -> CarSpecs:
    """All variants of both tables, in a fixed order.

    Raises:
        FileNotFoundError: If a table is missing.
    """
    european = list(european_specs(folder / "european_models.csv"))
    epa = list(epa_specs(folder / "epa_specs.csv.gz", folder / "epa_makes.csv"))
    epa += [electrified for spec in epa for electrified in successors(spec)]
    spellings = {slug(spec.make): spec.make for spec in european}  # one spelling per make
    epa = [spec._replace(make=spellings.get(slug(spec.make), spec.make)) for spec in epa]
    return CarSpecs.from_rows([*scaled(european, 1 - EPA_SHARE), *scaled(epa, EPA_SHARE)])


def scaled(specs: list[Spec], total: float) -> list[Spec]:
    factor = total / sum(spec.supply for spec in specs)
    return [spec._replace(supply=spec.supply * factor) for spec in specs]


def european_specs(path: Path) -> Iterator[Spec]:
    """Every combination of body, engine, gearbox and drive that a row of the table allows, with the row's supply."""
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            variants = list(_european_variants(row))
            for spec in variants:
                yield spec._replace(supply=float(row["popularity"]) * spec.supply)


def _european_variants(row: dict[str, str]) -> Iterator[Spec]:
    bodies, drives = row["bodies"].split("|"), row["drives"].split("|")
    engines = [engine.split() for engine in row["engines"].split("|")]
    typical_kw = float(np.median([float(kw) for _, _, kw in engines]))
    only_electric = all(fuel == "electric" for fuel, _, _ in engines)
    for (nth_body, body), (fuel, litres, kw), (nth_drive, drive), gearbox in product(
        enumerate(bodies), engines, enumerate(drives), row["gearboxes"].split("|")
    ):
        gearbox = GEARBOXES[gearbox]
        if fuel in GEARED_ALONE and gearbox != "automatic":
            if row["gearboxes"].split("|")[-1] != gearbox[0]:
                continue  # one variant is enough
            gearbox = "automatic"
        price = float(row["price_gbp"]) * (float(kw) / typical_kw) ** 0.4
        price *= 1.0 if only_electric else FUEL_PRICE.get(fuel, 1.0)
        price *= (BODY_PRICE.get(body, 1.0) if nth_body else 1.0) * (1.05 if drive == "all" and nth_drive else 1.0)
        price *= 1.05 if gearbox != "manual" and fuel not in GEARED_ALONE else 1.0
        yield Spec(
            row["make"], row["model"], body, fuel, gearbox, drive,
            float(litres) or np.nan, float(kw), typical_consumption(fuel, body, float(litres), float(kw)), price,
            int(row["first_year"]), int(row["last_year"] or STILL_SOLD),
            # the first body and drive of a row are its usual ones; engines beyond the usual power are rare
            0.45**nth_body * 0.4**nth_drive * min(1.0, typical_kw / float(kw)) ** 2 / len(engines),
        )  # fmt: skip


def typical_consumption(fuel: str, body: str, litres: float, kw: float) -> float:
    """Litres per 100 km of a European engine; nan for an electric one."""
    if fuel == "electric":
        return np.nan
    petrol = 3.4 + 0.75 * litres + 0.011 * kw
    return round(petrol * FUEL_CONSUMPTION.get(fuel, 1.0) * BODY_CONSUMPTION.get(body, 1.0), 1)


def epa_specs(path: Path, makes_path: Path) -> Iterator[Spec]:
    """The EPA's variants of the makes that reach British forecourts; models of the last two years go on being sold."""
    with open(makes_path, encoding="utf-8") as file:
        makes = {row["make"]: (float(row["supply"]), float(row["price_factor"])) for row in csv.DictReader(file)}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["make"] in makes]
    n_of_make = {make: sum(float(row["n_rows"]) ** 0.5 for row in rows if row["make"] == make) for make in makes}
    for row in rows:
        supply, price_factor = makes[row["make"]]
        litres, fuel, body = float(row["engine_l"] or "nan"), row["fuel"], row["body"]
        kw = typical_power(litres, fuel, price_factor)
        yield Spec(
            row["make"], row["model"], body, fuel, row["gearbox"], row["drive"], litres, kw,
            np.nan if fuel == "electric" else round(LITRES_PER_100_KM / float(row["mpg_us"]), 1),
            price_factor * BODY_PRICE.get(body, 1.0) * FUEL_PRICE.get(fuel, 1.0) * (6500 + 135 * kw),
            int(row["first_year"]), STILL_SOLD if int(row["last_year"]) >= 2014 else int(row["last_year"]),
            supply * float(row["n_rows"]) ** 0.5 / n_of_make[row["make"]],
        )  # fmt: skip


def typical_power(litres: float, fuel: str, price_factor: float) -> float:
    """Kilowatts of an American engine: 55 a litre, less for diesels, more where the badge costs more."""
    if fuel == "electric":
        return 110.0 if price_factor < 1.4 else 285.0
    per_litre = 45.0 if fuel == "diesel" else 55.0
    return round(litres * per_litre * min(max(price_factor, 1.0), 1.3))


def successors(spec: Spec) -> Iterator[Spec]:
    """What became of a petrol car after the EPA's table ends: hybrid, plug-in and electric versions of some bodies."""
    if spec.last_year != STILL_SOLD or spec.fuel != "petrol" or spec.gearbox == "manual":
        return
    if spec.body not in ("hatchback", "saloon", "estate", "suv", "mpv"):
        return
    for fuel, first_year, engine_l in (
        ("hybrid", 2016, min(spec.engine_l, 2.5)),
        ("plugin_hybrid", 2018, min(spec.engine_l, 2.5)),
        ("electric", 2021, np.nan),
    ):
        litres = spec.consumption_l_100km * FUEL_CONSUMPTION.get(fuel, np.nan)
        yield spec._replace(
            fuel=fuel, gearbox="automatic", first_year=first_year, engine_l=engine_l,
            consumption_l_100km=round(litres, 1), price_new=spec.price_new * FUEL_PRICE[fuel], supply=spec.supply * 0.5,
        )  # fmt: skip
