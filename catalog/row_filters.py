"""Whether a listing that has been read satisfies filters: a twin of ``ListingQuerySet.matching``.

The statement that reads the chosen rows of a search or a list need not name prices and makes then: it is the same for
most questions, and compiled once. Words, circles and what is hidden are left to the database (``left_to_sql``).
"""

from __future__ import annotations

from dataclasses import replace
from math import isnan
from typing import Any

from catalog.currencies import exchange_rates
from catalog.filters import ListingFilters
from catalog.models import Listing
from catalog.querysets import KEY_FILTERS, RANGE_FILTERS, SET_FILTERS


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
    if not _has_a_wanted_value(listing, filters):
        return False
    if not all(_is_within(getattr(listing, name), filters, name) for name in RANGE_FILTERS):
        return False
    if (filters.min_price, filters.max_price) != (None, None) and not _is_within(_price(listing), filters, "price"):
        return False
    if filters.tags and not set(filters.tags) <= set(listing.tags):
        return False
    return satisfies(listing, filters.also) if filters.also else True


def _has_a_wanted_value(listing: Listing, filters: ListingFilters) -> bool:
    """A listing without a value has none that is wanted."""
    return all(
        not (wanted := getattr(filters, name)) or _value_of(listing, path) in wanted
        for name, path in (SET_FILTERS | KEY_FILTERS).items()
    )


def _value_of(row: Any, path: str) -> Any:
    """What a column says, as a queryset names it (``seller__kind``); None where a related row is missing."""
    for name in path.split("__"):
        row = None if row is None else getattr(row, name)
    return row


def _is_within(value: Any, filters: ListingFilters, name: str) -> bool:
    low, high = getattr(filters, f"min_{name}"), getattr(filters, f"max_{name}")
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def _price(listing: Listing) -> float | None:
    """In the market's currency, by the product that SQL makes; None where it has no known worth."""
    rate = exchange_rates().get(listing.currency)
    price = None if listing.price is None or rate is None else float(listing.price) * rate
    return None if price is None or isnan(price) else price
