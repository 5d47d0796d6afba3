"""Whether a listing that has been read satisfies filters: a twin of ``ListingQuerySet.matching``.

The statement that reads the chosen rows of a search or a list need not name prices and makes then: it is the same for
most questions, and compiled once. Words, circles and what is hidden are left to the database (``left_to_sql``).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import isnan
from typing import Any

from catalog.currencies import exchange_rates
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import KEY_FILTERS, RANGE_FILTERS, SET_FILTERS

FILTERS_KEPT = 256
Path = tuple[str, ...]


def left_to_sql(filters: ListingFilters) -> ListingFilters:
    """The part of filters that ``satisfies`` does not look at."""
    also = left_to_sql(filters.also) if filters.also else None
    nothing = ListingFilters()
    return replace(
        nothing, text=filters.text, hidden=filters.hidden, also=also or None, latitude=filters.latitude,
        longitude=filters.longitude, radius_km=filters.radius_km,
    )  # fmt: skip


def satisfies(listing: Listing, filters: ListingFilters) -> bool:
    """Whether a listing, read with make, model and seller, satisfies all that ``left_to_sql`` leaves out."""
    wanted, ranges = _asked(filters)
    if not all(_value_of(listing, names) in values for names, values in wanted):  # without a value, none is wanted
        return False
    if not all(_is_within(getattr(listing, name), *ends) for name, *ends in ranges):
        return False
    ends = filters.min_price, filters.max_price
    if ends != (None, None) and not _is_within(_price(listing), *ends):
        return False
    if filters.tags and not set(filters.tags) <= set(listing.tags):
        return False
    return satisfies(listing, filters.also) if filters.also else True


@lru_cache(maxsize=FILTERS_KEPT)
def _asked(filters: ListingFilters) -> tuple[tuple[tuple[Path, Any], ...], tuple[tuple[str, Any, Any], ...]]:
    """What filters ask: the way to each column of which some values are wanted, and those; and columns with ends."""
    columns = {tuple(path.split("__")): getattr(filters, name) for name, path in (SET_FILTERS | KEY_FILTERS).items()}
    ends = [(name, getattr(filters, f"min_{name}"), getattr(filters, f"max_{name}")) for name in RANGE_FILTERS]
    return (
        tuple((names, wanted) for names, wanted in columns.items() if wanted),
        tuple((name, low, high) for name, low, high in ends if (low, high) != (None, None)),
    )


def _value_of(row: Any, path: Path) -> Any:
    """What a column says, by the names that lead to it (``seller``, ``kind``); None where a related row is missing."""
    for name in path:
        row = None if row is None else getattr(row, name)
    return row


def _is_within(value: Any, low: Any, high: Any) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _price(listing: Listing) -> float | None:
    """In the market's currency, by the product that SQL makes; None where it has no known worth."""
    rate = exchange_rates().get(listing.currency)
    price = None if listing.price is None or rate is None else float(listing.price) * rate
    return None if price is None or isnan(price) else price
