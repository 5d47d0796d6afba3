"""The variants of cars that exist: makes, models and engines with the years in which they were sold.

There are two tables in ``recommendations/data``: ``cars.csv``, compiled by hand, and ``uk_engines.csv``, derived from
British adverts of 2020. For a model in the adverts (``listed_as``) the engines come from the adverts. For an engine in
both tables the hand table gives the power and, if it has years, when it was sold: an engine of 2020 ended with its
generation. An engine only in the hand table, with years, came after the adverts. Engines of other models all come from
the hand table. No variant is made up.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Array, Floats, Integers, Texts

DATA = Path(__file__).resolve().parent.parent / "data"
STILL_SOLD = 9999  # last year of a car that is still made
ADVERTS_UNTIL = 2020  # the last year of registration that the adverts know
LAST_DIESEL, LAST_SMALL_DIESEL = 2023, 2020  # of those that were sold when the adverts end
SMALL = 21_000  # pounds when new
LAST_PLUG_IN = 2023  # of the generation that the adverts know
LITRES_PER_100_KM = 282.481  # divided by miles per imperial gallon

COMMON_MORE = 1.3  # exponent of the hand table's popularity, which understates differences

DRIVES = ("front", "rear", "all")
ALWAYS, NEVER = (0, STILL_SOLD), (STILL_SOLD, 0)  # first and last year
GEARBOXES = {"m": "manual", "a": "automatic", "s": "semi_automatic"}
GEARED_ALONE = ("hybrid", "plugin_hybrid", "electric")  # always automatic
BODY_PRICE = {"estate": 1.04, "convertible": 1.15, "coupe": 1.05, "suv": 1.08, "mpv": 1.04}  # against the usual body
FUEL_PRICE = {"diesel": 1.06, "hybrid": 1.1, "plugin_hybrid": 1.25, "electric": 1.3}
BODY_CONSUMPTION = {"suv": 1.15, "mpv": 1.12, "van": 1.2, "pickup": 1.3, "convertible": 1.05}  # against a saloon
FUEL_CONSUMPTION = {"diesel": 0.8, "hybrid": 0.72, "plugin_hybrid": 0.3}  # against petrol


class Spec(NamedTuple):
    """One variant of one model."""

    make: str
    model: str
    body: str
    fuel: str
    gearbox: str
    drive: str
    engine_l: float  # nan for electric cars
    power_kw: float
    consumption_l_100km: float  # nan for electric cars
    price_new: float  # in pounds, roughly; see ``price_levels`` for what it costs used
    first_year: int
    last_year: int
    supply: float  # share of the stock, up to a constant
    battery_kwh: float  # nan for cars that are not electric
    range_miles: float  # nan for cars that are not electric


@dataclass(frozen=True)
class CarSpecs:
    """The variants as columns: object arrays of ``str``, float64 and int64, all of length n."""

    make: Texts
    model: Texts
    body: Texts
    fuel: Texts
    gearbox: Texts
    drive: Texts
    engine_l: Floats
    power_kw: Floats
    consumption_l_100km: Floats
    price_new: Floats
    first_year: Integers
    last_year: Integers
    supply: Floats
    battery_kwh: Floats
    range_miles: Floats

    def __len__(self) -> int:
        return len(self.make)

    def supply_in(self, year: int) -> NDArray[np.float64]:
        """Return each variant's share of the cars registered in a year, shape (n,); sums to one."""
        on_sale = (self.first_year <= year) & (year <= self.last_year)
        trend = fuel_trend(year)
        share = self.supply * on_sale * np.array([trend.get(fuel, 1.0) for fuel in self.fuel])
        shares: NDArray[np.float64] = share / share.sum()
        return shares

    @classmethod
    def from_rows(cls, specs: list[Spec]) -> CarSpecs:
        columns: dict[str, Array] = {}
        for name, values in zip(Spec._fields, zip(*specs, strict=True), strict=True):
            dtype = object if isinstance(values[0], str) else np.int64 if name.endswith("year") else np.float64
            columns[name] = np.array(values, dtype)
        return cls(**columns)


def fuel_trend(year: int) -> dict[str, float]:
    """Return how often each fuel was chosen in a year of registration, relative to petrol, where a model offered it.

    Diesel peaked before 2015; hybrids, plug-ins and electric cars followed one after the other.
    """
    return {
        "diesel": 1.1 - 0.95 * _rise(year, 2018, 2.2),
        "hybrid": 0.15 + 1.1 * _rise(year, 2018, 2.0),
        "plugin_hybrid": 0.05 + 0.9 * _rise(year, 2019, 1.5),
        "electric": 0.1 + 1.4 * _rise(year, 2020, 1.3),
    }


def _rise(year: float, middle: float, width: float) -> float:
    return float(1 / (1 + np.exp(-(year - middle) / width)))


@dataclass(frozen=True)
class Engine:
    """One engine with its gearbox: years, power, and its share of the cars of its model, up to a constant."""

    fuel: str
    litres: float  # 0 for electric ones
    power_kw: float
    first_year: int
    last_year: int
    gearbox: str
    share: float
    consumption_l_100km: float = np.nan  # measured, where the adverts say so
    battery_kwh: float = np.nan
    range_miles: float = np.nan
    drives: tuple[str, ...] = ()  # that it was sold with; none stands for those of the model
    gearboxes: str = ""  # letters of ``GEARBOXES`` that it was sold with; none stands for those of the model

    @property
    def size(self) -> tuple[str, float]:
        """The key of an engine in both tables."""
        return self.fuel, self.litres


class Drive(NamedTuple):
    """Front, rear or all wheels, the years in which a model was sold with it, and the least power it was sold with."""

    name: str
    first_year: int
    last_year: int
    least_kw: float = 0.0


@cache
def read_models() -> tuple[dict[str, str], ...]:
    """Read the hand table, in its order. Raises FileNotFoundError if it is missing."""
    with open(DATA / "cars.csv", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


@cache
def read_specs() -> CarSpecs:
    """Read all variants of both tables, in a fixed order. Raises FileNotFoundError if a table is missing."""
    advertised = read_advertised(DATA / "uk_engines.csv")
    return CarSpecs.from_rows([spec for row in read_models() for spec in variants_of(row, advertised)])


def read_advertised(path: Path) -> dict[tuple[str, str], list[dict[str, str]]]:
    """Read the engines of the adverts by make and model, in the adverts' spelling."""
    found: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    with open(path, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row["make"], row["model"]].append(row)
    return found


def variants_of(row: dict[str, str], advertised: dict[tuple[str, str], list[dict[str, str]]]) -> Iterator[Spec]:
    """Yield every combination of body, engine and drive of a model, each with the years in which both were sold."""
    bodies = [years_of(text, row) for text in row["bodies"].split("|")]
    drives = [read_drive(text, row) for text in row["drives"].split("|")]
    engines = list(engines_of(row, advertised.get((row["make"], row["listed_as"]), [])))
    typical_kw = float(np.median([engine.power_kw for engine in engines]))
    only_electric = all(engine.fuel == "electric" for engine in engines)
    total = sum(engine.share for engine in engines)
    driven = [(engine, nth, drive) for engine in engines for nth, drive in enumerate(drives_of(engine, drives))]
    for (nth_body, (body, *body_years)), (engine, nth_drive, drive) in product(enumerate(bodies), driven):
        first = max(body_years[0], engine.first_year, drive.first_year)
        last = min(body_years[1], engine.last_year, drive.last_year)
        if first > last or (
            nth_body and body in ("convertible", "coupe") and engine.fuel in ("hybrid", "plugin_hybrid")
        ):
            continue
        price = float(row["price_gbp"]) * (engine.power_kw / typical_kw) ** 0.4
        price *= 1.0 if only_electric else FUEL_PRICE.get(engine.fuel, 1.0)
        price *= (BODY_PRICE.get(body, 1.0) if nth_body else 1.0) * (1.05 if drive.name == "all" and nth_drive else 1.0)
        price *= 1.05 if engine.gearbox != "manual" and engine.fuel not in GEARED_ALONE else 1.0
        thirst = engine.consumption_l_100km
        yield Spec(
            row["make"], row["model"], body, engine.fuel, engine.gearbox, drive.name,
            engine.litres or np.nan, engine.power_kw,
            thirst if thirst == thirst else typical_consumption(engine.fuel, body, engine.litres, engine.power_kw),
            price, first, last,
            # the first body and drive of a row are its usual ones
            float(row["popularity"]) ** COMMON_MORE * 0.45**nth_body * 0.4**nth_drive * engine.share / total,
            engine.battery_kwh, engine.range_miles,
        )  # fmt: skip


def engines_of(row: dict[str, str], advertised: list[dict[str, str]]) -> Iterator[Engine]:
    """Yield the engines of the adverts, and those of the hand table; of the latter only those with years if both have
    the model.

    Hand engines beyond the usual power are rare.
    """
    by_hand = [read_engine(text, row) for text in row["engines"].split("|")]
    if advertised:
        n = sum(int(engine["n"]) for engine in advertised)
        found = [as_engine(engine, n, by_hand, row) for engine in advertised]
        yield from (engine for engine in found if engine.first_year <= engine.last_year)
        known = {engine.size for engine in found}
        by_hand = [engine for engine in by_hand if has_years(engine, row) and engine.size not in known]
    if not by_hand:
        return
    usual = float(np.median([engine.power_kw for engine in by_hand]))
    gearboxes = row["gearboxes"].split("|")
    for engine in by_hand:
        own = list(engine.gearboxes) or gearboxes if engine.fuel not in GEARED_ALONE else ["a"]
        share = min(1.0, usual / engine.power_kw) ** 2 / len(by_hand) * (0.5 if advertised else 1.0)
        for gearbox in own:
            yield replace(engine, gearbox=GEARBOXES[gearbox], share=share / len(own))


def as_engine(advert: dict[str, str], n_of_model: int, by_hand: list[Engine], row: dict[str, str]) -> Engine:
    """Convert an engine of the adverts; one that was still sold when they end continues as long as such engines did.

    The hand table's engine of the same size ends it with its generation. An engine that the table says was sold with
    other gearboxes, or ``never``, was advertised by mistake or under another model's name: its last year is before its
    first.
    """
    fuel, litres = advert["fuel"], float(advert["litres"])
    first, last = int(advert["first_year"]), int(advert["last_year"])
    first_of_model, last_of_model = model_years(row)
    same = next((engine for engine in by_hand if engine.size == (fuel, litres)), None)
    if last >= ADVERTS_UNTIL - 1:
        is_dated = same is not None and has_years(same, row)
        last = last_of_model if is_dated else last_year_sold(fuel, float(row["price_gbp"]))
    if same:
        first, last = max(first, same.first_year), min(last, same.last_year)
        if same.gearboxes and (advert["gearbox"] == "manual") != ("m" in same.gearboxes):
            last = NEVER[1]
    mpg = float(advert["mpg"] or "nan")
    return Engine(
        fuel=fuel, litres=litres, power_kw=power_of(fuel, litres, by_hand),
        first_year=max(first, first_of_model), last_year=min(last, last_of_model),
        gearbox="automatic" if fuel in GEARED_ALONE else advert["gearbox"],
        share=int(advert["n"]) / n_of_model,
        consumption_l_100km=np.nan if fuel == "plugin_hybrid" else round(LITRES_PER_100_KM / mpg, 1),
        drives=same.drives if same else (),
    )  # fmt: skip


def has_years(engine: Engine, row: dict[str, str]) -> bool:
    return (engine.first_year, engine.last_year) != model_years(row)


def drives_of(engine: Engine, of_model: list[Drive]) -> list[Drive]:
    """Return the drives named with the engine, or those of the model that it has enough power for; the usual one
    first."""
    if engine.drives:
        own = [drive for drive in of_model if drive.name in engine.drives]
        known = {drive.name for drive in own}
        return own + [Drive(name, *ALWAYS) for name in engine.drives if name not in known]
    return [drive for drive in of_model if engine.power_kw >= drive.least_kw]


def last_year_sold(fuel: str, price_new: float) -> int:
    if fuel == "diesel":
        return LAST_SMALL_DIESEL if price_new <= SMALL else LAST_DIESEL
    return LAST_PLUG_IN if fuel == "plugin_hybrid" else STILL_SOLD


def power_of(fuel: str, litres: float, by_hand: list[Engine]) -> float:
    """Return the power in kW of the most similar hand engine, scaled by size; the fuel counts more than the size."""
    same = [engine for engine in by_hand if engine.fuel == fuel and engine.litres]
    if not same:
        return round(litres * (70 if fuel == "plugin_hybrid" else 55))
    nearest = min(same, key=lambda engine: abs(engine.litres - litres))
    return round(nearest.power_kw * litres / nearest.litres)


def read_engine(text: str, row: dict[str, str]) -> Engine:
    """Parse ``electric 0 150 2020-2024 58kWh 264mi rear`` or ``petrol 2.0 147 m all``.

    Without years it was sold as long as the model; ``never`` says that adverts of it are mistaken.

    Raises:
        ValueError: If a word is none of these.
    """
    fuel, litres, power, *more = text.split()
    first, last = model_years(row)
    battery = reach = np.nan
    drives: list[str] = []
    gearboxes = ""
    for word in more:
        if word.endswith("kWh"):
            battery = float(word.removesuffix("kWh"))
        elif word.endswith("mi"):
            reach = float(word.removesuffix("mi"))
        elif word in DRIVES:
            drives.append(word)
        elif set(word) <= set(GEARBOXES):
            gearboxes = word
        else:
            first, last = NEVER if word == "never" else read_years(word)
    return Engine(
        fuel, float(litres), float(power), first, last, "", 0.0, np.nan, battery, reach, tuple(drives), gearboxes
    )


def read_drive(text: str, row: dict[str, str]) -> Drive:
    """Parse ``front``, ``rear 2004-2019`` or ``all 110kW``: a drive with its years, and the least power it was sold
    with."""
    name, *more = text.split()
    least_kw = next((float(word.removesuffix("kW")) for word in more if word.endswith("kW")), 0.0)
    years = next((word for word in more if not word.endswith("kW")), "")
    _, first, last = years_of(f"{name} {years}".strip(), row)
    return Drive(name, first, last, least_kw)


def years_of(text: str, row: dict[str, str]) -> tuple[str, int, int]:
    """Parse ``convertible 2011-2016`` into the word and its years; without years, those of the model."""
    word, _, years = text.partition(" ")
    first, last = model_years(row)
    if years:
        own = read_years(years)
        first, last = max(first, own[0]), min(last, own[1])
    return word, first, last


def model_years(row: dict[str, str]) -> tuple[int, int]:
    return int(row["first_year"]), int(row["last_year"] or STILL_SOLD)


def read_years(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    return int(first), int(last or STILL_SOLD)


def typical_consumption(fuel: str, body: str, litres: float, kw: float) -> float:
    """Estimate litres per 100 km of an engine without measurements; nan for an electric one."""
    if fuel == "electric":
        return np.nan
    petrol = 3.4 + 0.75 * litres + 0.011 * kw
    return round(petrol * FUEL_CONSUMPTION.get(fuel, 1.0) * BODY_CONSUMPTION.get(body, 1.0), 1)
