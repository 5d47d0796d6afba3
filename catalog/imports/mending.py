"""Bad rows of an import: an operator corrects a value, or says what a word or a heading means, and they are read again.

What is taught goes into the profile of the run's feed, so that its next files are read the same way. The rows are
merged as rows of their own run: its counts, its account of what it did, and its undoing stay those of one import.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import takewhile
from typing import Any

from django.db import connection, transaction
from django.db.models import CharField, Count, F, Func, QuerySet, Value
from django.utils import timezone

from accounts.models import User
from catalog.exceptions import ImportRefused, MendRefused, SourceBusy
from catalog.imports import staging
from catalog.imports.headings import HeaderReader
from catalog.imports.jobs import PATIENCE_SECONDS, REPORT_SECONDS, options_of
from catalog.imports.known import WAITS, KnownNames, admit
from catalog.imports.names import known_makes, near_makes, near_models, slug_of, split_make
from catalog.imports.options import SELLERS, SOURCE, ImportOptions
from catalog.imports.reading import reader_again
from catalog.imports.rows import UNKNOWN_STATUS, ListingRow, RowProblem
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
from catalog.imports.vocabulary import TEACHABLE, bare
from catalog.models import BadRow, Feed, ImportMend, ImportRun, Listing, Seller
from jobs.queue import enqueue_on_commit
from jobs.work import Attempt, outcome, perform

CHUNK_ROWS = 1_000
REPEATED = "repeated"

# A listing that the run had touched before keeps the first account of it, with what the run left in the end.
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


# --- What an operator says -------------------------------------------------------------------------------------------
def feed_of(run: ImportRun) -> Feed | None:
    """The profile that learns what is taught: that of the run, else the only one of its source."""
    if run.feed:
        return run.feed
    same = list(Feed.objects.filter(source=run.source)[:2]) if run.source else []
    return same[0] if len(same) == 1 else None


@transaction.atomic
def teach_word(*, run: ImportRun, field: str, word: str, value: str) -> None:
    """Say what a word means: '' for nothing. Raises ImportRefused for a value that its field cannot have."""
    key = word if field == "model" else bare(word)
    if not key:
        raise MendRefused("There is no word in it that could mean something.")
    _change(run, lambda options: options.with_word(field, key, value))


@transaction.atomic
def teach_heading(*, run: ImportRun, heading: str, target: str) -> None:
    """Say what a column is. Raises ImportRefused for what is no field, or no column of the file."""
    HeaderReader(mapping=options_of(run).mapping, pairs={heading: target}).columns(run.options.get("headings", ()))
    _change(run, lambda options: options.with_column(heading, target))


@transaction.atomic
def teach_name(*, run: ImportRun, field: str, name: str, known: str, make: str = "") -> None:
    """Say which known make or model a name is; where ``known`` is the name itself, it becomes known from now on."""
    if not known.strip():
        raise MendRefused("Say which name it is.")
    if slug_of(known) == slug_of(name):
        admit(field, name, make=known_makes()[make].name if make in known_makes() else make)
        _change(run, lambda options: options)  # the feed's file means something else now
    elif field == "make":
        teach_word(run=run, field="make", word=name, value=known)
    else:
        teach_word(run=run, field="model", word=f"{slug_of(make)}/{slug_of(name)}", value=known)


def _change(run: ImportRun, change: Any) -> None:
    """Change how a run is read, and its feed's files from now on."""
    locked = ImportRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    locked.options["given"] = change(options_of(locked)).given()
    locked.save(update_fields=["options"])
    run.options = locked.options
    if feed := feed_of(run):
        feed = Feed.objects.select_for_update(of=("self",)).get(pk=feed.pk)
        given = change(ImportOptions.of_given(feed.options, source=feed.source, is_dry_run=False)).given()
        Feed.objects.filter(pk=feed.pk).update(options=given, etag="", last_modified="")


@transaction.atomic
def edit_row(*, bad: BadRow, values: dict[int, str]) -> None:
    """Keep what an operator wrote instead of single cells; what is as the file has it is no edit."""
    cells = [*bad.cells, *[""] * (max(values, default=-1) + 1 - len(bad.cells))]
    bad.edits = {str(index): text for index, text in values.items() if text != cells[index]}
    bad.save(update_fields=["edits"])


# --- The job ---------------------------------------------------------------------------------------------------------
def mend_problem(run: ImportRun) -> str:
    """Why rows of a run cannot be read again; empty when they can."""
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
    """Why a run's rows may be those of cars that are gone by now: a later file says all that there is.

    A file that is complete for the one seller of its feed says nothing of the cars of another one.
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
    """Hand rows of a run to a worker, to be read again. Raises MendRefused with the reason."""
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
    """Do a queued mending, or resume one whose worker died; returns its outcome."""
    perform(ImportMend, mend_id, _mend_in_chunks, refusals=(ImportRefused,))
    mend = ImportMend.objects.get(pk=mend_id)
    return outcome(mend, f"{mend.n_mended} mended, {mend.n_left} still bad")


def _mend_in_chunks(attempt: Attempt[ImportMend]) -> None:
    """Chunk by chunk, each one transaction; a row leaves the job with its chunk, so that none is read twice."""
    mend = attempt.job
    run = ImportRun.objects.get(pk=mend.run_id)
    if hasattr(run, "undo"):
        raise MendRefused("The import was undone.")
    with _source_held(attempt, run), staging.staging_tables():
        if problem := overtaken_problem(run):
            raise MendRefused(problem)
        mending = _Mending(run)
        while chunk := list(BadRow.objects.filter(mend=mend).order_by("row_number")[:CHUNK_ROWS]):
            with transaction.atomic():
                n_left = mending.read_again(chunk)
                mend.n_left += n_left
                mend.n_mended += len(chunk) - n_left
                n_done = mend.n_left + mend.n_mended
                attempt.report(
                    n_done / max(mend.n_rows, n_done), f"{n_done:,} rows", n_left=mend.n_left, n_mended=mend.n_mended
                )
    attempt.finish()


@contextmanager
def _source_held(attempt: Attempt[ImportMend], run: ImportRun) -> Iterator[None]:
    """No other import of the source while the block lasts; one that is under way is waited for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    lock = only_import_of(run.source, is_needed=not run.is_dry_run)
    while True:
        try:
            lock.__enter__()
            break
        except SourceBusy:
            if time.monotonic() > deadline:
                raise
            attempt.write(step="Waiting for another import of this source")
            time.sleep(REPORT_SECONDS)
    try:
        yield
    finally:
        lock.__exit__()


@dataclass
class _Read:
    """A bad row as it is read now: a row to be stored, or None where it is still refused; and what is bad about it."""

    bad: BadRow
    row: ListingRow | None
    problems: tuple[RowProblem, ...]
    fingerprint: str = ""

    @property
    def is_mended(self) -> bool:
        return not any(map(can_be_mended, self.problems))


class _Mending:
    """Reads rows of one run again, as its options say by now."""

    def __init__(self, run: ImportRun) -> None:
        self._run, self._options = run, options_of(run)
        self._columns, self._reader = reader_again(self._options, run.options)
        self._names = KnownNames()
        seller = Seller.objects.filter(pk=self._options.seller)
        self._seller_id = seller.values_list("pk", flat=True).first()

    def read_again(self, chunk: Sequence[BadRow]) -> int:
        """Store what can be stored now, with the account of it; how many rows are still bad. In a transaction."""
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
        """Row number -> the listing that it has already, by what the row says now, or said when it was stored."""
        was = {read.bad.row_number: read.bad.fingerprint for read in reads if read.bad.fingerprint}
        now = [(row.number, row.identity) for row in rows]
        before = [
            (number, identity._replace(fingerprint=was[number]))
            for number, identity in now
            if number in was and not identity.external_id
        ]
        return staging.find_listings(source=self._run.source, identities=[*now, *before], seller_id=self._seller_id)

    def _of_earlier_rows(self, listings: dict[int, int], chunk: Sequence[BadRow]) -> set[int]:
        """Numbers of rows for cars that another row of the file was stored for: that one is kept, as in an import."""
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
        """Those of these listings that a later file has, or that anything but this run has changed since.

        They know more than the row does, and are left as they are; the rule is that of undoing. In a transaction: they
        are locked, so that none changes before the rows are merged.
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
        """A draft goes on sale once what kept it back, a status that was not known, is known to say nothing."""
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
        """Bring the rows into the catalogue; row number -> created, updated or repeated."""
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
        """A listing without an id that was stored before is known by what its row says now."""
        was = dict(BadRow.objects.filter(run=self._run, row_number__in=[row.number for row in rows]).exclude(
            fingerprint="").values_list("row_number", "fingerprint"))  # fmt: skip
        of_source = Listing.objects.filter(source=self._run.source, external_id=None)
        for row in rows:
            before = was.get(row.number)
            if before and before != row.fingerprint and not of_source.filter(fingerprint=row.fingerprint).exists():
                of_source.filter(fingerprint=before).update(fingerprint=row.fingerprint)

    def _count(self, reads: Sequence[_Read], became: dict[int, str]) -> None:
        """The run's counts: of rows that were refused and are stored now; others were counted when it read them."""
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
        """What is still bad replaces what was; rows that are mended leave the list."""
        numbers = [read.bad.row_number for read in reads]
        self._run.problems.filter(row_number__in=numbers).exclude(reason=IS_REPEAT).delete()
        store_problems(self._run, ((read.bad.row_number, problem) for read in reads for problem in read.problems))
        BadRow.objects.filter(pk__in=[read.bad.pk for read in reads if read.is_mended]).delete()
        left = [read for read in reads if not read.is_mended]
        for read in left:
            read.bad.mend, read.bad.is_fatal, read.bad.fingerprint = None, read.row is None, read.fingerprint
        BadRow.objects.bulk_update([read.bad for read in left], ["mend", "is_fatal", "fingerprint"], batch_size=500)


def times_seen_again(run: ImportRun) -> set[datetime]:
    """When the feed of a run had the very same file once more: what was seen then is in no other file since."""
    if run.feed_id is None:
        return set()
    later = ImportRun.objects.filter(
        feed=run.feed_id, status=ImportRun.Status.DONE, is_dry_run=False, seen_at__gt=run.seen_at
    )
    rows = later.order_by("seen_at").values_list("seen_at", "options__is_unmodified")
    return {seen_at for seen_at, _ in takewhile(lambda row: bool(row[1]), rows)}


def edited_cells(bad: BadRow) -> list[str]:
    """The row's cells, with what an operator wrote instead of them."""
    cells = [str(cell) for cell in bad.cells]
    for index, text in bad.edits.items():
        cells += [""] * (int(index) + 1 - len(cells))
        cells[int(index)] = text
    return cells


# --- What is bad, by kind --------------------------------------------------------------------------------------------
KINDS_SHOWN, VALUES_SHOWN = 30, 30
_REASON = Func(F("reason"), Value("; nearest"), Value(1), function="split_part", output_field=CharField())


@dataclass(frozen=True)
class Kind:
    """Rows of a run that are bad for one reason in one column; ``field`` is what can be taught, or ''."""

    column: str
    reason: str
    n_rows: int
    field: str

    @property
    def key(self) -> str:
        """A short name for forms and addresses."""
        return hashlib.blake2b(f"{self.column}\x1f{self.reason}".encode(), digest_size=8).hexdigest()


def kinds_of(run: ImportRun) -> list[Kind]:
    """The kinds of a run's bad rows that are left, the commonest first."""
    counted = _problems(run).values_list("column", "said").annotate(n=Count("row_number", distinct=True))
    columns = run.options.get("columns", {})
    return [
        Kind(column, reason, n, _teachable(columns.get(column, column), reason))
        for column, reason, n in counted.order_by("-n", "column", "said")[:KINDS_SHOWN]
    ]


def _problems(run: ImportRun) -> QuerySet[Any]:
    problems: QuerySet[Any] = run.problems.annotate(said=_REASON).filter(
        row_number__in=run.bad_rows.values("row_number")
    )
    return problems.order_by()


def _teachable(target: str, reason: str) -> str:
    """The field whose words would mend this: of a name that waits, or of a word that a vocabulary does not have."""
    for field in ("make", "model"):
        if reason == f"the {field} {WAITS}":
            return field
    is_unknown_word = reason.startswith("not a known ") or reason == UNKNOWN_STATUS
    return target if is_unknown_word and target in TEACHABLE and TEACHABLE[target] else ""


def values_of(run: ImportRun, kind: Kind) -> list[tuple[str, int]]:
    """The commonest values of a kind, with how many rows have each."""
    counted = _of_kind(run, kind).exclude(value="").values_list("value").annotate(n=Count("row_number", distinct=True))
    return list(counted.order_by("-n", "value")[:VALUES_SHOWN])


def rows_of(run: ImportRun, kind: Kind, values: Sequence[str] = ()) -> QuerySet[BadRow]:
    """The rows of a kind, or those of them that have one of these values."""
    problems = _of_kind(run, kind)
    if values:
        problems = problems.filter(value__in=values)
    return run.bad_rows.filter(row_number__in=problems.values("row_number")).order_by("row_number")


def _of_kind(run: ImportRun, kind: Kind) -> QuerySet[Any]:
    return _problems(run).filter(column=kind.column, said=kind.reason)


def suggestions(field: str, value: str) -> tuple[str, ...]:
    """Known names that an unknown one may be a typing error of; a model's value has its make before it."""
    if field == "make":
        return near_makes(value)
    make, model = split_make(value)
    return near_models(make, model)


def teach_value(*, run: ImportRun, field: str, value: str, means: str) -> None:
    """Say what a value of a kind means: a known name, or for other fields one of their values, '' for nothing."""
    if field == "make":
        teach_name(run=run, field=field, name=value, known=means)
    elif field == "model":
        make, model = split_make(value)
        teach_name(run=run, field=field, name=model, known=means, make=make)
    else:
        teach_word(run=run, field=field, word=value, value=means)
