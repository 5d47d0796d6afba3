"""Imports of uploaded files as background jobs: queued, claimed, resumed after a crash, cancelled.

``store.import_listings`` reads and stores, as for the command; this module is the job around it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from accounts.models import User
from catalog.exceptions import FileRefused, ImportRefused, SourceBusy
from catalog.imports.feeds import fetch_file, note_version, see_again
from catalog.imports.options import ImportOptions
from catalog.imports.store import import_listings
from catalog.imports.uploads import as_path
from catalog.models import ImportRun, UploadedFile
from jobs.work import Attempt, outcome, perform, requeue

Status = ImportRun.Status
REPORT_SECONDS = 1.0
PATIENCE_SECONDS = 30.0  # wait for another import of the source; a killed worker's lock is free within seconds
CONTINUABLE = (Status.INTERRUPTED, Status.FAILED, Status.CANCELLED)


def queue_import(*, upload: UploadedFile, options: ImportOptions, started_by: User | None = None) -> ImportRun:
    """Create a queued run; the caller enqueues its task."""
    return ImportRun.objects.create(
        upload=upload,
        file_name=upload.name,
        source=options.source,
        is_dry_run=options.is_dry_run,
        options={"given": options.given()},
        status=Status.QUEUED,
        started_by=started_by,
    )


def options_of(run: ImportRun, **changes: Any) -> ImportOptions:
    """Return the options of a run for a new run; ``changes`` replace single ones."""
    given: Mapping[str, Any] = {**run.options.get("given", {}), **changes}
    is_dry_run = bool(changes.get("is_dry_run", run.is_dry_run))
    asked = {name: value for name, value in given.items() if name != "is_dry_run"}
    return ImportOptions.of_given(asked, source=run.source, is_dry_run=is_dry_run)


def run_import(*, run_id: int) -> str:
    """Run a queued import, or resume one whose worker died; returns its outcome.

    A refusal (such as a truncated file) becomes the run's error; other errors are noted and raised.
    """
    perform(ImportRun, run_id, carry_out, refusals=(ImportRefused,))
    run = ImportRun.objects.get(pk=run_id)
    return outcome(run, f"{run.listings_created} created, {run.listings_updated} updated")


def carry_out(attempt: Attempt[ImportRun]) -> None:
    run = attempt.job
    if run.upload is None and run.is_fetched:
        attempt.write(step="Fetching the file")
        if not fetch_file(run):
            see_again(run)
            attempt.finish()
            return
    if run.upload is None:
        raise FileRefused("The file is not kept any more; upload it again.")
    delete_rows_read_again(run)
    options = options_of(run)
    with as_path(run.upload) as path:
        when_source_is_free(
            attempt, lambda: import_listings(path=path, options=options, run=run, report=Progress(attempt))
        )
    note_version(run)


def when_source_is_free(attempt: Attempt[Any], work: Callable[[], object]) -> None:
    """Call ``work`` when no other import of the source is running. Raises SourceBusy when that takes longer than
    ``PATIENCE_SECONDS``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            work()
        except SourceBusy:
            if time.monotonic() > deadline:
                raise
            attempt.write(step="Waiting for another import of this source")
            time.sleep(REPORT_SECONDS)
        else:
            return


class Progress:
    """Stores the progress of an import, at most once a second."""

    def __init__(self, attempt: Attempt[ImportRun]) -> None:
        self._attempt, self._next = attempt, 0.0

    def __call__(self, position: int, size: int, run: ImportRun) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + REPORT_SECONDS
            self._attempt.report(min(position / size, 1.0) if size else 0.0, f"{run.rows_read:,} rows read")


def delete_rows_read_again(run: ImportRun) -> None:
    """Delete problems of rows beyond the last stored one, which are read again. A dry run starts again from the
    beginning."""
    if run.is_dry_run:
        run.options = {"given": run.options.get("given", {})}
        run.listings_created = run.listings_updated = run.listings_unchanged = 0
        run.save(update_fields=["options", "listings_created", "listings_updated", "listings_unchanged"])
    for rows in (run.problems, run.bad_rows):
        rows.filter(row_number__gt=run.options.get("records_stored", 0)).delete()


def continue_import(*, run: ImportRun) -> bool:
    """Queue an interrupted run, to continue after the last row it stored; the caller enqueues its task.

    An import that is being undone, or was undone, is not continued.
    """
    broken_off = ImportRun.objects.filter(ImportRun.RESUMABLE, pk=run.pk, status__in=CONTINUABLE, undo=None)
    return requeue(broken_off)
