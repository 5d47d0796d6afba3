"""Store listings that a client system sends by the API, by the same code as the rows of a file.

Values that a row does not give are never erased; see ``staging`` for the status of a listing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from catalog.attributes import ADDRESSES, CATEGORIES, MOMENTS, NUMBERS, TEXTS, columns_of
from catalog.imports import staging
from catalog.imports.dealers import keys_of
from catalog.imports.listing_row import ListingRow
from catalog.imports.names import slug_of
from catalog.models import Listing
from catalog.signals import listings_stored


@dataclass(frozen=True)
class Stored:
    """The outcome of the rows, and the key of each listing by its external id."""

    n_created: int
    n_updated: int
    n_unchanged: int
    listing_id_by_external_id: dict[str, int]
    created_ids: frozenset[int] = frozenset()
    changed_ids: frozenset[int] = frozenset()

    def result_of(self, external_id: str) -> str:
        """Return the outcome of one row: ``created``, ``updated`` or ``unchanged``."""
        key = self.listing_id_by_external_id[external_id]
        if key in self.created_ids:
            return "created"
        return "updated" if key in self.changed_ids else "unchanged"


EMPTY: Mapping[str, Any] = {  # columns that a client can clear, and their empty values
    **dict.fromkeys(("title", "description", *columns_of((*CATEGORIES, *TEXTS)), "photo_url", "url", "place"), ""),
    **dict.fromkeys(("year", *columns_of(NUMBERS), *columns_of(MOMENTS), "latitude", "longitude")),
    "tags": [],
    **{column: [] for column in columns_of(ADDRESSES)},
}


@transaction.atomic
def store_rows(
    *, source: str, rows: Sequence[ListingRow], cleared: Mapping[str, Collection[str]] | None = None
) -> Stored:
    """Add or update listings by their external ids, all or none; safe to repeat.

    Each row needs an external id, unique among the rows. ``listings_stored`` is sent after commit. ``cleared``:
    external id -> columns of ``EMPTY`` to be emptied; an emptied title is made of the names again.
    """
    staged = [_staged(number, source, row) for number, row in enumerate(rows, start=1)]
    with staging.staging_tables():
        staging.stage(staged)
        result = staging.merge(source=source, currency=settings.MARKET_CURRENCY, seen_at=timezone.now())
    created, keys = frozenset(result.created_ids), _keys_of(source, [str(row.external_id) for row in rows])
    changed = frozenset(result.updated_ids) | (_clear(rows, keys, cleared or {}) - created)
    if stored := sorted(created | changed):
        transaction.on_commit(lambda: listings_stored.send(sender=Listing, listing_ids=stored))
    return Stored(
        n_created=len(created),
        n_updated=len(changed),
        n_unchanged=len(rows) - len(created) - len(changed),
        listing_id_by_external_id=keys,
        created_ids=created,
        changed_ids=changed,
    )


def _clear(rows: Sequence[ListingRow], keys: Mapping[str, int], cleared: Mapping[str, Collection[str]]) -> set[int]:
    """Empty columns of listings, with one statement for those with the same columns; returns the keys of changed
    listings.

    The merge before has locked the listings already.
    """
    alike: dict[tuple[tuple[str, ...], str], list[int]] = {}
    for row in rows:
        names, title = set(cleared.get(str(row.external_id), ())) & EMPTY.keys(), ""
        if "title" in names and row.built_title:
            title = row.built_title
        elif not row.make:
            names.discard("title")  # a car on sale has a make or a title
        if names:
            alike.setdefault((tuple(sorted(names)), title), []).append(keys[str(row.external_id)])
    return {key for (names, title), some in alike.items() for key in _clear_alike(names, title, some)}


def _clear_alike(names: Sequence[str], title: str, keys: Sequence[int]) -> list[int]:
    columns = {name: EMPTY[name] for name in names} | ({"title": title} if title else {})
    had_something = reduce(or_, (~Q(**{name: value}) if value is not None else Q(**{f"{name}__isnull": False})
                                 for name, value in columns.items()))  # fmt: skip
    changed = list(Listing.objects.filter(had_something, pk__in=keys).order_by().values_list("pk", flat=True))
    if changed:
        Listing.objects.filter(pk__in=changed).update(**columns, updated_at=timezone.now())
    return changed


def _keys_of(source: str, external_ids: list[str]) -> dict[str, int]:
    stored = Listing.objects.filter(source=source, external_id__in=external_ids)
    return {str(external_id): key for external_id, key in stored.values_list("external_id", "pk")}


def _staged(number: int, source: str, row: ListingRow) -> staging.StagedRow:
    if row.price is not None and not row.currency:
        row = replace(row, currency=settings.MARKET_CURRENCY)
    return staging.StagedRow(
        number=number,
        row=row,
        key=staging.key_of(str(row.external_id)),
        content=row.digest(),
        fingerprint="",
        seller_key=_seller_key(source, row),
        seller_keys=keys_of(row) if row.seller_name else (),
    )


def _seller_key(source: str, row: ListingRow) -> str:
    """Return our id of the seller: by the source's own id, else by name; "" when the row names no seller."""
    return seller_key_of(source, row.seller_id or slug_of(row.seller_name)) if row.seller_name else ""


def seller_key_of(source: str, seller_id: str) -> str:
    """Return our id of a seller whom a source knows by an id."""
    return f"{source}/{seller_id}"[:255]
