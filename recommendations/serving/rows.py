"""The rows of chosen listings as they are for sale this moment.

One statement reads them, and its result is the truth. Objects are made only of rows that differ from those last read:
most lists show cars that another list showed a moment ago. The objects are shared between lists and requests, so they
are to be read, not written.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from cachetools import LRUCache
from django.db import connection
from django.db.models import Model
from psycopg.types.numeric import Int8

from catalog.currencies import exchange_rates
from catalog.filters import ListingFilters
from catalog.models import CarModel, Listing, Make, Seller
from catalog.querysets import ListingQuerySet
from catalog.row_filters import left_to_sql, satisfies
from web.postgres.prepared import preparing_cursor

ROWS_KEPT = 2000  # of one process; some 5 kB each
QUERIES_KEPT = 256
NEVER_READ = frozenset(["search_text"])

Row = tuple[Any, ...]


def names_of(model: type[Model]) -> list[str]:
    """Columns of a model but the text that is searched, which is long and of which lists say nothing."""
    return [field.attname for field in model._meta.concrete_fields if field.attname not in NEVER_READ]


LISTING, MAKE, MODEL, SELLER = names_of(Listing), names_of(Make), names_of(CarModel), names_of(Seller)
COLUMNS = [
    *LISTING,
    *(f"make__{name}" for name in MAKE),
    *(f"car_model__{name}" for name in MODEL),
    *(f"car_model__make__{name}" for name in MAKE),
    *(f"seller__{name}" for name in SELLER),
]
ID = LISTING.index("id")
IDS: list[int] = [-1]  # stands for the ids among the parameters of a query that is kept

_lock = threading.Lock()
_kept: LRUCache[int, tuple[Row, Listing]] = LRUCache(ROWS_KEPT)


def rows_for_sale(listing_ids: Sequence[int], filters: ListingFilters) -> dict[int, Listing]:
    """Those of the listings that can be bought and match right now, by id, with make, model and seller."""
    of_sql = left_to_sql(filters)
    statement, parameters = query_for(of_sql, tuple(exchange_rates().items()))
    # for most questions it is one statement, whose joins take longer to plan than to run
    with connection.cursor() if of_sql else preparing_cursor(connection) as cursor:
        cursor.execute(statement, with_ids(parameters, listing_ids))
        rows = cursor.fetchall()
    listings = map(listing_of, rows)
    return {listing.pk: listing for listing in listings if satisfies(listing, filters)}


def with_ids(parameters: Row, listing_ids: Sequence[int]) -> list[Any]:
    """The parameters of a query that is kept, for some listings."""
    ids = list(map(Int8, listing_ids))  # of eight bytes, small or large: otherwise it would be another statement
    return [ids if each is IDS else each for each in parameters]


def row_shown(listing_id: int) -> Listing | None:
    """A listing that is or was for sale, with make, model and seller; None for a draft, which is not published."""
    statement, parameters = query_of_shown()
    with preparing_cursor(connection) as cursor:
        cursor.execute(statement, with_ids(parameters, [listing_id]))
        row = cursor.fetchone()
    return listing_of(row) if row else None


@lru_cache(maxsize=1)
def query_of_shown() -> tuple[str, Row]:
    return compiled(Listing.objects.exclude(status=Listing.Status.DRAFT))


@lru_cache(maxsize=QUERIES_KEPT)
def query_for(filters: ListingFilters, _rates: tuple[tuple[str, float], ...]) -> tuple[str, Row]:
    """The statement that reads listings for sale under filters, and its parameters; prices depend on the rates."""
    return compiled(Listing.objects.available().matching(filters))


def compiled(listings: ListingQuerySet) -> tuple[str, Row]:
    chosen = listings.order_by().extra(where=["catalog_listing.id = ANY(%s)"], params=[IDS])
    statement, parameters = chosen.values_list(*COLUMNS).query.sql_with_params()
    return statement, tuple(parameters)


def listing_of(row: Row) -> Listing:
    """The object of a row: the one made of it before, while nothing about it has changed."""
    with _lock:
        kept = _kept.get(row[ID])
    if kept and kept[0] == row:
        return kept[1]
    listing = built(row)
    with _lock:
        _kept[row[ID]] = row, listing
    return listing


def built(row: Row) -> Listing:
    """As ``ListingQuerySet.with_card_data`` makes it."""
    values = iter(row)
    listing = Listing.from_db("default", LISTING, [next(values) for _ in LISTING])
    related: Mapping[str, Any] = {
        "make": one(Make, MAKE, [next(values) for _ in MAKE]),
        "car_model": one(CarModel, MODEL, [next(values) for _ in MODEL]),
        "model's make": one(Make, MAKE, [next(values) for _ in MAKE]),
        "seller": one(Seller, SELLER, [next(values) for _ in SELLER]),
    }
    for name in ("make", "car_model", "seller"):
        Listing._meta.get_field(name).set_cached_value(listing, related[name])  # type: ignore[union-attr]
    if related["car_model"]:
        CarModel._meta.get_field("make").set_cached_value(related["car_model"], related["model's make"])
    return listing


def one(model: type[Model], names: Sequence[str], values: Sequence[Any]) -> Model | None:
    """A related row; None where there is none."""
    return model.from_db("default", names, values) if values[names.index("id")] is not None else None
