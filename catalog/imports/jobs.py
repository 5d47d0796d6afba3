"""Imports of uploaded files as background jobs: queued, claimed, carried on after a worker's death, cancelled.

The reading and storing is ``services.import_listings``, as for the command; this is the life of the job around it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from catalog.exceptions import FileRefused, ImportCancelled, ImportRefused, SourceBusy
from catalog.imports.reading import ImportOptions
from catalog.imports.store import import_listings
from catalog.imports.uploads import as_path
from catalog.models import ImportRun, UploadedFile

Status = ImportRun.Status
SILENCE_OF_THE_DEAD = timedelta(seconds=60)  # a living import reports every second, a batch takes a few
REPORT_SECONDS = 1.0
PATIENCE_SECONDS = 30.0  # for another import of the source; that of a killed worker lets go within moments
UNFINISHED = (Status.QUEUED, Status.RUNNING)
CAN_GO_ON = (Status.INTERRUPTED, Status.FAILED, Status.CANCELLED)


def queue_import(*, upload: UploadedFile, options: ImportOptions, started_by: User | None = None) -> ImportRun:
    """A run that waits for a worker; the caller hands it to the queue."""
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
    """What the run was asked, as a new run would be; ``changes`` replace single answers."""
    given: Mapping[str, Any] = {**run.options.get("given", {}), **changes}
    is_dry_run = bool(changes.get("is_dry_run", run.is_dry_run))
    asked = {name: value for name, value in given.items() if name != "is_dry_run"}
    return ImportOptions.of_given(asked, source=run.source, is_dry_run=is_dry_run)


def run_import(*, run_id: int) -> str:
    """Carry out a queued run, or carry on one whose worker died; says what came of it.

    A run that somebody else holds, or that has ended, is left alone. A refusal (a file that breaks off, say) becomes
    the run's error; anything else is noted and raised. A worker that is told to stop puts the run back.
    """
    if not claim(run_id):
        return "left to whoever holds it"
    run = ImportRun.objects.select_related("upload").get(pk=run_id)
    try:
        return carry_out(run)
    except ImportCancelled:
        return "cancelled"
    except SystemExit:  # the process is told to stop: whoever starts next goes on
        ImportRun.objects.filter(pk=run_id).update(status=Status.QUEUED, finished_at=None)
        raise
    except ImportRefused as refusal:
        end_as_failed(run_id, str(refusal))
        return str(refusal)
    except Exception as error:
        end_as_failed(run_id, f"{type(error).__name__}: {error}")
        raise


def carry_out(run: ImportRun) -> str:
    if run.upload is None:
        raise FileRefused("The file is not kept any more; upload it again.")
    options, deadline = options_of(run), time.monotonic() + PATIENCE_SECONDS
    with as_path(run.upload) as path:
        while True:
            try:
                done = import_listings(path=path, options=options, run=run, report=Progress())
            except SourceBusy:
                if time.monotonic() > deadline:
                    raise
                note(run.pk, step="Waiting for another import of this source")
                time.sleep(REPORT_SECONDS)
            else:
                ImportRun.objects.filter(pk=run.pk).update(progress=1, step="Done")
                return f"{done.listings_created} created, {done.listings_updated} updated"


class Progress:
    """Writes down how far an import is, at most once a second; this is its heartbeat too."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, position: int, size: int, run: ImportRun) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + REPORT_SECONDS
            share = min(position / size, 1.0) if size else 0.0
            if not note(run.pk, progress=share, step=f"{run.rows_read:,} rows read"):
                raise ImportCancelled("The import was cancelled.")


def note(run_id: int, **values: Any) -> bool:
    """Write progress and heartbeat; whether the run is still meant to run."""
    running = ImportRun.objects.filter(pk=run_id, status=Status.RUNNING)
    return bool(running.update(heartbeat_at=timezone.now(), **values))


@transaction.atomic
def claim(run_id: int) -> bool:
    """Take a queued run, or one whose process has been silent for so long that it must have died.

    Of an import the rows that are stored stay, and problems beyond them go, since those rows will be read again. A dry
    run begins anew.
    """
    now = timezone.now()
    dead = Q(status=Status.RUNNING, heartbeat_at__lt=now - SILENCE_OF_THE_DEAD)
    free = ImportRun.objects.filter(Q(status=Status.QUEUED) | dead, pk=run_id)
    if not free.update(status=Status.RUNNING, started_at=now, heartbeat_at=now, finished_at=None, error=""):
        return False
    run = ImportRun.objects.get(pk=run_id)
    if run.is_dry_run:
        run.options = {"given": run.options.get("given", {})}
        run.listings_created = run.listings_updated = run.listings_unchanged = 0
        run.save(update_fields=["options", "listings_created", "listings_updated", "listings_unchanged"])
    run.problems.filter(row_number__gt=run.options.get("records_stored", 0)).delete()
    return True


def dead_imports() -> list[int]:
    """Runs of uploaded files whose process was killed before it could say so."""
    silent = ImportRun.objects.filter(
        status=Status.RUNNING, upload__isnull=False, heartbeat_at__lt=timezone.now() - SILENCE_OF_THE_DEAD
    )
    return list(silent.values_list("pk", flat=True))


def cancel_import(*, run: ImportRun) -> bool:
    """Stop a run at its next batch; what is stored stays. Whether there was anything to stop."""
    unfinished = ImportRun.objects.filter(pk=run.pk, status__in=UNFINISHED)
    return bool(unfinished.update(status=Status.CANCELLED, finished_at=timezone.now()))


def continue_import(*, run: ImportRun) -> bool:
    """Queue a run that broke off, to go on behind the last row it stored; the caller hands it to the queue.

    Not while it is being undone, or after: then it would be neither.
    """
    broken_off = ImportRun.objects.filter(pk=run.pk, status__in=CAN_GO_ON, upload__isnull=False, undo=None)
    return bool(broken_off.update(status=Status.QUEUED, created_at=timezone.now(), finished_at=None))


def end_as_stopped(run_id: int) -> None:
    """A run that was broken off from outside: nothing about it is wrong, and it may be carried on."""
    told = "It was asked to stop, or took longer than a job may. “Carry on” brings the rest."
    ImportRun.objects.filter(pk=run_id, status=Status.FAILED).update(status=Status.INTERRUPTED, error=told)


def end_as_failed(run_id: int, error: str) -> None:
    unfinished = ImportRun.objects.filter(pk=run_id).exclude(status=Status.CANCELLED)
    unfinished.update(status=Status.FAILED, error=error, finished_at=timezone.now())
