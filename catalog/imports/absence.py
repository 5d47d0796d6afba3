"""Complete files: find the listings of a source that its file no longer has, and end them.

A listing is missing when it is on offer and was last seen before the file was read. Each complete file without it
counts as a miss; after as many misses as the options say it is withdrawn, or marked as sold. If more than a given share
of the listings of a source or of one seller is missing, nothing is ended until an operator has decided, because the
file may be a broken export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from accounts.models import User
from catalog.exceptions import AbsenceDecided
from catalog.imports.options import SELLERS, ImportOptions
from catalog.imports.staging import unnoted
from catalog.imports.staging_sql import KEPT
from catalog.models import ImportRun

# ruff: noqa: S608 -- the statements are put together from column names of ours
Absence = ImportRun.Absence

BRAKE_FROM = 3  # missing listings; of two cars one is often sold in a day

_ON_OFFER = "l.source = %(source)s AND l.status IN ('draft', 'live', 'reserved')"
_MISSING = f"{_ON_OFFER} AND (l.last_seen_at IS NULL OR l.last_seen_at < %(seen)s)"
# For each seller: listings on offer before the file, those missing from the file, and listings in the file. Listings
# that the file added were not on offer before.
_BY_SELLER = f"""
SELECT l.seller_id,
    count(*) FILTER (WHERE i.listing_id IS NULL AND {_ON_OFFER}),
    count(*) FILTER (WHERE {_MISSING}),
    count(*) FILTER (WHERE l.last_seen_at >= %(seen)s)
FROM catalog_listing l LEFT JOIN catalog_importedlisting i ON i.run_id = %(run)s AND i.is_new AND i.listing_id = l.id
WHERE l.source = %(source)s
GROUP BY l.seller_id
"""
_OF_SELLERS = "(l.seller_id = ANY(%(sellers)s) OR l.seller_id IS NULL AND %(without_seller)s)"
_LOCK = f"SELECT id FROM catalog_listing l WHERE {_MISSING} AND {_OF_SELLERS} ORDER BY id FOR UPDATE"
_DUE = f"{_MISSING} AND {_OF_SELLERS} AND l.missed_runs + 1 >= %(misses)s"
_NOTE = f"""
INSERT INTO catalog_importedlisting (run_id, listing_id, row_number, is_new, before, stored_at, outcome)
SELECT %(run)s, l.id, 0, false, to_jsonb(old), now(), ''
FROM catalog_listing l
CROSS JOIN LATERAL (SELECT {", ".join(f"l.{name}" for name in KEPT)}, NULL::text AS description) old
WHERE {_DUE}
"""
_END = f"""
UPDATE catalog_listing l SET
    status = %(becomes)s, ended_at = now(), updated_at = now(), missed_runs = least(l.missed_runs + 1, 32767)
WHERE {_DUE}
"""
_COUNT_MISS = f"""
UPDATE catalog_listing l SET missed_runs = l.missed_runs + 1 WHERE {_MISSING} AND {_OF_SELLERS}
"""


@dataclass(frozen=True)
class SellerCount:
    """Numbers of listings of one seller of a source (None: without a seller) after a complete file."""

    seller_id: int | None
    n_before: int  # on offer before the delivery
    n_missing: int
    n_present: int

    def is_too_many(self, share: float) -> bool:
        return self.n_missing >= BRAKE_FROM and self.n_missing > share * self.n_before


def count_absent(run: ImportRun, options: ImportOptions) -> None:
    """Count a miss for the listings that a stored complete file does not have, and end those with enough misses.

    It sets fields of the run, which the caller saves in the same transaction. A second call does nothing.
    """
    if run.absence:
        return
    counts = [each for each in counts_by_seller(run) if options.complete != SELLERS or each.n_present]
    total = SellerCount(None, sum(c.n_before for c in counts), sum(c.n_missing for c in counts), 0)
    share = options.most_missing
    held = [c for c in counts if c.is_too_many(share)]
    if total.is_too_many(share) or not any(c.n_present for c in counts):
        held = [c for c in counts if c.n_missing]
    run.listings_missing = total.n_missing
    run.listings_ended = end_missing(run, options, [c.seller_id for c in counts if c.n_missing and c not in held])
    run.absence = Absence.WAITING if held else Absence.COUNTED
    run.options["held"] = {"sellers": [c.seller_id for c in held], "n": sum(c.n_missing for c in held)}
    earlier = ImportRun.objects.filter(source=run.source, absence=Absence.WAITING).exclude(pk=run.pk)
    earlier.update(absence=Absence.OVERTAKEN)


def counts_by_seller(run: ImportRun) -> list[SellerCount]:
    with connection.cursor() as cursor:
        cursor.execute(_BY_SELLER, {"source": run.source, "seen": run.seen_at, "run": run.pk})
        return [SellerCount(*row) for row in cursor.fetchall()]


def end_missing(run: ImportRun, options: ImportOptions, sellers: Sequence[int | None], *, at_once: bool = False) -> int:
    """Count a miss for the missing listings of these sellers, and end those with enough misses; returns how many
    ended."""
    given: dict[str, Any] = {
        "run": run.pk,
        "source": run.source,
        "seen": run.seen_at,
        "sellers": [seller for seller in sellers if seller is not None],
        "without_seller": None in sellers,
        "misses": 1 if at_once else options.misses or 1,
        "becomes": options.missing or "withdrawn",
    }
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, given)
        cursor.execute(_NOTE, given)
        cursor.execute(_END, given)
        n_ended: int = cursor.rowcount
        with unnoted(cursor):
            cursor.execute(_COUNT_MISS, given)
    return n_ended


@transaction.atomic
def decide_absence(*, run: ImportRun, options: ImportOptions, is_gone: bool, by: User | None) -> int:
    """Apply an operator's decision: end the missing listings, or keep them; returns how many ended.

    Listings that a later file had, or that were sold by hand, are not missing any more.

    Raises:
        AbsenceDecided: Where no decision is pending.
    """
    locked = ImportRun.objects.select_for_update().get(pk=run.pk)
    if locked.absence != Absence.WAITING:
        raise AbsenceDecided("Nothing waits for a decision here any more.")
    n_ended = end_missing(locked, options, locked.options["held"]["sellers"], at_once=True) if is_gone else 0
    locked.absence = Absence.CONFIRMED if is_gone else Absence.KEPT
    locked.listings_ended += n_ended
    locked.options["held"]["by"] = by.get_username() if by else ""
    locked.save(update_fields=["absence", "listings_ended", "options"])
    return n_ended
