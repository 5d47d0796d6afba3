"""Read bad rows of an import again, after an operator has corrected them (``teaching``).

The rows are merged as rows of their own run: counts, records and rollback stay those of one import.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile

from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from accounts.models import User
from catalog.exceptions import ImportRefused, MendRefused
from catalog.imports import staging
from catalog.imports.cells import UNKNOWN_STATUS
from catalog.imports.jobs import options_of, when_source_is_free
from catalog.imports.known import KnownNames
from catalog.imports.listing_row import ListingRow, RowProblem
from catalog.imports.options import SELLERS, SOURCE
from catalog.imports.reading import reader_again
from catalog.imports.store import (
    IS_REPEAT,
    announce,
    can_be_mended,
    fingerprint_of,
    only_import_of,
    problem_of_names,
    staged_row,
    store_problems,
)
from catalog.imports.teaching import edited_cells
from catalog.models import BadRow, ImportMend, ImportRun, Listing, Seller
from jobs.queue import enqueue_on_commit
from jobs.work import Attempt, outcome, perform

CHUNK_ROWS = 1_000
REPEATED = "repeated"

# A listing that the run had changed before keeps its first record, with the values after the last change.
_FORGET_STEPS = """
WITH step AS (
    SELECT later.id, earlier.id AS earlier_id, later.stored_at
    FROM catalog_importedlisting later JOIN catalog_importedlisting earlier
        ON earlier.run_id = later.run_id AND earlier.listing_id = later.listing_id AND earlier.id < later.id
    WHERE later.run_id = %(run)s AND later.row_number = ANY(%(numbers)s)
      AND (later.before ->> 'updated_at')::timestamptz = earlier.stored_at
), moved AS (
    UPDATE catalog_importedlisting i SET stored_at = step.stored_at FROM step WHERE i.id = step.earlier_id
)
DELETE FROM catalog_importedlisting i USING step WHERE i.id = step.id
"""


def mend_problem(run: ImportRun) -> str:
    """Return why rows of a run cannot be read again; "" when they can."""
    if run.is_unfinished:
        return "The import has not ended yet."
    if hasattr(run, "undo"):
        return "The import was undone."
    if "headings" not in run.options:
        return "An earlier release read this file, and kept no rows of it."
    if run.mends.unfinished().exists():
        return "Rows of it are being read again already."
    return overtaken_problem(run)


def overtaken_problem(run: ImportRun) -> str:
    """Return why the cars of a run's rows may be gone by now: a later complete file replaced it.

    A file that is complete for its feed's only seller does not concern other sellers' cars.
    """
    if run.is_dry_run or run.seen_at is None:
        return ""
    done = ImportRun.objects.filter(source=run.source, status=ImportRun.Status.DONE, is_dry_run=False)
    later = done.filter(seen_at__gt=run.seen_at, options__given__complete__in=(SOURCE, SELLERS)).exclude(pk=run.pk)
    read = later.exclude(options__has_key="is_unmodified").exclude(undo__status=ImportRun.Status.DONE)
    ours = options_of(run).seller
    for each in read.order_by("-seen_at"):
        theirs = options_of(each)
        if theirs.complete == SOURCE or ours in (0, theirs.seller) or not theirs.seller:
            return f"{each.file_name}, a later complete file of this source, was read: mend the rows of that import."
    return ""


@transaction.atomic
def queue_mend(*, run: ImportRun, rows: QuerySet[BadRow], started_by: User | None = None) -> ImportMend:
    """Queue rows of a run to be read again. Raises MendRefused with the reason."""
    run = ImportRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    if problem := mend_problem(run):
        raise MendRefused(problem)
    mend = ImportMend.objects.create(run=run, started_by=started_by)
    mend.n_rows = BadRow.objects.filter(run=run, pk__in=rows.values("pk")).update(mend=mend)
    if not mend.n_rows:
        raise MendRefused("None of these rows is left.")
    mend.save(update_fields=["n_rows"])
    enqueue_on_commit(ImportMend.TASK, mend.pk)
    return mend


def run_mend(*, mend_id: int) -> str:
    """Run a queued job, or resume one whose worker died; returns its outcome."""
    perform(ImportMend, mend_id, _mend_in_chunks, refusals=(ImportRefused,))
    mend = ImportMend.objects.get(pk=mend_id)
    return outcome(mend, f"{mend.n_mended} mended, {mend.n_left} still bad")


def _mend_in_chunks(attempt: Attempt[ImportMend]) -> None:
    """Read the rows again while no other import of the source is running."""
    run = ImportRun.objects.get(pk=attempt.job.run_id)
    if hasattr(run, "undo"):
        raise MendRefused("The import was undone.")

    def mend() -> None:
        with only_import_of(run.source, is_needed=not run.is_dry_run), staging.staging_tables():
            _mend_each_chunk(attempt, run)

    when_source_is_free(attempt, mend)
    attempt.finish()


def _mend_each_chunk(attempt: Attempt[ImportMend], run: ImportRun) -> None:
    """Read the rows chunk by chunk, each in a transaction; a row leaves the job with its chunk, so none is read
    twice."""
    if problem := overtaken_problem(run):
        raise MendRefused(problem)
    mend, mending = attempt.job, _Mending(run)
    while chunk := list(BadRow.objects.filter(mend=mend).order_by("row_number")[:CHUNK_ROWS]):
        with transaction.atomic():
            n_left = mending.read_again(chunk)
            mend.n_left += n_left
            mend.n_mended += len(chunk) - n_left
            n_done = mend.n_left + mend.n_mended
            attempt.report(
                n_done / max(mend.n_rows, n_done), f"{n_done:,} rows", n_left=mend.n_left, n_mended=mend.n_mended
            )


@dataclass
class _Read:
    """A bad row as it is read now: a row to store, or None where it is still refused; and its problems."""

    bad: BadRow
    row: ListingRow | None
    problems: tuple[RowProblem, ...]
    fingerprint: str = ""

    @property
    def is_mended(self) -> bool:
        return not any(map(can_be_mended, self.problems))


class _Mending:
    """Reads rows of one run again, with its current options."""

    def __init__(self, run: ImportRun) -> None:
        self._run, self._options = run, options_of(run)
        self._columns, self._reader = reader_again(self._options, run.options)
        self._names = KnownNames()
        seller = Seller.objects.filter(pk=self._options.seller)
        self._seller_id = seller.values_list("pk", flat=True).first()

    def read_again(self, chunk: Sequence[BadRow]) -> int:
        """Store the rows that can be stored now, with their records; returns how many are still bad. Call it in a
        transaction."""
        reads = [self._read(bad) for bad in chunk]
        became: dict[int, str] = {}  # row number -> created, updated or repeated
        by_key: dict[str, staging.StagedRow] = {}
        for read in reads:
            if read.row is not None and (read.bad.is_fatal or not self._run.is_dry_run):
                staged = self._staged(read, read.row)
                if by_key.setdefault(staged.key, staged) is not staged:
                    became[read.bad.row_number] = REPEATED
        listings = self._listings_of(list(by_key.values()), reads)
        became |= dict.fromkeys(self._of_earlier_rows(listings, chunk), REPEATED)
        decided = self._decided_since(list(listings.values()))
        first = [row for row in by_key.values() if row.number not in became]
        if not self._run.is_dry_run:
            self._find_by_new_fingerprint(first)
        rows = [row for row in first if listings.get(row.number) not in decided]
        self._count(reads, became | self._merge(self._on_sale(rows, listings)))
        self._note_problems(reads)
        return sum(not read.is_mended for read in reads)

    def _staged(self, read: _Read, row: ListingRow) -> staging.StagedRow:
        known_by = None if row.external_id else read.fingerprint
        return staged_row(read.bad.row_number, row, self._run.source, self._options, known_by)

    def _read(self, bad: BadRow) -> _Read:
        as_sent = self._reader.read(bad.cells)
        reading = self._reader.read(edited_cells(bad)) if bad.edits else as_sent
        if reading.row is None:
            return _Read(bad, None, reading.problems)
        if waits := problem_of_names(reading.row, self._options, self._columns, self._names):
            return _Read(bad, None, (*reading.problems, waits))
        # the next file has the row as it was sent, and has to find this listing by it
        known_by = fingerprint_of(as_sent.row or reading.row, self._options)
        return _Read(bad, reading.row, reading.problems, known_by)

    def _listings_of(self, rows: Sequence[staging.StagedRow], reads: Sequence[_Read]) -> dict[int, int]:
        """Return by row number the existing listing, found by the row's current values or by those when it was
        stored."""
        was = {read.bad.row_number: read.bad.fingerprint for read in reads if read.bad.fingerprint}
        now = [(row.number, row.identity) for row in rows]
        before = [
            (number, identity._replace(fingerprint=was[number]))
            for number, identity in now
            if number in was and not identity.external_id
        ]
        return staging.find_listings(source=self._run.source, identities=[*now, *before], seller_id=self._seller_id)

    def _of_earlier_rows(self, listings: dict[int, int], chunk: Sequence[BadRow]) -> set[int]:
        """Return numbers of rows whose car another row of the file was stored for: that one is kept, as in an
        import."""
        numbers = [bad.row_number for bad in chunk]
        said = self._run.problems.filter(row_number__in=numbers, reason=IS_REPEAT)
        stored: dict[int, set[int]] = {}
        notes = self._run.imported.filter(listing_id__in=set(listings.values()), row_number__gt=0)
        for listing_id, number in notes.values_list("listing_id", "row_number"):
            stored.setdefault(listing_id, set()).add(number)
        repeats = set(said.values_list("row_number", flat=True))
        return {
            number
            for number, listing_id in listings.items()
            if number in repeats or number not in stored.get(listing_id, {number})
        }

    def _decided_since(self, listing_ids: Sequence[int]) -> set[int]:
        """Return those of the listings that a later file has, or that others have changed since the run.

        They are newer than the row, and are left as they are, as in a rollback. They are locked, so that none changes
        before the rows are merged; call it in a transaction.
        """
        seen_at, locked = self._run.seen_at, Listing.objects.filter(pk__in=listing_ids).order_by("pk")
        if seen_at is None:
            return set()
        rows = list(locked.select_for_update().values_list("pk", "last_seen_at", "updated_at"))
        changed = {pk: updated_at for pk, _, updated_at in rows if updated_at > seen_at}
        ours = set(self._run.imported.filter(listing_id__in=changed).values_list("listing_id", "stored_at"))
        again = times_seen_again(self._run)
        seen = {pk for pk, last, _ in rows if last and last > seen_at and last not in again}
        return seen | {pk for pk, updated_at in changed.items() if (pk, updated_at) not in ours}

    def _on_sale(self, rows: Sequence[staging.StagedRow], listings: dict[int, int]) -> list[staging.StagedRow]:
        """Make a draft live whose unknown status word was taught to mean nothing."""
        kept_back = set(self._run.problems.filter(
            row_number__in=[row.number for row in rows], reason=UNKNOWN_STATUS
        ).values_list("row_number", flat=True))  # fmt: skip
        drafts = set(Listing.objects.filter(
            pk__in=[listings[number] for number in kept_back if number in listings], status=Listing.Status.DRAFT
        ).values_list("pk", flat=True))  # fmt: skip
        return [
            replace(row, row=replace(row.row, status="live"))
            if row.number in kept_back and not row.row.status and listings.get(row.number) in drafts
            else row
            for row in rows
        ]

    def _merge(self, rows: Sequence[staging.StagedRow]) -> dict[int, str]:
        """Merge the rows into the catalogue; returns by row number created, updated or repeated."""
        if not rows:
            return {}
        run, is_dry_run = self._run, self._run.is_dry_run
        with transaction.atomic():
            repeats = staging.stage(rows)
            result = staging.merge(
                source=run.source, currency=run.options["currency"], seen_at=run.seen_at or timezone.now(),
                run_id=None if is_dry_run else run.pk, seller_id=self._seller_id, are_ids_shared=True,
            )  # fmt: skip
            transaction.set_rollback(is_dry_run)
        repeated = dict.fromkeys((number for number, _ in (*repeats, *result.repeated)), REPEATED)
        if is_dry_run:
            others = (row.number for row in rows if row.number not in repeated)
            return repeated | dict(zip(others, ["created"] * len(result.created_ids), strict=False))
        announce(result.created_ids + result.updated_ids)
        numbers = [row.number for row in rows]
        became = {
            number: "created" if is_new else "updated"
            for number, is_new in run.imported.filter(
                row_number__in=numbers, listing_id__in=[*result.created_ids, *result.updated_ids]
            ).order_by("pk").values_list("row_number", "is_new")
        }  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(_FORGET_STEPS, {"run": run.pk, "numbers": numbers})
        return repeated | became

    def _find_by_new_fingerprint(self, rows: Sequence[staging.StagedRow]) -> None:
        """Give a listing without an id the fingerprint of its row's current values."""
        was = dict(BadRow.objects.filter(run=self._run, row_number__in=[row.number for row in rows]).exclude(
            fingerprint="").values_list("row_number", "fingerprint"))  # fmt: skip
        of_source = Listing.objects.filter(source=self._run.source, external_id=None)
        for row in rows:
            before = was.get(row.number)
            if before and before != row.fingerprint and not of_source.filter(fingerprint=row.fingerprint).exists():
                of_source.filter(fingerprint=before).update(fingerprint=row.fingerprint)

    def _count(self, reads: Sequence[_Read], became: dict[int, str]) -> None:
        """Update the run's counts by rows that were refused and are stored now; others were counted when they were
        read first."""
        stored = [read for read in reads if read.bad.is_fatal and read.row is not None]
        n = Counter(became.get(read.bad.row_number, "unchanged") for read in stored)
        ImportRun.objects.filter(pk=self._run.pk).update(
            rows_refused=F("rows_refused") - len(stored),
            rows_repeated=F("rows_repeated") + n[REPEATED],
            listings_created=F("listings_created") + n["created"],
            listings_updated=F("listings_updated") + n["updated"],
            listings_unchanged=F("listings_unchanged") + n["unchanged"],
        )

    def _note_problems(self, reads: Sequence[_Read]) -> None:
        """Replace the problems of rows that are still bad; corrected rows leave the list."""
        numbers = [read.bad.row_number for read in reads]
        self._run.problems.filter(row_number__in=numbers).exclude(reason=IS_REPEAT).delete()
        store_problems(self._run, ((read.bad.row_number, problem) for read in reads for problem in read.problems))
        BadRow.objects.filter(pk__in=[read.bad.pk for read in reads if read.is_mended]).delete()
        left = [read for read in reads if not read.is_mended]
        for read in left:
            read.bad.mend, read.bad.is_fatal, read.bad.fingerprint = None, read.row is None, read.fingerprint
        BadRow.objects.bulk_update([read.bad for read in left], ["mend", "is_fatal", "fingerprint"], batch_size=500)


def times_seen_again(run: ImportRun) -> set[datetime]:
    """Return the times at which the run's feed had the same file again."""
    if run.feed_id is None:
        return set()
    later = ImportRun.objects.filter(
        feed=run.feed_id, status=ImportRun.Status.DONE, is_dry_run=False, seen_at__gt=run.seen_at
    )
    rows = later.order_by("seen_at").values_list("seen_at", "options__is_unmodified")
    return {seen_at for seen_at, _ in takewhile(lambda row: bool(row[1]), rows)}
