"""Texts of a map: groups of cars, names of the sides, and a description of each area."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from catalog.models import Listing
from catalog.units import distance, money
from recommendations.listings.rows import exchange_rates

MAKE, BODY, PRICE, STATUS, TASTE = COLOURS = "make", "body", "price", "status", "taste"
GROUPS_SHOWN = 8
PRICE_BANDS = 5
TASTE_BANDS = ("least to their taste", "little", "middling", "much", "most to their taste")
OTHER, UNKNOWN = "Other", "Not given"
MIN_CORRELATION = 0.3  # smallest correlation at which the sides of a map are named after an attribute
SIDES = (("left", "right"), ("bottom", "top"))
AREA_NAMES = (
    ("top left", "top", "top right"), ("left", "middle", "right"), ("bottom left", "bottom", "bottom right"),
)  # fmt: skip


class Car(NamedTuple):
    """One car on the map: its coordinates, and the number of its group."""

    listing_id: int
    name: str
    facts: str
    x: float
    y: float
    group: int


class Group(NamedTuple):
    """Cars of one colour; ``is_rest`` marks the group of all others."""

    label: str
    n: int
    is_rest: bool = False


class Area(NamedTuple):
    """A part of the map in words, with its most central car."""

    name: str
    n: int
    makes: list[tuple[str, int]]
    bodies: list[tuple[str, int]]
    median_price: float | None
    typical: Car


# --- Facts -----------------------------------------------------------------------------------------------------------


class Facts(NamedTuple):
    """Attributes of a car on the map. ``price`` is in the market's currency; ``status`` is empty where the row is
    gone."""

    listing_id: int
    status: str = ""
    make: str = ""
    body: str = ""
    asked: str = ""
    price: float | None = None
    year: int | None = None
    mileage_km: int | None = None
    power_kw: int | None = None


COLUMNS = ("pk", "status", "make__name", "body", "price", "currency", "year", "mileage_km", "power_kw")


def read_facts(listing_ids: NDArray[np.int64]) -> list[Facts]:
    """Read the attributes in the order of the ids; one query."""
    rows = {row[0]: row for row in Listing.objects.filter(pk__in=listing_ids.tolist()).values_list(*COLUMNS)}
    currencies = sorted({row[5] for row in rows.values()})
    rates = dict(zip(currencies, exchange_rates(currencies).tolist(), strict=True))
    return [facts_from(rows[key], rates) if key in rows else Facts(key) for key in listing_ids.tolist()]


def facts_from(row: tuple[Any, ...], rates: Mapping[str, float]) -> Facts:
    key, status, make, body, price, currency, *numbers = row
    if price is None:
        return Facts(key, status, make or "", body or "", "", None, *numbers)
    worth = float(price) * rates[currency]  # nan where the rate is not set
    return Facts(
        key, status, make or "", body or "", money(price, currency), None if np.isnan(worth) else worth, *numbers
    )


def short_description(fact: Facts) -> str:
    mileage = distance(fact.mileage_km) if fact.mileage_km is not None else ""
    status = label_of(fact, STATUS).lower() if fact.status != Listing.Status.LIVE else ""
    return " · ".join(filter(None, (fact.asked, str(fact.year or ""), mileage, status)))


# --- Groups ----------------------------------------------------------------------------------------------------------


def grouped(
    colour: str, facts: Sequence[Facts], utilities: NDArray[np.float64] | None = None
) -> tuple[list[Group], NDArray[np.intp]]:
    """Return the groups of a colouring, and the number of each car's group."""
    if colour == TASTE and utilities is not None:
        return in_taste_bands(utilities)
    if colour == PRICE:
        return in_price_bands(np.array([np.nan if fact.price is None else fact.price for fact in facts]))
    return by_name([label_of(fact, colour) for fact in facts])


def label_of(fact: Facts, colour: str) -> str:
    """Return the name of a car's group by make, body or status; "" where it is unknown."""
    if colour == BODY:
        return str(Listing.Body(fact.body).label) if fact.body in Listing.Body.values else fact.body
    if colour == STATUS:
        return str(Listing.Status(fact.status).label) if fact.status else ""
    return fact.make


def by_name(labels: Sequence[str]) -> tuple[list[Group], NDArray[np.intp]]:
    """Group by the most frequent names; the other names, and unknown ones, are a group each."""
    counts = Counter(label for label in labels if label)
    common = [label for label, _ in counts.most_common(GROUPS_SHOWN)]
    groups = [Group(label, counts[label]) for label in common]
    number = {label: at for at, label in enumerate(common)}
    codes = np.array([number.get(label, -1 if label else -2) for label in labels], np.intp)
    for code, label in ((-1, OTHER), (-2, UNKNOWN)):
        if n := int((codes == code).sum()):
            codes[codes == code] = len(groups)
            groups.append(Group(label, n, is_rest=True))
    return groups, codes


def in_price_bands(prices: NDArray[np.float64]) -> tuple[list[Group], NDArray[np.intp]]:
    """Group into bands with about equally many cars; the limits are round prices."""
    known = prices[~np.isnan(prices)]
    if not len(known):
        return counted(["any price", UNKNOWN], np.ones(len(prices), np.intp))
    edges = sorted({round_price(edge) for edge in np.quantile(known, np.arange(1, PRICE_BANDS) / PRICE_BANDS)})
    codes = np.where(np.isnan(prices), len(edges) + 1, np.searchsorted(edges, prices, side="right"))
    written = [money(edge) for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(written)]
    return counted([f"under {written[0]}", *between, f"from {written[-1]}", UNKNOWN], codes)


def round_price(price: float) -> float:
    """Round to two digits: 12,345 is 12,000."""
    return float(f"{price:.1e}")


def in_taste_bands(utilities: NDArray[np.float64]) -> tuple[list[Group], NDArray[np.intp]]:
    """Group into bands with equally many cars, from the lowest utility to the highest."""
    ranks = np.argsort(np.argsort(utilities, kind="stable"), kind="stable")
    return counted(TASTE_BANDS, ranks * len(TASTE_BANDS) // max(len(utilities), 1))


def counted(labels: Sequence[str], codes: NDArray[np.integer]) -> tuple[list[Group], NDArray[np.intp]]:
    """Return groups with their numbers of cars; the group of unknown values only where it has cars."""
    counts = np.bincount(codes, minlength=len(labels)).tolist()
    groups = [
        Group(label, n, is_rest=label == UNKNOWN)
        for label, n in zip(labels, counts, strict=True)
        if n or label != UNKNOWN
    ]
    return groups, codes.astype(np.intp)


# --- The map in words ------------------------------------------------------------------------------------------------


def sides_of(coordinates: NDArray[np.float64], facts: Sequence[Facts]) -> dict[str, str]:
    """Name what the cars on each side tend to be, by the attribute that correlates most with the axis."""
    numbers = {
        ("cheap", "expensive"): [None if fact.price is None else np.log(max(fact.price, 1.0)) for fact in facts],
        ("old", "new"): [fact.year for fact in facts],
        ("low mileage", "high mileage"): [fact.mileage_km for fact in facts],
        ("weak", "powerful"): [fact.power_kw for fact in facts],
    }
    sides: dict[str, str] = {}
    for axis, names in enumerate(SIDES):
        found = {words: correlation(coordinates[:, axis], values) for words, values in numbers.items()}
        words = max(found, key=lambda one: abs(found[one]))
        ends = words if found[words] > 0 else words[::-1]
        sides |= dict(zip(names, ends if abs(found[words]) >= MIN_CORRELATION else ("", ""), strict=True))
    return sides


def correlation(along: NDArray[np.float64], values: Sequence[float | None]) -> float:
    """Return the correlation of a coordinate and an attribute over the cars where it is known; 0 where it is
    undefined."""
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    known = ~np.isnan(numbers)
    if known.sum() < 3 or not numbers[known].std() or not along[known].std():
        return 0.0
    return float(np.corrcoef(along[known], numbers[known])[0, 1])


def areas_of(cars: Sequence[Car], facts: Sequence[Facts]) -> list[Area]:
    """Describe nine areas with a third of the cars to each row and each column; areas without a car are left out."""
    if not cars:
        return []
    by_id = {fact.listing_id: fact for fact in facts}
    compass = Compass(cars)
    inside: dict[str, list[Car]] = {name: [] for row in AREA_NAMES for name in row}
    for car in cars:
        inside[compass.name(car.x, car.y)].append(car)
    return [area_of(name, some, by_id) for name, some in inside.items() if some]


class Compass:
    """Names the part of a map in which a point lies, for screen readers."""

    def __init__(self, cars: Sequence[Car]) -> None:
        self._across = np.quantile([car.x for car in cars], [1 / 3, 2 / 3])
        self._up = np.quantile([car.y for car in cars], [1 / 3, 2 / 3])

    def name(self, x: float, y: float) -> str:
        return AREA_NAMES[2 - int(np.searchsorted(self._up, y))][int(np.searchsorted(self._across, x))]


def area_of(name: str, cars: Sequence[Car], facts: Mapping[int, Facts]) -> Area:
    inside = [facts[car.listing_id] for car in cars]
    prices = [fact.price for fact in inside if fact.price is not None]
    coordinates = np.array([(car.x, car.y) for car in cars])
    from_middle = np.linalg.norm(coordinates - np.median(coordinates, axis=0), axis=1)
    return Area(
        name=name,
        n=len(cars),
        makes=Counter(fact.make for fact in inside if fact.make).most_common(3),
        bodies=Counter(label_of(fact, BODY) for fact in inside if fact.body).most_common(2),
        median_price=float(np.median(prices)) if prices else None,
        typical=cars[int(from_middle.argmin())],
    )
