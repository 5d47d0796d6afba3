"""Import rollback: restore changed listings and remove new ones, except those that others changed since.

New listings without events or edits are removed, so that the same file can be read again as if for the first time;
those with events or edits are withdrawn, because other rows point to them. Changed listings are restored unless they
were changed again. The outcome of each is stored in its ``ImportedListing``. The work is done in chunks, each one
transaction, so that a rollback whose worker dies is resumed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import CASCADE, Count, QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.exceptions import UndoRefused
from catalog.imports.staging_sql import NEVER_NULL, RESTORED
from catalog.imports.store import only_import_of
from catalog.models import (
    BadRow,
    CarModel,
    ImportedListing,
    ImportedName,
    ImportRun,
    ImportUndo,
    Listing,
    Make,
    Seller,
    SellerKey,
)
from catalog.signals import listings_stored
from jobs.work import Attempt, outcome, perform

# ruff: noqa: S608 -- the statement is put together from column names of ours
Status = ImportUndo.Status
CHUNK_ROWS = 5_000

REMOVED, WITHDRAWN, RESTORED_AGAIN = "removed", "withdrawn", "put back"
GONE = "was removed already"
TAKEN = "left: reserved or sold since"
ENDED = "left: ended already"
CHANGED_SINCE = "left: changed since"
LEFT = (GONE, TAKEN, ENDED, CHANGED_SINCE)

_OF_CHUNK = "i.run_id = %(run)s AND i.row_number BETWEEN %(first)s AND %(last)s"
_LOCK = f"""
SELECT l.id FROM catalog_listing l JOIN catalog_importedlisting i ON i.listing_id = l.id
WHERE {_OF_CHUNK} ORDER BY l.id FOR UPDATE OF l
"""
# A make, model or seller that was removed since is not restored with its listing.
_EXISTING = {"make_id": "catalog_make", "car_model_id": "catalog_carmodel", "seller_id": "catalog_seller"}
_OLD_VALUES = {
    name: f"(SELECT id FROM {_EXISTING[name]} WHERE id = old.{name})" if name in _EXISTING else f"old.{name}"
    for name in RESTORED
} | {name: f"coalesce(old.{name}, l.{name})" for name in (*NEVER_NULL, "missed_runs")}  # an older release lacks some
_RESTORE = f"""
UPDATE catalog_listing l SET {", ".join(f"{name} = {value}" for name, value in _OLD_VALUES.items())}
FROM catalog_importedlisting i, jsonb_populate_record(NULL::catalog_listing, i.before) old
WHERE {_OF_CHUNK} AND NOT i.is_new AND l.id = i.listing_id AND l.updated_at = i.stored_at
RETURNING l.id
"""
_FORGET_PRICE_STEPS = f"""
DELETE FROM catalog_pricechange p USING catalog_importedlisting i
WHERE {_OF_CHUNK} AND p.listing_id = i.listing_id AND p.changed_at = i.stored_at
  AND p.listing_id = ANY(%(restored)s)
"""
# A listing that lost its id to another one gets it back once that one is gone.
_GIVE_BACK_IDS = f"""
UPDATE catalog_listing l SET external_id = i.before ->> 'external_id'
FROM catalog_importedlisting i
WHERE {_OF_CHUNK} AND i.listing_id = l.id AND l.id = ANY(%(restored)s)
  AND l.external_id IS NULL AND i.before ->> 'external_id' IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM catalog_listing o WHERE o.source = l.source AND o.external_id = i.before ->> 'external_id'
  )
"""
# Outcomes: new listings without events or edits are removed; other new ones still on offer are withdrawn.
_DECIDE = f"""
UPDATE catalog_importedlisting i SET outcome = CASE
    WHEN l.id IS NULL THEN '{GONE}'
    WHEN NOT i.is_new THEN CASE WHEN l.id = ANY(%(restored)s) THEN '{RESTORED_AGAIN}' ELSE '{CHANGED_SINCE}' END
    WHEN l.updated_at = i.stored_at AND NOT l.id = ANY(%(dealt_with)s) THEN '{REMOVED}'
    WHEN l.status IN ('reserved', 'sold') THEN '{TAKEN}'
    WHEN l.status IN ('draft', 'live') THEN '{WITHDRAWN}'
    ELSE '{ENDED}'
END
FROM catalog_importedlisting this LEFT JOIN catalog_listing l ON l.id = this.listing_id
WHERE {_OF_CHUNK} AND this.id = i.id
"""


# --- Whether, and when -----------------------------------------------------------------------------------------------
def undo_problem(run: ImportRun) -> str:
    """Return why a run cannot be rolled back; "" when it can."""
    if run.is_dry_run:
        return "A dry run stored nothing."
    if run.status in (ImportRun.Status.QUEUED, ImportRun.Status.RUNNING):
        return "It has not ended: cancel it first."
    if run.mends.unfinished().exists():
        return "Rows of it are being read again: wait for that, or cancel it."
    if hasattr(run, "undo") and run.undo.status in (Status.QUEUED, Status.RUNNING, Status.DONE):
        return "It was undone already."
    if not (run.listings_created or run.listings_updated or run.listings_ended):
        return "It changed nothing."
    if not run.imported.exists():
        return f"What it did is kept for {settings.IMPORT_UNDO_DAYS} days; that time is over."
    return ""


@transaction.atomic
def queue_undo(*, run: ImportRun, started_by: User | None = None) -> ImportUndo:
    """Create a queued rollback; the caller enqueues its task. One that failed or was cancelled is queued again, and
    continues. Raises UndoRefused with the reason."""
    locked = ImportRun.objects.select_for_update().get(pk=run.pk)
    if problem := undo_problem(locked):
        raise UndoRefused(problem)
    again = {"status": Status.QUEUED, "error": "", "finished_at": None, "created_at": timezone.now(), "n_died": 0}
    undo, _ = ImportUndo.objects.update_or_create(run=locked, defaults={**again, "started_by": started_by})
    return undo


def sweep_import_records(now: datetime) -> int:
    """Delete records of imports' changes after IMPORT_UNDO_DAYS, with the bad rows; then they cannot be undone."""
    old = ImportRun.objects.filter(finished_at__lt=now - timedelta(days=settings.IMPORT_UNDO_DAYS))
    n_swept = BadRow.objects.filter(run__in=old).delete()[0]
    ImportedName.objects.filter(run__in=old).delete()
    for run_id in old.filter(imported__isnull=False).values_list("pk", flat=True).distinct():
        n_swept += ImportedListing.objects.filter(run=run_id).delete()[0]
    return n_swept


# --- The work --------------------------------------------------------------------------------------------------------
def run_undo(*, undo_id: int) -> str:
    """Run a queued rollback, or resume one whose worker died; returns its outcome."""

    def work(attempt: Attempt[ImportUndo]) -> None:
        with only_import_of(attempt.job.run.source, is_needed=True):
            roll_back_in_chunks(attempt)

    perform(ImportUndo, undo_id, work)
    undo = ImportUndo.objects.get(pk=undo_id)
    counts = f"{undo.n_removed} removed, {undo.n_withdrawn} withdrawn, {undo.n_restored} put back, {undo.n_left} left"
    return outcome(undo, counts)


def roll_back_in_chunks(attempt: Attempt[ImportUndo]) -> None:
    """Roll back chunk by chunk; each chunk and its record are one transaction."""
    undo = attempt.job
    of_run = ImportedListing.objects.filter(run=undo.run)
    n_rows = of_run.count()
    waiting = of_run.filter(outcome="").order_by("row_number").values_list("row_number", flat=True)
    while chunk := list(waiting[:CHUNK_ROWS]):
        with transaction.atomic():
            roll_back_rows(undo.run, chunk[0], chunk[-1])
            counts = count_outcomes(undo.run)
            n_done = sum(counts.values())
            attempt.report(n_done / n_rows, f"{n_done:,} of {n_rows:,}", **counts)
    with transaction.atomic():
        remove_names(undo.run)
        attempt.finish()


def remove_names(run: ImportRun) -> None:
    """Remove the makes, models and sellers that a run added and nothing else uses.

    Keys of sellers that it added are removed in any case: its file may have joined two dealers.
    """
    SellerKey.objects.filter(pk__in=run.names.filter(kind="key").values("name_id")).delete()
    for kind, model in (("seller", Seller), ("model", CarModel), ("make", Make)):
        made: Any = model._default_manager.filter(pk__in=run.names.filter(kind=kind).values("name_id"))
        for relation in model._meta.related_objects:
            if relation.related_model is SellerKey:
                continue  # they go with their seller
            using = relation.related_model._base_manager.filter(**{f"{relation.field.name}__isnull": False})
            made = made.exclude(pk__in=using.values(relation.field.name))
        made.delete()
    run.names.all().delete()


def roll_back_rows(run: ImportRun, first: int, last: int) -> None:
    """Roll back a run's changes by these rows of its file; call it in a transaction."""
    chunk = {"run": run.pk, "first": first, "last": last}
    rows = ImportedListing.objects.filter(run=run, row_number__range=(first, last))
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, chunk)
        cursor.execute(_RESTORE, chunk)
        restored = [listing_id for (listing_id,) in cursor.fetchall()]
        cursor.execute(_FORGET_PRICE_STEPS, {**chunk, "restored": restored})
        cursor.execute(_DECIDE, {**chunk, "restored": restored, "dealt_with": listings_dealt_with(rows)})
    remove_listings(rows.filter(outcome=REMOVED))
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_BACK_IDS, {**chunk, "restored": restored})
    now, withdrawn = timezone.now(), rows.filter(outcome=WITHDRAWN).values("listing_id")
    Listing.objects.filter(pk__in=withdrawn).update(status=Listing.Status.WITHDRAWN, ended_at=now, updated_at=now)
    if restored:
        transaction.on_commit(lambda: listings_stored.send_robust(sender=Listing, listing_ids=sorted(restored)))


def listings_dealt_with(rows: QuerySet[ImportedListing]) -> list[int]:
    """Return the listings that other rows point to, such as events, which would not be deleted with them."""
    listing_ids = rows.filter(is_new=True).values("listing_id")
    found: set[int] = set()
    for relation in Listing._meta.related_objects:
        if relation.on_delete is not CASCADE:
            name = relation.field.attname
            pointing = relation.related_model._base_manager.filter(**{f"{name}__in": listing_ids}).order_by()
            found.update(pointing.values_list(name, flat=True).distinct())
    return sorted(found)


def remove_listings(rows: QuerySet[ImportedListing]) -> None:
    """Delete listings with their dependent rows, by one statement for each table.

    Django's own deletion would first load every listing, which takes ten times as long.
    """
    listing_ids = rows.values("listing_id")
    for relation in Listing._meta.related_objects:
        if relation.on_delete is CASCADE:
            relation.related_model._base_manager.filter(**{f"{relation.field.attname}__in": listing_ids}).delete()
    listings = Listing.objects.filter(pk__in=listing_ids)
    listings._raw_delete(listings.db)


def count_outcomes(run: ImportRun) -> dict[str, int]:
    """Count a run's rows by outcome, by the columns of ``ImportUndo``."""
    counted = ImportedListing.objects.filter(run=run).exclude(outcome="").order_by().values_list("outcome")
    by_outcome = dict(counted.annotate(n=Count("pk")))
    return {
        "n_removed": by_outcome.get(REMOVED, 0),
        "n_withdrawn": by_outcome.get(WITHDRAWN, 0),
        "n_restored": by_outcome.get(RESTORED_AGAIN, 0),
        "n_left": sum(by_outcome.get(outcome, 0) for outcome in LEFT),
    }
