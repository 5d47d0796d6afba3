"""What a caller asks of a listing, as plain data; each store of listings translates it for itself.

``ListingQuerySet.matching`` answers in SQL and ``ListingIndex.matching`` in memory; a test keeps the twins equal.
A listing that lacks an attribute does not match a filter on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from math import cos, isfinite, radians
from typing import Any, Self

from catalog.attributes import CATEGORIES, RANGES, declare

EARTH_RADIUS_KM = 6371.0088
KM_PER_DEGREE = 111.195
NOT_ASKED = {"also", "seller_ids", "listing_ids", "hidden"}  # fields of ListingFilters that no query has
LARGEST_NUMBER = 1e15  # of a stored filter; far beyond any price, and exact in double precision
LOCATION = ("latitude", "longitude", "radius_km")


@dataclass(frozen=True, kw_only=True)
class ListingFilters:
    """Ranges are inclusive; within one tuple any value will do, between fields all must hold.

    Each category of ``catalog.attributes`` has a tuple (``fuels``), each number that may be asked for two bounds
    (``min_power_kw``, ``max_power_kw``).

    ``makes`` and ``models`` are compared by slug, ``tags`` must all be present, ``text`` is a web-style query.
    Prices are in the market's currency: a listing in another one is compared by EXCHANGE_RATES, and without a rate it
    is in no range. The last four are not part of the query, since no caller may ask them; merchandising rules do:
    ``also`` must hold besides (what a page always asks, whatever a caller does), ``seller_ids`` and ``listing_ids`` are
    database keys, of which any will do, and a listing that matches any of ``hidden`` is left out.
    """

    makes: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    declare(vars(), {category.filter: ("tuple[str, ...]", ()) for category in CATEGORIES})
    seller_kinds: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    min_year: int | None = None
    max_year: int | None = None
    min_price: float | None = None
    max_price: float | None = None
    declare(vars(), {name: ("int | None", None) for number in RANGES for name in number.filters})
    latitude: float | None = None
    longitude: float | None = None
    radius_km: float | None = None
    text: str = ""
    also: ListingFilters | None = None
    seller_ids: tuple[int, ...] = ()
    listing_ids: tuple[int, ...] = ()
    hidden: tuple[ListingFilters, ...] = ()

    @property
    def location(self) -> tuple[float, float, float] | None:
        """Latitude, longitude and radius of the circle asked for; None unless all three are given."""
        if self.latitude is None or self.longitude is None or self.radius_km is None:
            return None
        return self.latitude, self.longitude, self.radius_km

    def __bool__(self) -> bool:
        """Whether anything is asked at all."""
        return any(getattr(self, name) for name in NOT_ASKED) or bool(self.as_query())

    def together_with(self, other: ListingFilters) -> ListingFilters:
        """What satisfies both, even where they contradict each other and nothing does."""
        if self.also:
            other = self.also.together_with(other)
        return replace(self, also=other or None)

    def with_understood(self, understood: ListingFilters) -> ListingFilters:
        """Both: what was understood of words fills what the filters leave open, and must hold besides the others."""
        nothing = ListingFilters()
        names = [name for name in self.names() - set(LOCATION) if getattr(understood, name) != getattr(nothing, name)]
        free = {name: getattr(understood, name) for name in names if getattr(self, name) == getattr(nothing, name)}
        also = {name: getattr(understood, name) for name in names if name not in free}
        circle = {name: getattr(understood, name) for name in LOCATION} if understood.location else {}
        merged = replace(self, **free, **({} if self.location else circle))
        also |= circle if self.location else {}
        return merged.together_with(ListingFilters(**also)) if also else merged

    def without(self, *hidden: ListingFilters) -> ListingFilters:
        """The same, less the listings that match any of the others; what asks nothing hides nothing."""
        return replace(self, hidden=(*self.hidden, *filter(None, hidden)))

    def as_query(self) -> dict[str, Any]:
        """Only what was asked, as JSON-ready values: this is what a search event carries."""
        values = {name: getattr(self, name) for name in names_in_order()}
        asked = {name: value for name, value in values.items() if value not in ((), None, "")}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items()}

    @classmethod
    def names(cls) -> set[str]:
        """Everything that a query may ask."""
        return set(names_in_order())

    @classmethod
    def from_query(cls, query: object) -> Self:
        """The reverse of ``as_query``, of anything that may be stored.

        Names it does not know and values of another kind than the filter's are left out: events, saved searches and
        answers outlive the release that wrote them, and whatever reads them must be able to go on.
        """
        if not isinstance(query, Mapping) or not query:
            return cls()
        known = cls()
        readable = {name: _readable(query[name], getattr(known, name)) for name in names_in_order() if name in query}
        return cls(**{name: value for name, value in readable.items() if value is not None})


@cache
def names_in_order() -> tuple[str, ...]:
    """Everything that a query may ask, as the fields stand."""
    return tuple(field.name for field in fields(ListingFilters) if field.name not in NOT_ASKED)


def _readable(value: Any, default: object) -> Any:
    """A stored value as its filter compares it; None for one that the filter cannot compare."""
    if default == ():
        words = [value] if isinstance(value, str) else value if isinstance(value, list | tuple) else []
        return tuple(word for word in words if isinstance(word, str)) or None
    if default == "":
        return value if isinstance(value, str) else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and abs(value) <= LARGEST_NUMBER and isfinite(value) else None


@dataclass(frozen=True)
class Box:
    """The rectangle around a circle on the globe, a cheap first filter."""

    south: float
    north: float
    west: float
    east: float

    @classmethod
    def around(cls, latitude: float, longitude: float, radius_km: float) -> Box:
        """Wider than the circle near the poles, where meridians meet; longitudes may pass ±180."""
        height = radius_km / KM_PER_DEGREE
        narrowest = min(abs(latitude) + height, 90.0)
        width = min(height / max(cos(radians(narrowest)), 1e-6), 180.0)
        return cls(latitude - height, latitude + height, longitude - width, longitude + width)
