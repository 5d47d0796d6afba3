"""Store the cars of a file in batches, each a transaction, so that an interrupted run keeps what it stored."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection, transaction
from django.utils import timezone

from catalog.exceptions import SourceBusy
from catalog.imports import staging
from catalog.imports.absence import count_absent
from catalog.imports.dealers import keys_of
from catalog.imports.dialects import Record
from catalog.imports.found_again import remember_clues
from catalog.imports.headings import Column
from catalog.imports.known import KnownNames
from catalog.imports.listing_row import CUT, ListingRow, RowProblem
from catalog.imports.names import slug_of
from catalog.imports.reading import ImportOptions, Reading, open_reading
from catalog.models import BadRow, ImportProblem, ImportRun, Listing, Seller
from catalog.signals import listings_stored
from jobs.isolation import each_that_works
from jobs.work import TOOK_TOO_LONG, Attempt, JobCancelled, keep_heartbeat
from web.postgres.pooling import need_session

logger = logging.getLogger(__name__)

BATCH = "imports"  # label in the metric of rows left out
BATCH_ROWS = 5_000  # one transaction; small enough that its locks are short

STORED_PROBLEMS_PER_KIND = 10_000  # dropped values of one column for one reason; refused rows are all stored

LONGEST_BAD_ROW = 100_000  # characters of a row that is kept to be corrected

EXAMPLES_PER_KIND = 3

IS_REPEAT = "the car of an earlier row again, with other values; the earlier row was kept"

ANONYMOUS_SELLERS = {"dealer": "Dealer", "private": "Private seller"}

ACCOUNT = [
    "source", "options", "heartbeat_at", "rows_read", "listings_created", "listings_updated", "listings_unchanged",
    "rows_repeated", "rows_refused", "seen_at",
]  # fmt: skip

ABSENCE = ["absence", "listings_missing", "listings_ended"]


def import_listings(
    *,
    path: Path,
    options: ImportOptions | None = None,
    run: ImportRun | None = None,
    report: Callable[[int, int, ImportRun], None] = lambda position, size, run: None,
    opened: Callable[[Reading], None] = lambda reading: None,
) -> ImportRun:
    """Read a file and store its cars; the returned run has the outcome of every row.

    Rows are stored in batches of ``BATCH_ROWS``, each in a transaction of its own, so an interrupted run keeps what it
    stored, and reading the same file again ends in the state of an uninterrupted run. After each batch
    ``listings_stored`` is sent with the ids that are new or changed. A dry run does the same and rolls every batch
    back. ``report`` is called with (bytes read, bytes in the file, run) during the run, and ``opened`` once it is
    decided how the file is read, before anything is stored.

    A ``run`` that the caller made and marked as running is done or resumed: rows it has stored already are read again,
    which costs no more than reading, and neither stored nor counted twice.

    Raises:
        ImportRefused: The file cannot be read or its header is unknown; nothing was written. When it ends too early (a
            truncated archive), the run is marked as failed and its batches stay.
        JobCancelled: The run was cancelled; its batches stay.
    """
    with open_reading(path, options or ImportOptions()) as reading:
        opened(reading)
        if run is not None:
            return _Import(reading, run, report).run_through()
        run = ImportRun(is_dry_run=reading.options.is_dry_run, file_name=path.name[-255:])
        run.status, run.attempt, run.started_at = ImportRun.Status.RUNNING, 1, timezone.now()
        with keep_heartbeat(Attempt(run)):
            return _Import(reading, run, report).run_through()


class _Import:
    """One running import: reads records into rows, collects rows into batches, and counts."""

    def __init__(self, reading: Reading, run: ImportRun, report: Callable[[int, int, ImportRun], None]) -> None:
        self._reading, self._run, self._report = reading, run, report
        self._source, self._rows = reading.source, reading.rows
        self._batch: dict[str, staging.StagedRow] = {}
        self._problems = _ProblemBook()
        self._recovered: Counter[str] = Counter()
        self._names = KnownNames()
        self._waiting: list[staging.Identity] = []  # of rows that wait for an operator
        self._n_done = run.options.get("records_stored", 0)  # by a process that died; to be read, but not stored again
        self._number = 0
        seller = Seller.objects.filter(pk=reading.options.seller)
        self._seller_id = seller.values_list("pk", flat=True).first()  # None where the seller was removed since
        run.source = self._source
        kept = {name: run.options[name] for name in ("held", "version") if name in run.options}
        run.options = {**reading.describe(), **kept, "records_stored": self._n_done}
        run.seen_at = run.seen_at or timezone.now()  # one that is resumed is still the same delivery
        run.rows_read = run.rows_repeated = run.rows_refused = 0  # counted anew as they are read

    def run_through(self) -> ImportRun:
        with only_import_of(self._source, is_needed=not self._run.is_dry_run):
            if not self._run.is_dry_run:
                _mark_interrupted(self._source, but=self._run)
            self._run.save(update_fields=None if self._run.pk is None else ACCOUNT)
            try:
                with staging.staging_tables():
                    remember_clues(source=self._source, seen_at=self._run.seen_at or timezone.now())
                    self._read_all()
                self._count_absent()
            except BaseException as error:
                self._close(*_ending(error, self._run))
                raise
            self._close(ImportRun.Status.DONE)
        return self._run

    def _read_all(self) -> None:
        since = time.monotonic()
        for record in self._rows:
            self._number = record.number
            self._take(record)
            if self._is_batch_full():
                self._store()
            elif self._run.rows_read % 500 == 0 and time.monotonic() - since > 0.1:
                self._report(self._rows.position, self._rows.size, self._run)
                since = time.monotonic()
        self._store()

    def _count_absent(self) -> None:
        """End the listings that a complete file does not have, once all of it is stored."""
        if not self._reading.options.complete or self._run.is_dry_run:
            return
        with transaction.atomic():
            self._hold_run()
            count_absent(self._run, self._reading.options)
            self._run.save(update_fields=[*ACCOUNT, *ABSENCE])

    def _is_batch_full(self) -> bool:
        """Whether the batch ends here; it also ends where an earlier process had stopped, so that no batch is stored
        partly."""
        return len(self._batch) >= BATCH_ROWS or self._problems.is_full or self._number == self._n_done

    def _take(self, record: Record) -> None:
        self._run.rows_read += 1
        if record.broken:
            self._problems.add(record.number, [RowProblem("", "", record.broken, is_fatal=True)])
            self._run.rows_refused += 1
            return
        reading = self._reading.reader.read(record.cells)
        waits = reading.row is not None and self._waits(record.number, reading.row)
        problems = (*reading.problems, *([waits] if waits else []))
        self._problems.add(record.number, problems)
        self._recovered.update(reading.recovered)
        fingerprint = ""
        if waits or reading.row is None:
            self._run.rows_refused += 1
        else:
            fingerprint = self._stage(record.number, reading.row)
        if problems and any(cell.strip() for cell in record.cells):
            bad = BadRow(row_number=record.number, cells=[storable(cell) for cell in record.cells],
                         is_fatal=any(problem.is_fatal for problem in problems), fingerprint=fingerprint)  # fmt: skip
            self._problems.keep(bad, problems)

    def _waits(self, number: int, row: ListingRow) -> RowProblem | None:
        """Return why a row has to wait for an operator. The listing that it may have already counts as seen."""
        problem = problem_of_names(row, self._reading.options, self._reading.columns, self._names)
        if problem and not self._run.is_dry_run:
            self._waiting.append(staged_row(number, row, self._source, self._reading.options).identity)
        return problem

    def _stage(self, number: int, row: ListingRow) -> str:
        """Add a row to the batch, unless the batch has that car already; returns its fingerprint."""
        staged = staged_row(number, row, self._source, self._reading.options)
        if earlier := self._batch.get(staged.key):
            self._note_repeat(number, differs=earlier.content != staged.content)
            return ""
        self._batch[staged.key] = staged
        return staged.fingerprint

    def _note_repeat(self, number: int, *, differs: bool) -> None:
        """Count a repeated car. Its first row is kept: with the last one, reading a file twice would change prices
        twice."""
        self._run.rows_repeated += 1
        if differs:
            self._problems.add(number, [RowProblem("", "", IS_REPEAT)])

    def _store(self) -> None:
        """Store the batch with its problems and counts in one transaction."""
        rows = list(self._batch.values())
        if self._number <= self._n_done:
            each_that_works(rows, lambda part: self._note_repeats(staging.stage(part)), batch=BATCH)
            self._problems.forget_waiting()  # they are stored already, with the rows
        else:
            self._merge(rows)
        self._batch = {}
        self._report(self._rows.position, self._rows.size, self._run)

    def _merge(self, rows: list[staging.StagedRow]) -> None:
        with transaction.atomic():
            self._hold_run()
            results = each_that_works(rows, self._merge_some, batch=BATCH, on_fault=self._refuse) if rows else []
            result = staging.BatchResult.sum(results)
            if not self._run.is_dry_run:
                announce(result.created_ids + result.updated_ids)
                self._see_waiting()
            self._problems.store(self._run)
            self._save_account(result)

    def _see_waiting(self) -> None:
        if self._waiting:
            staging.see(
                source=self._source, identities=self._waiting, seen_at=self._run.seen_at or timezone.now(),
                seller_id=self._seller_id,
            )  # fmt: skip
        self._waiting = []

    def _merge_some(self, rows: Sequence[staging.StagedRow]) -> list[staging.BatchResult]:
        """Stage and merge some rows of a batch, in a savepoint, so that they can be tried again in two halves."""
        is_dry_run = self._run.is_dry_run
        with transaction.atomic():
            repeats = staging.stage(rows)
            with transaction.atomic():
                run_id = None if is_dry_run else self._run.pk
                currency = self._reading.conventions.currency
                seen_at = self._run.seen_at or timezone.now()
                result = staging.merge(
                    source=self._source, currency=currency, seen_at=seen_at, run_id=run_id,
                    seller_id=self._seller_id, are_ids_shared=True,
                )  # fmt: skip
                transaction.set_rollback(is_dry_run)
        self._note_repeats([*repeats, *result.repeated])
        return [result]

    def _note_repeats(self, repeats: Sequence[tuple[int, bool]]) -> list[staging.BatchResult]:
        for number, differs in repeats:
            self._note_repeat(number, differs=differs)
        return []

    def _refuse(self, row: staging.StagedRow, error: Exception) -> list[staging.BatchResult]:
        """Refuse a row that the database rejects, as any other refused row; the other rows are stored."""
        reason = f"the database does not take this row: {str(error).splitlines()[0]}"
        self._problems.add(row.number, [RowProblem("", "", reason, is_fatal=True)])
        self._run.rows_refused += 1
        return []

    def _hold_run(self) -> None:
        """Lock the run, so that it cannot be cancelled while a batch is stored; raises if it was cancelled."""
        if not Attempt(self._run).row().select_for_update().exists():
            raise JobCancelled("The import was cancelled, or another process has taken it.")

    def _save_account(self, result: staging.BatchResult) -> None:
        """Save all fields of the run but its status, which others may change."""
        run = self._run
        run.listings_created += len(result.created_ids)
        run.listings_updated += len(result.updated_ids)
        run.listings_unchanged += result.n_unchanged
        run.heartbeat_at = timezone.now()
        run.options["records_stored"] = self._number
        run.options["problems"] = self._problems.summary()
        run.options["recovered"] = dict(self._recovered.most_common(20))
        run.save(update_fields=ACCOUNT)

    def _close(self, status: ImportRun.Status | None, error: str = "") -> None:
        """Store how the run ended; if the database cannot be reached, the next run of this source will notice.

        Rows of an unfinished batch were not stored, so they do not count as read.
        """
        run, ended = (
            self._run,
            {} if status is None else {"status": status, "error": error, "finished_at": timezone.now()},
        )
        if status == ImportRun.Status.DONE:
            ended |= {"progress": 1, "step": ""}
        stored = run.listings_created + run.listings_updated + run.listings_unchanged
        run.rows_read = stored + run.rows_repeated + run.rows_refused
        try:
            with transaction.atomic():
                ours = ImportRun.objects.select_for_update().filter(pk=run.pk, attempt=run.attempt)
                if not ours.exclude(status=ImportRun.Status.QUEUED).exists():
                    return  # another process has claimed the run, and stores how it ends
                self._problems.store(run)
                self._number = run.options["records_stored"]
                self._save_account(staging.BatchResult())
                if ended:
                    ours.update(**ended)
                    run.refresh_from_db(fields=list(ended))
        except Exception:
            if status == ImportRun.Status.DONE:
                raise
            logger.exception("import %s could not write down how it ended", self._run.pk)


class _ProblemBook:
    """Problems on their way to the database: few in memory, all counted, with examples of each kind.

    Rows that an operator can correct are stored with them, as in the file.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[int, RowProblem]] = []
        self._rows: dict[int, BadRow] = {}
        self._counts: Counter[tuple[str, str, bool]] = Counter()
        self._examples: dict[tuple[str, str, bool], list[str]] = {}

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= BATCH_ROWS

    def add(self, row_number: int, problems: Iterable[RowProblem]) -> None:
        for problem in problems:
            kind = (problem.column, problem.reason, problem.is_fatal)
            self._counts[kind] += 1
            examples = self._examples.setdefault(kind, [])
            if len(examples) < EXAMPLES_PER_KIND and problem.value[:80] not in examples:
                examples.append(problem.value[:80])
            if problem.is_fatal or self._counts[kind] <= STORED_PROBLEMS_PER_KIND:
                self._waiting.append((row_number, problem))

    def keep(self, row: BadRow, problems: Iterable[RowProblem]) -> None:
        """Keep a row to be corrected, unless there are very many with the same problems, or it is very long."""
        kinds = ((problem.column, problem.reason, problem.is_fatal) for problem in problems if can_be_mended(problem))
        is_one_of_few = any(self._counts[kind] <= STORED_PROBLEMS_PER_KIND for kind in kinds)
        if is_one_of_few and sum(map(len, row.cells)) <= LONGEST_BAD_ROW:
            self._rows[row.row_number] = row

    def store(self, run: ImportRun) -> None:
        store_problems(run, self._waiting)
        for row in self._rows.values():
            row.run = run
        BadRow.objects.bulk_create(self._rows.values(), batch_size=1_000)
        self._waiting, self._rows = [], {}

    def forget_waiting(self) -> None:
        """Drop collected problems, which an earlier process has stored."""
        self._waiting, self._rows = [], {}

    def summary(self) -> list[dict[str, Any]]:
        """Return the kinds of problems, most frequent first."""
        return [
            {
                "column": storable(column),
                "reason": reason,
                "is_fatal": is_fatal,
                "count": count,
                "examples": [storable(example) for example in self._examples[column, reason, is_fatal]],
            }
            for (column, reason, is_fatal), count in self._counts.most_common(50)
        ]


def store_problems(run: ImportRun, problems: Iterable[tuple[int, RowProblem]]) -> None:
    ImportProblem.objects.bulk_create(
        [
            ImportProblem(
                run=run,
                row_number=number,
                column=problem.column[:120],
                value=storable(problem.value)[:255],
                reason=problem.reason[:255],
                is_fatal=problem.is_fatal,
            )
            for number, problem in problems
        ],
        batch_size=1_000,
    )


def can_be_mended(problem: RowProblem) -> bool:
    """Whether another value, or the meaning of a word, would help: not where a text was only shortened."""
    return problem.is_fatal or (bool(problem.column) and not problem.reason.startswith(CUT))


def problem_of_names(
    row: ListingRow, options: ImportOptions, columns: Sequence[Column], names: KnownNames
) -> RowProblem | None:
    """Return the problem of a make or model that has to wait for an operator."""
    unknown = None if options.new_makes else names.unknown(row)
    if unknown is None:
        return None
    heading = next((column.heading for column in columns if column.field == unknown.field), unknown.field)
    name = unknown.name if unknown.field == "make" else f"{row.make} {unknown.name}"
    return RowProblem(heading, name, unknown.reason, is_fatal=True)


def fingerprint_of(row: ListingRow, options: ImportOptions) -> str:
    """Return the fingerprint of a row without an id; "" for one that has an id."""
    return "" if row.external_id else row.digest(options.key)


def staged_row(
    number: int, row: ListingRow, source: str, options: ImportOptions, fingerprint: str | None = None
) -> staging.StagedRow:
    """Return a row to be stored; ``fingerprint`` where it is not the row's own."""
    content = row.digest()
    own = "" if row.external_id else row.digest(options.key) if options.key else content
    own = own if fingerprint is None else fingerprint
    key = staging.key_of(row.external_id) if row.external_id else own
    seller_key = "" if options.seller else _seller_key(source, row, key)
    if row.external_id and (row.seller_id or row.seller_name):  # two dealers may use one number
        key = staging.key_of(f"{row.external_id}\x1f{seller_key}")
    keys = keys_of(row) if seller_key else ()
    return staging.StagedRow(number, _with_seller_name(row), key, content, own, seller_key, keys)


def storable(text: str) -> str:
    """Remove the characters that PostgreSQL cannot store: NUL and half of a surrogate pair."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _seller_key(source: str, row: ListingRow, key: str) -> str:
    """Return our id of the seller: by the source's own id, else by name, else a seller of this car only."""
    if row.seller_id:
        return f"{source}/{row.seller_id}"[:255]
    if row.seller_name:
        return f"{source}/{slug_of(row.seller_name)}/{slug_of(row.place)}"[:255]
    return f"{source}/of/{key}" if row.seller_kind else ""


def _with_seller_name(row: ListingRow) -> ListingRow:
    if row.seller_name or not (row.seller_id or row.seller_kind):
        return row
    return replace(row, seller_name=ANONYMOUS_SELLERS[row.seller_kind or "dealer"])


def announce(listing_ids: list[int]) -> None:
    """Send ``listings_stored`` once the batch is committed; a receiver that fails is logged and does not stop the
    import."""
    if listing_ids:
        transaction.on_commit(lambda: _send_stored(listing_ids))


def _send_stored(listing_ids: list[int]) -> None:
    for receiver, answer in listings_stored.send_robust(sender=Listing, listing_ids=listing_ids):
        if isinstance(answer, Exception):
            logger.error("%r failed on stored listings", receiver, exc_info=answer)


def _ending(error: BaseException, run: ImportRun) -> tuple[ImportRun.Status | None, str]:
    """Return the status and the error of a run that was not finished; no status where another worker resumes it."""
    if isinstance(error, JobCancelled):
        return ImportRun.Status.CANCELLED, ""
    if isinstance(error, SoftTimeLimitExceeded):  # not the fault of the file
        return ImportRun.Status.INTERRUPTED, f"{TOOK_TOO_LONG} “Resume” brings the rest."
    if isinstance(error, Exception):
        return ImportRun.Status.FAILED, str(error) or type(error).__name__
    if isinstance(error, SystemExit) and run.upload_id:
        return None, ""
    return ImportRun.Status.INTERRUPTED, ""  # Ctrl-C, or the supervisor's SIGTERM


def _mark_interrupted(source: str, *, but: ImportRun) -> None:
    """Mark other running runs of this source as interrupted: we hold its lock, so their processes are dead."""
    running = ImportRun.objects.filter(source=source, status=ImportRun.Status.RUNNING, is_dry_run=False)
    running.exclude(pk=but.pk).update(status=ImportRun.Status.INTERRUPTED, finished_at=timezone.now())


class only_import_of:  # noqa: N801 -- reads as a phrase in a with statement
    """Lock a source against a second import; PostgreSQL releases the lock with the connection, even on kill -9."""

    def __init__(self, source: str, *, is_needed: bool) -> None:
        self._name, self._is_needed = f"forecourt.import.{source}", is_needed

    def __enter__(self) -> None:
        if self._is_needed:
            need_session("an import")
        if self._is_needed and not self._ask("pg_try_advisory_lock"):
            raise SourceBusy("This source is being imported already; wait for that run to end.")

    def __exit__(self, *exception: object) -> None:
        if self._is_needed:
            try:
                self._ask("pg_advisory_unlock")
            except Exception:
                logger.warning("the import's lock ends with its connection", exc_info=True)

    def _ask(self, function: str) -> bool:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(hashtextextended(%s, 0))", [self._name])
            return bool(cursor.fetchone()[0])
