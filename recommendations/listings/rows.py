"""Listings read from the database as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from django.db.models import FloatField, QuerySet
from django.db.models.functions import Cast, Extract
from numpy.typing import NDArray

from catalog.currencies import exchange_rates as currencies_worth
from catalog.models import Listing
from recommendations.engine.encoder import ListingTable
from recommendations.engine.stock import FOREVER
from recommendations.models.arrays import as_floats, as_objects

TEXT_COLUMNS = {
    "make__slug": "make",
    "car_model__slug": "model",
    "body": "body",
    "fuel": "fuel",
    "gearbox": "gearbox",
    "drive": "drive",
    "colour": "colour",
    "seller__kind": "seller_kind",
    "title": "title",
}

NUMBER_COLUMNS = ("year", "price", "mileage_km", "power_kw", "engine_l", "consumption_l_100km")

NAME_COLUMNS = ("make__name", "car_model__name")

OTHER_COLUMNS = ("id", "tags", "currency", "status", "latitude", "longitude", "seller_id", "seller__user_id")

# Epoch seconds straight from the database: parsing 100,000 timestamps here would take longer than all the rest.
MOMENTS = {
    "published_epoch": Cast(Extract("published_at", "epoch"), FloatField()),
    "ended_epoch": Cast(Extract("ended_at", "epoch"), FloatField()),
    "promoted_epoch": Cast(Extract("promoted_until", "epoch"), FloatField()),
}


@dataclass(frozen=True)
class ListingRows:
    """Listings as columns, all of length n.

    ``table`` holds what the encoder reads, and price filters compare: prices in the market's currency, nan where there
    is no rate. The rest is what filters and rules read. ``names`` is what a card shows.
    """

    listing_ids: NDArray[np.int64]
    table: ListingTable
    names: NDArray[np.object_]
    is_live: NDArray[np.bool_]
    published_at: NDArray[np.float64]
    ended_at: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    seller_ids: NDArray[np.int64]
    seller_user_ids: NDArray[np.int64]
    promoted_until: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.listing_ids)

    def take(self, at: NDArray[np.intp]) -> ListingRows:
        """The listings at some positions, in that order."""
        arrays = {field.name: getattr(self, field.name)[at] for field in fields(self) if field.name != "table"}
        return ListingRows(table=self.table.take(at), **arrays)

    def category(self, name: str) -> NDArray[np.object_]:
        return getattr(self.table, name)

    def number(self, name: str) -> NDArray[np.float64]:
        """A filterable number, nan where unknown."""
        return getattr(self, name) if name in ("latitude", "longitude") else getattr(self.table, name)


def table_of(listings: Sequence[Listing]) -> ListingTable:
    """What the encoder reads of listings that are in memory already, with their card data; in their order."""
    rates = exchange_rates([listing.currency for listing in listings])
    return ListingTable.from_rows(
        {
            "make": listing.make.slug if listing.make else "",
            "model": listing.car_model.slug if listing.car_model else "",
            "seller_kind": listing.seller.kind if listing.seller else "",
            "price": None if listing.price is None else float(listing.price) * rate,
            **{
                name: getattr(listing, name) for name in ("body", "fuel", "gearbox", "drive", "colour", "title", "tags")
            },
            **{name: getattr(listing, name) for name in NUMBER_COLUMNS if name != "price"},
        }
        for listing, rate in zip(listings, rates, strict=True)
    )


def read_listings(listings: QuerySet[Listing]) -> ListingRows:
    """All columns of the listings in a queryset, ordered by id."""
    names = [*OTHER_COLUMNS, *NAME_COLUMNS, *TEXT_COLUMNS, *NUMBER_COLUMNS, *MOMENTS]
    found = listings.annotate(**MOMENTS).order_by("id").values_list(*names)
    columns = dict(zip(names, zip(*found, strict=True), strict=True)) if found else dict.fromkeys(names, ())
    numbers: dict[str, Any] = {name: finite(as_floats(columns[name])) for name in NUMBER_COLUMNS}
    texts: dict[str, Any] = {field: as_texts(columns[column]) for column, field in TEXT_COLUMNS.items()}
    numbers["price"] = numbers["price"] * exchange_rates(columns["currency"])
    return ListingRows(
        listing_ids=np.array(columns["id"], np.int64),
        table=ListingTable(
            **texts,
            **numbers,
            tags=as_objects([tuple(tags) for tags in columns["tags"]]),
        ),
        names=names_of(columns),
        is_live=np.array([status == Listing.Status.LIVE for status in columns["status"]], bool),
        published_at=as_floats(columns["published_epoch"]),
        ended_at=as_floats(columns["ended_epoch"], missing=FOREVER),
        latitude=finite(as_floats(columns["latitude"])),
        longitude=finite(as_floats(columns["longitude"])),
        seller_ids=np.array([key or 0 for key in columns["seller_id"]], np.int64),
        seller_user_ids=np.array([key or 0 for key in columns["seller__user_id"]], np.int64),
        promoted_until=as_floats(columns["promoted_epoch"]),
    )


def names_of(columns: Mapping[str, Sequence]) -> NDArray[np.object_]:
    """The twin of ``Listing.name``: the title, or make and model, or the bare id."""
    parts = zip(columns["id"], columns["title"], columns["make__name"], columns["car_model__name"], strict=True)
    return as_objects(
        [
            title or " ".join(filter(None, (make, model))) or f"Listing {listing_id}"
            for listing_id, title, make, model in parts
        ]
    )


def finite(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Infinity is as unknown as NaN: columns of numbers hold both where an earlier release stored them."""
    return np.where(np.isfinite(numbers), numbers, np.nan)


def as_texts(values: Sequence[str | None]) -> NDArray[np.object_]:
    return as_objects([value or "" for value in values])


def exchange_rates(currencies: Sequence[str]) -> NDArray[np.float64]:
    """What one unit of each currency is worth in the market's; nan, an unknown price, where no rate is set."""
    rates = currencies_worth()
    return np.array([rates.get(currency, np.nan) for currency in currencies], np.float64)
