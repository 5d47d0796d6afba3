"""Listings read from the database as arrays."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from django.db.models import FloatField, Func, QuerySet, TextField
from django.db.models.functions import Cast, Extract
from numpy.typing import NDArray

from catalog.attributes import CATEGORIES, CATEGORY_FEATURES, NUMBER_FEATURES, RANGES, columns_of
from catalog.currencies import exchange_rates as currencies_worth
from catalog.models import Listing
from recommendations.engine.arrays import Array
from recommendations.engine.columns import Columns
from recommendations.engine.stock import FOREVER
from recommendations.engine.table import NUMBER_FIELDS, ListingTable
from recommendations.models.arrays import as_objects, read_queryset

TEXT_COLUMNS = {
    "make__slug": "make",
    "car_model__slug": "model",
    **{column: column for column in columns_of(CATEGORY_FEATURES)},
    "seller__kind": "seller_kind",
    "title": "title",
}

# Categories that a search may ask for, and numbers, though the encoder reads them not.
OTHER_CATEGORIES = columns_of(category for category in CATEGORIES if category not in CATEGORY_FEATURES)
OTHER_NUMBERS = columns_of(number for number in RANGES if number not in NUMBER_FEATURES)

NAME_COLUMNS = ("make__name", "car_model__name")

READ_AS_STORED = ("title", "tags", "year", *columns_of(CATEGORY_FEATURES), *columns_of(NUMBER_FEATURES))

WHOLE_COLUMNS = ("id", "seller_id", "seller__user_id")

OTHER_TEXTS = ("tags_json", "currency", "status")

LOCATION_COLUMNS = ("latitude", "longitude")

# Epoch seconds straight from the database: parsing 100,000 timestamps here would take longer than all the rest.
MOMENTS = {
    "published_epoch": Cast(Extract("published_at", "epoch"), FloatField()),
    "ended_epoch": Cast(Extract("ended_at", "epoch"), FloatField()),
    "promoted_epoch": Cast(Extract("promoted_until", "epoch"), FloatField()),
}
TAGS = {"tags_json": Func("tags", function="array_to_json", output_field=TextField())}


@dataclass(frozen=True)
class ListingRows(Columns):
    """Listings as columns, all of length n.

    ``table`` holds what the encoder reads and price filters compare: prices are in the market's currency, nan where no
    rate is set. The other columns are for filters and rules: ``others`` holds, by column name, the attributes that the
    encoder does not read. ``names`` is the name on a card.
    """

    listing_ids: NDArray[np.int64]
    table: ListingTable
    names: NDArray[np.object_]
    is_live: NDArray[np.bool_]
    published_at: NDArray[np.float64]
    ended_at: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    others: dict[str, Array]
    seller_ids: NDArray[np.int64]
    seller_user_ids: NDArray[np.int64]
    promoted_until: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.listing_ids)

    def category(self, name: str) -> NDArray[np.object_]:
        return self.others[name] if name in self.others else getattr(self.table, name)

    def number(self, name: str) -> NDArray[np.float64]:
        """A filterable number, nan where unknown."""
        if name in self.others:
            return self.others[name]
        numbers: NDArray[np.float64] = getattr(self if name in LOCATION_COLUMNS else self.table, name)
        return numbers


def table_of(listings: Sequence[Listing]) -> ListingTable:
    """The encoder's table of listings that are already in memory with their card data, in the same order."""
    rates = exchange_rates([listing.currency for listing in listings])
    return ListingTable.from_rows(
        {
            "make": listing.make.slug if listing.make else "",
            "model": listing.car_model.slug if listing.car_model else "",
            "seller_kind": listing.seller.kind if listing.seller else "",
            "price": None if listing.price is None else float(listing.price) * rate,
            **{name: getattr(listing, name) for name in READ_AS_STORED},
        }
        for listing, rate in zip(listings, rates, strict=True)
    )


def read_listings(listings: QuerySet[Listing]) -> ListingRows:
    """Read all columns of the listings in a queryset, ordered by id."""
    whole, fractions, texts = read_queryset(
        listings.annotate(**MOMENTS, **TAGS),
        WHOLE_COLUMNS,
        [*NUMBER_FIELDS, *OTHER_NUMBERS, *LOCATION_COLUMNS, *MOMENTS],
        [*TEXT_COLUMNS, *NAME_COLUMNS, *OTHER_CATEGORIES, *OTHER_TEXTS],
    )
    order = np.argsort(whole["id"])
    columns: dict[str, Any] = {name: array[order] for name, array in {**whole, **fractions, **texts}.items()}
    numbers: dict[str, Any] = {name: finite(columns[name]) for name in NUMBER_FIELDS}
    numbers["price"] = numbers["price"] * exchange_rates(columns["currency"].tolist())
    ended = columns["ended_epoch"]
    return ListingRows(
        listing_ids=columns["id"],
        table=ListingTable(
            **{field: columns[column] for column, field in TEXT_COLUMNS.items()},
            **numbers,
            tags=as_objects(list(map(tags_of, columns["tags_json"].tolist()))),
        ),
        names=names_of(columns),
        is_live=np.array([status == Listing.Status.LIVE for status in columns["status"].tolist()], bool),
        published_at=columns["published_epoch"],
        ended_at=np.where(np.isnan(ended), FOREVER, ended),
        latitude=finite(columns["latitude"]),
        longitude=finite(columns["longitude"]),
        others={
            **{name: columns[name] for name in OTHER_CATEGORIES},
            **{name: finite(columns[name]) for name in OTHER_NUMBERS},
        },
        seller_ids=columns["seller_id"],
        seller_user_ids=columns["seller__user_id"],
        promoted_until=columns["promoted_epoch"],
    )


@lru_cache(maxsize=10_000)  # most listings of a site have the tags of many others, or none
def tags_of(content: str) -> tuple[str, ...]:
    return tuple(json.loads(content or "[]"))


def names_of(columns: Mapping[str, Array]) -> NDArray[np.object_]:
    """Compute ``Listing.name`` from columns: the title, or make and model, or the id alone."""
    names = ("id", "title", "make__name", "car_model__name")
    parts = zip(*(columns[name].tolist() for name in names), strict=True)
    return as_objects(
        [
            title or " ".join(filter(None, (make, model))) or f"Listing {listing_id}"
            for listing_id, title, make, model in parts
        ]
    )


def finite(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace infinity by nan, for columns in which an earlier release stored infinity as unknown."""
    return np.where(np.isfinite(numbers), numbers, np.nan)


def exchange_rates(currencies: Sequence[str]) -> NDArray[np.float64]:
    """The value of one unit of each currency in the market's currency; nan, an unknown price, where no rate is set."""
    rates = currencies_worth()
    return np.array([rates.get(currency, np.nan) for currency in currencies], np.float64)
