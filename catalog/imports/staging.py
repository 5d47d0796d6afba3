"""Store rows by the thousand: COPY into a staging table, then a few statements over all of it.

Values that a file does not give are never erased: an empty cell leaves the catalogue's value. A listing's status
changes only where the file gives one, with three exceptions: a listing that expired, or ended because complete files
did not have it, is for sale again when it is in the file again, and a draft that waited for its price goes live with
it. A listing that comes back keeps its time of publication.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction

from catalog.imports import found_again
from catalog.imports import staging_sql as sql
from catalog.imports.listing_row import DIGEST_BYTES, ListingRow
from web.postgres.pooling import need_session

ATTEMPTS = 3  # another process may add a listing between our SELECT and our INSERT


class Identity(NamedTuple):
    """The identity of a row's listing: ``external_id`` is "" for one that has only a fingerprint."""

    external_id: str
    seller_key: str
    fingerprint: str


@dataclass(frozen=True)
class StagedRow:
    """A row to be stored. ``key`` identifies cars of one source, ``content`` is a digest of the values."""

    number: int
    row: ListingRow
    key: str
    content: str
    fingerprint: str  # '' where the row has an id of its own
    seller_key: str
    seller_keys: tuple[str, ...] = ()  # keys of the dealer that are common to all sources

    @property
    def identity(self) -> Identity:
        return Identity(self.row.external_id or "", self.seller_key, self.fingerprint)


@dataclass
class BatchResult:
    """The outcome of a batch; ``repeated`` pairs numbers of rows for cars of earlier rows with whether they differ."""

    created_ids: list[int] = field(default_factory=list)
    updated_ids: list[int] = field(default_factory=list)
    n_unchanged: int = 0
    repeated: list[tuple[int, bool]] = field(default_factory=list)

    @classmethod
    def sum(cls, results: Sequence[BatchResult]) -> BatchResult:
        return cls(
            created_ids=[listing_id for result in results for listing_id in result.created_ids],
            updated_ids=[listing_id for result in results for listing_id in result.updated_ids],
            n_unchanged=sum(result.n_unchanged for result in results),
        )


def key_of(external_id: str) -> str:
    """Return a key of fixed length for an id of any length."""
    return hashlib.blake2b(f"id\x1f{external_id}".encode(), digest_size=DIGEST_BYTES).hexdigest()


@contextmanager
def staging_tables() -> Iterator[None]:
    """Create the temporary tables of one import, on this connection; behind PgBouncer, in one transaction."""
    if not connection.in_atomic_block:
        need_session("an import")
    with connection.cursor() as cursor:
        cursor.execute(sql.DROP)
        cursor.execute(sql.CREATE)
        cursor.execute(found_again.DROP)
        cursor.execute(found_again.CREATE)
    try:
        yield
    finally:
        if connection.is_usable() and not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(sql.DROP)
                cursor.execute(found_again.DROP)


def stage(rows: Sequence[StagedRow]) -> list[tuple[int, bool]]:
    """Copy a batch into the staging table; rows that repeat an earlier batch are taken out and returned.

    Within the batch keys must already be unique.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("TRUNCATE import_row")
        with cursor.copy(f"COPY import_row ({', '.join(sql.STAGED)}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(_cells(row))
        cursor.execute(sql.TAKE_REPEATS)
        repeated: list[tuple[int, bool]] = cursor.fetchall()
        cursor.execute(sql.REMEMBER)
        cursor.execute("ANALYZE import_row")
    return repeated


def _cells(staged: StagedRow) -> list[Any]:
    row = staged.row
    own = {
        "row_number": staged.number,
        "key": staged.key,
        "content": staged.content,
        "fingerprint": staged.fingerprint,
        "seller_key": staged.seller_key,
        "seller_keys": list(staged.seller_keys),
        "has_seller_id": bool(row.seller_id),
        **{name: list(getattr(row, name)) for name in sql.LIST_COLUMNS},
    }
    return [own[name] if name in own else getattr(row, name) for name in sql.STAGED]


@contextmanager
def unnoted(cursor: Any) -> Iterator[None]:
    """Write to listings without an entry in the change log, for changes that its readers do not need."""
    cursor.execute("SET LOCAL forecourt.unnoted = 'on'")
    yield
    cursor.execute("SET LOCAL forecourt.unnoted = 'off'")


def merge(
    *, source: str, currency: str, seen_at: datetime, run_id: int | None = None, seller_id: int | None = None,
    are_ids_shared: bool = False,
) -> BatchResult:  # fmt: skip
    """Merge the staged rows into the catalogue. Call it in a transaction; rolling back undoes all of it.

    Their listings were last seen at ``seen_at``, which is the same for all rows of a file. With ``seller_id`` all of
    them are of that seller. With ``are_ids_shared``, two sellers may use the same number.

    With a run, each change of a listing is recorded as an ``ImportedListing`` of it, so that it can be undone.
    """
    result = BatchResult()
    with connection.cursor() as cursor:
        _add_names(cursor, source, run_id)
        given = {"source": source, "seller": seller_id, "seen": seen_at, "run": run_id}
        _settle_sellers(cursor, given, are_ids_shared=are_ids_shared)
        cursor.execute(sql.TAKE_DOUBLES)
        result.repeated = cursor.fetchall()
        cursor.execute(sql.REMEMBER_CARS)
        for _ in range(ATTEMPTS):
            cursor.execute(sql.RESOLVE, given)
            is_found_again = found_again.find_again(seen_at=seen_at)
            result.updated_ids += _update_known(cursor, seen_at, run_id)
            if is_found_again:
                found_again.know_again()
            cursor.execute(sql.NAME_CARS)
            cursor.execute(sql.COUNT)
            n_rows, n_unknown = cursor.fetchone()
            insert = sql.INSERT if run_id is None else sql.INSERT_AND_NOTE
            cursor.execute(insert, {"source": source, "currency": currency, "run": run_id, "seen": seen_at})
            created = [listing_id for listing_id, *_ in cursor.fetchall()]
            result.created_ids += created
            if len(created) == n_unknown:
                break
        with unnoted(cursor):
            cursor.execute(sql.SEE, {"seen": seen_at})
    result.n_unchanged = n_rows - len(result.created_ids) - len(result.updated_ids)
    return result


def _add_names(cursor: Any, source: str, run_id: int | None) -> None:
    """Add makes, models, sellers and keys of sellers that the catalogue does not have."""
    given = {"source": source, "run": run_id}
    statements = {
        "key": sql.FIND_SELLERS, "make": sql.ADD_MAKES, "model": sql.ADD_MODELS, "seller": sql.ADD_SELLERS,
    }  # fmt: skip
    for kind, add in statements.items():
        _add(cursor, kind, add, given)


def _add(cursor: Any, kind: str, add: str, given: dict[str, Any]) -> None:
    """Add names of one kind; with a run, each new one is recorded as an ``ImportedName`` of it."""
    cursor.execute(add if given["run"] is None else sql.NOTE_ADDED.format(add=add, kind=kind), given)


def _settle_sellers(cursor: Any, given: dict[str, Any], *, are_ids_shared: bool) -> None:
    """Find the sellers of the rows, and the ids of the cars where two dealers use the same number."""
    cursor.execute(sql.HAS_SELLERS, given)
    if cursor.fetchone()[0]:
        cursor.execute(sql.RESOLVE, given)
        _add(cursor, "key", sql.KEEP_SELLER_KEYS, given)
        if are_ids_shared:
            cursor.execute(sql.SEPARATE, given)


def find_listings(
    *, source: str, identities: Sequence[tuple[int, Identity]], seller_id: int | None = None
) -> dict[int, int]:
    """Return by row number the listing with one of its identities; of several identities the first.

    With ``seller_id`` all of them are of that seller, as in ``merge``.
    """
    given: dict[str, Any] = {
        "source": source,
        "seller": seller_id,
        "numbers": [number for number, _ in identities],
        "external_ids": [identity.external_id for _, identity in identities],
        "seller_keys": [identity.seller_key for _, identity in identities],
        "fingerprints": [identity.fingerprint for _, identity in identities],
    }
    with connection.cursor() as cursor:
        cursor.execute(sql.FIND_LISTINGS, given)
        return dict(cursor.fetchall())


def see(*, source: str, identities: Sequence[Identity], seen_at: datetime, seller_id: int | None = None) -> None:
    """Mark the listings of waiting rows as seen."""
    found = find_listings(source=source, identities=list(enumerate(identities)), seller_id=seller_id)
    with transaction.atomic(), connection.cursor() as cursor, unnoted(cursor):
        cursor.execute(sql.SEE_WAITING, {"ids": list(found.values()), "seen": seen_at})


def _update_known(cursor: Any, seen_at: datetime, run_id: int | None) -> list[int]:
    """Update the existing listings whose values have changed; returns their ids."""
    cursor.execute(sql.LOCK)
    if run_id is not None:
        cursor.execute(sql.NOTE_REPLACED.format(kept=", ".join(f"l.{name}" for name in sql.KEPT)), {"run": run_id})
    cursor.execute(sql.REPLACE)
    cursor.execute(sql.DROP_CHANGES)
    cursor.execute(sql.CHANGES)
    cursor.execute(sql.NOTE_PRICES)
    if run_id is not None:
        cursor.execute(sql.NOTE_CHANGED, {"run": run_id})
    cursor.execute(sql.UPDATE, {"seen": seen_at})
    return [listing_id for (listing_id,) in cursor.fetchall()]
