"""Listings as a table that ``import_listings`` reads again: the same cars, unchanged, under the same source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from catalog.attributes import ADDRESSES, ATTRIBUTES, MOMENTS, NUMBERS, month_as_text
from catalog.models import Listing

ROWS_AT_ONCE = 2_000  # fetched from the server's cursor together
# Heading -> where the value comes from; headings that ``headers`` recognises.
COLUMNS = {
    "external_id": "external_id",
    "make": "make__name",
    "model": "car_model__name",
    "title": "title",
    "price": "price",
    "currency": "currency",
    "status": "status",
    "year": "year",
    **{attribute.exported_as: attribute.column for attribute in ATTRIBUTES},
    "place": "place",
    "latitude": "latitude",
    "longitude": "longitude",
    "seller id": "seller__external_id",
    "seller name": "seller__name",
    "seller kind": "seller__kind",
    "photo url": "photo_url",
    "tags": "tags",
    "description": "description",
    "vin": "vin",
    "url": "url",
}
FOR_PEOPLE = {"source": "source", "advertiser": "seller__name", "listing": "pk", "published at": "published_at"}
HEADINGS = (*COLUMNS, *FOR_PEOPLE)
LISTS = ("tags", *(each.exported_as for each in ADDRESSES))
MONTHS = tuple(number.exported_as for number in NUMBERS if number.kind == "month")
TIMES = tuple(each.exported_as for each in MOMENTS)
SELLER = ("seller id", "seller name", "seller kind")


def exported_rows(listings: QuerySet[Listing]) -> Iterator[list[Any]]:
    """A row per listing, in the order of ``HEADINGS``, oldest first, read through a cursor of the server.

    A seller whose id does not begin with the source, as an import would make it, is named under "advertiser" alone,
    which an import leaves out: read again, the listing keeps its seller.
    """
    columns = [*COLUMNS.values(), *FOR_PEOPLE.values()]
    rows = listings.select_related(None).defer(None).order_by("pk").values_list(*columns)
    for row in rows.iterator(chunk_size=ROWS_AT_ONCE):
        yield as_written(dict(zip(HEADINGS, row, strict=True)))


def as_written(row: dict[str, Any]) -> list[Any]:
    prefix = f"{row['source']}/"
    seller_id = row["seller id"] or ""
    if seller_id.startswith(prefix):
        row["seller id"] = seller_id.removeprefix(prefix)
    else:
        row |= dict.fromkeys(SELLER, "")
    if row["external_id"] is None:
        row["vin"] = ""  # read again, it would be the id
    for heading in LISTS:
        row[heading] = "|".join(row[heading])
    for heading in MONTHS:
        row[heading] = month_as_text(row[heading]) if row[heading] else None
    for heading in TIMES:
        row[heading] = row[heading].isoformat() if row[heading] else ""
    row["published at"] = row["published at"].isoformat(timespec="seconds") if row["published at"] else ""
    return list(row.values())
