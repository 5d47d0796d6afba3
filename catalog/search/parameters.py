"""The filters that a read search stands for, and the parameters of a search that set them."""

from __future__ import annotations

from typing import Any

from catalog.attributes import CATEGORIES, RANGES
from catalog.filters import ListingFilters
from catalog.search.lexicon import Lexicon
from catalog.search.reading import SearchReading

NEAR_KM = 50.0  # radius around a town, where no distance is given

SET_PARAMETERS = {
    "brand": "makes",
    "model": "models",
    **{category.name: category.filter for category in CATEGORIES},
    "seller_type": "seller_kinds",
}
RANGE_PARAMETERS = {"year": "year", "price": "price", **{number.name: number.column for number in RANGES}}


def filters_of(reading: SearchReading, lexicon: Lexicon, *, with_text: bool = True) -> ListingFilters:
    """The conditions of a reading. Of two bounds of the same kind the narrower one applies."""
    asked: dict[str, Any] = {
        name: tuple(reading.values(parameter))
        for parameter, name in SET_PARAMETERS.items()
        if reading.values(parameter)
    }
    for parameter, name in RANGE_PARAMETERS.items():
        exact = reading.values(parameter)
        if lows := [*exact, *reading.values(f"min_{parameter}")]:
            asked[f"min_{name}"] = max(lows)
        if highs := [*exact, *reading.values(f"max_{parameter}")]:
            asked[f"max_{name}"] = min(highs)
    if towns := reading.values("near"):
        asked |= circle_around(str(towns[0]), lexicon, next(iter(reading.values("radius_km")), None))
    if with_text:
        asked["text"] = " ".join(filter(None, (*map(str, reading.values("q")), reading.rest)))
    return ListingFilters(**asked)


def circle_around(name: str, lexicon: Lexicon, radius_km: float | None) -> dict[str, float]:
    """The filters of a circle around a town that the lexicon knows; none for an unknown one."""
    town = lexicon.town(name)
    if town is None:
        return {}
    return {
        "latitude": town.latitude,
        "longitude": town.longitude,
        "radius_km": NEAR_KM if radius_km is None else radius_km,
    }
