"""Listings that a client system sends, already clean: the same road into the catalogue as the rows of a file.

What a row does not say is never erased; see ``staging`` for what becomes of a listing's status.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from catalog.imports import staging
from catalog.imports.names import slug_of
from catalog.imports.rows import ListingRow
from catalog.models import Listing
from catalog.signals import listings_stored


@dataclass(frozen=True)
class Stored:
    """What became of the rows, and the key of each listing by its external id."""

    n_created: int
    n_updated: int
    n_unchanged: int
    listing_id_by_external_id: dict[str, int]


@transaction.atomic
def store_rows(*, source: str, rows: Sequence[ListingRow]) -> Stored:
    """Add or update listings by their external ids, all or none; safe to repeat.

    Every row needs an external id, and each of them only once. ``listings_stored`` is sent after commit.
    """
    staged = [_staged(number, source, row) for number, row in enumerate(rows, start=1)]
    with staging.staging_tables():
        staging.stage(staged)
        result = staging.merge(source=source, currency=settings.MARKET_CURRENCY, seen_at=timezone.now())
    if changed := result.created_ids + result.updated_ids:
        transaction.on_commit(lambda: listings_stored.send(sender=Listing, listing_ids=changed))
    return Stored(
        n_created=len(result.created_ids),
        n_updated=len(result.updated_ids),
        n_unchanged=result.n_unchanged,
        listing_id_by_external_id=_keys_of(source, [str(row.external_id) for row in rows]),
    )


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
    )


def _seller_key(source: str, row: ListingRow) -> str:
    """Who sells, as an id of ours: by the source's own id, else by name; '' when the row names no seller."""
    if not row.seller_name:
        return ""
    return f"{source}/{row.seller_id or slug_of(row.seller_name)}"[:255]
