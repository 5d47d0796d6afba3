"""Events, served lists and listings as Parquet files by day, in a folder or an object store.

A file appears under its name only when it is complete, and a day that has its file is not written again: an export that
was cut short goes on where it stopped. Needs the packages of requirements-export.txt, which the site itself does not.
"""

from __future__ import annotations

import os
import tempfile
import time as clock
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from django.db import transaction
from django.db.models import Min, QuerySet
from fsspec.implementations.local import LocalFileSystem

from recommender_site.operations.export_tables import SCHEMA_VERSION, Table

ROWS_AT_ONCE = 20_000  # in memory, and in a row group of a file
LEFT_OVER_SECONDS = 86_400
SETTLED = timedelta(hours=1)  # after its end a day is complete: late commits, lists still to be written, attributions
TYPES = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "decimal": pa.decimal128(12, 2),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class Written:
    """One file: its address, how many rows it has, and whether it was there already (then ``n_rows`` is 0)."""

    address: str
    n_rows: int
    is_skipped: bool


class Target:
    """A folder, or a bucket that fsspec reaches (``s3://bucket/prefix``)."""

    def __init__(self, url: str) -> None:
        self.files, root = fsspec.core.url_to_fs(url)
        self.root = root.rstrip("/")
        self._is_local = isinstance(self.files, LocalFileSystem)

    def path(self, table: Table, day: date) -> str:
        """As other tools read partitions: ``events/day=2026-11-28/events.parquet``."""
        return f"{self.root}/{table.name}/day={day:%Y-%m-%d}/{table.name}.parquet"

    def has(self, path: str) -> bool:
        return bool(self.files.exists(path))

    @contextmanager
    def new_file(self, path: str) -> Iterator[IO[bytes]]:
        """A file that appears under its path when the block ends well, whole, and not at all otherwise.

        Written beside its place and renamed; for an object store written here and sent, which makes it appear at once.
        """
        folder = Path(path).parent if self._is_local else None
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
        try:
            with open(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            self._publish(temporary, path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def _publish(self, temporary: str, path: str) -> None:
        if self._is_local:
            Path(temporary).chmod(0o640)
            os.replace(temporary, path)
            return
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.files.put_file(temporary, path)


def remove_leftovers(folder: Path) -> None:
    """Of exports that were killed a day ago or more; a younger one may still be written to."""
    for each in folder.glob(".*.part"):
        with suppress(FileNotFoundError):
            if each.stat().st_mtime < clock.time() - LEFT_OVER_SECONDS:
                each.unlink()


def export(
    tables: Iterable[Table], url: str, *, now: datetime, since: date | None = None, until: date | None = None,
    again: bool = False,
) -> Iterator[Written]:  # fmt: skip
    """Write every complete day that has no file yet; yields each file as it is there.

    Args:
        tables: Of ``export_tables.TABLES``.
        url: A folder, or an address that fsspec knows.
        now: Days end at midnight UTC, and are complete an hour later. Listings are those of now, under today.
        since: The first day; that of the oldest row when None.
        until: The last day; the last complete one when None, or when it is later than that.
        again: Write days anew that have a file; after an erasure, say.
    """
    target = Target(url)
    last = (now.astimezone(UTC) - SETTLED).date() - timedelta(days=1)
    for table in tables:
        days = days_of(table, since, min(until or last, last)) if table.day_of else [now.astimezone(UTC).date()]
        for day in days:
            path = target.path(table, day)
            if target.has(path) and not again:
                yield Written(path, 0, is_skipped=True)
                continue
            with target.new_file(path) as file:
                n_rows = write_day(table, day, file)
            yield Written(path, n_rows, is_skipped=False)


def days_of(table: Table, since: date | None, until: date) -> list[date]:
    """Each day from the first to the last, those without rows too: a file says that there were none."""
    if since is None:
        oldest = table.rows().order_by().aggregate(oldest=Min(table.day_of))["oldest"]
        if oldest is None:
            return []
        since = oldest.astimezone(UTC).date()
    return [since + timedelta(days=n) for n in range((until - since).days + 1)]


def rows_of(table: Table, day: date) -> QuerySet[Any]:
    if not table.day_of:
        return table.rows()
    begins = datetime.combine(day, time.min, UTC)
    return table.rows().filter(**{f"{table.day_of}__gte": begins, f"{table.day_of}__lt": begins + timedelta(days=1)})


def write_day(table: Table, day: date, file: IO[bytes]) -> int:
    """One file, read through a cursor of the server: memory holds ``ROWS_AT_ONCE`` rows whatever its size."""
    schema = schema_of(table)
    n_rows = 0
    with transaction.atomic(), pq.ParquetWriter(file, schema, compression="zstd") as writer:
        rows = rows_of(table, day).values_list(*(column.path for column in table.columns))
        for batch in in_batches(rows.iterator(chunk_size=ROWS_AT_ONCE), ROWS_AT_ONCE):
            writer.write_batch(as_batch(table, schema, batch))
            n_rows += len(batch)
    return n_rows


def in_batches(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def as_batch(table: Table, schema: Any, rows: list[tuple[Any, ...]]) -> Any:
    arrays = [
        pa.array([column.convert(value) for value in values], type=field.type)
        for column, field, values in zip(table.columns, schema, zip(*rows, strict=True), strict=True)
    ]
    return pa.record_batch(arrays, schema=schema)


def schema_of(table: Table) -> Any:
    """The schema of its files; each column carries what it says, as the docs have it."""
    fields = [
        pa.field(column.name, arrow_type(column.type), metadata={"description": column.says})
        for column in table.columns
    ]
    return pa.schema(fields, metadata={"forecourt.table": table.name, "forecourt.schema": str(SCHEMA_VERSION)})


def arrow_type(name: str) -> Any:
    if name.startswith("list<"):
        return pa.list_(TYPES[name[5:-1]])
    return TYPES[name]
