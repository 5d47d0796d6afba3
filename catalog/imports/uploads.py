"""Uploaded files of imports: stored in the database, compressed and in pieces, so that any worker can read them.

No process has a whole file in memory: Django keeps the upload in a temporary file, from which it goes piece by piece
into the database; a worker writes it piece by piece into a temporary file of its own.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.db import transaction

from accounts.models import User
from catalog.exceptions import FileRefused
from catalog.models import UploadedChunk, UploadedFile

CHUNK_BYTES = 1024 * 1024
CHUNKS_OF_A_LOOK = 4  # the beginning of a file holds its header and some rows
FASTEST = 1  # zlib level; a text shrinks to a quarter, in hardly any time


@transaction.atomic
def keep_file(*, file: File[Any], uploaded_by: User | None = None) -> UploadedFile:
    """Store an uploaded file. Raises FileRefused when it is empty, or larger than IMPORT_MAX_MB."""
    n_bytes = file.size or 0
    if n_bytes == 0:
        raise FileRefused(f"{file.name} is empty.")
    if n_bytes > settings.IMPORT_MAX_MB * 1024 * 1024:
        raise FileRefused(too_large(str(file.name)))
    kept = UploadedFile.objects.create(name=safe_name(file.name), n_bytes=n_bytes, uploaded_by=uploaded_by)
    for number, piece in enumerate(file.chunks(CHUNK_BYTES)):
        UploadedChunk.objects.create(file=kept, number=number, content=zlib.compress(piece, FASTEST))
    return kept


def too_large(name: str) -> str:
    return (
        f"{name} is too large: at most {settings.IMPORT_MAX_MB:,} MB are taken here. Compress it (gzip), split it, "
        "raise IMPORT_MAX_MB, or use “manage.py import_listings”."
    )


def safe_name(name: Any) -> str:
    """Return the last part of a path, safe as a file name."""
    last = str(name or "").replace("\\", "/").rpartition("/")[2].replace("\x00", "")
    return last[-255:] if last.strip(". ") else "upload"


@contextmanager
def as_path(upload: UploadedFile, *, only_beginning: bool = False) -> Iterator[Path]:
    """Yield the path of the file, under its own name in a temporary directory.

    ``only_beginning`` suffices to find the dialect; a zip archive is written as a whole, since its table of contents is
    at the end.

    Raises:
        FileRefused: When the file was swept.
    """
    pieces = upload.chunks.order_by("number").values_list("content", flat=True)
    if only_beginning and not upload.name.lower().endswith(".zip"):
        pieces = pieces[:CHUNKS_OF_A_LOOK]
    with tempfile.TemporaryDirectory(prefix="forecourt-import-") as directory:
        path = Path(directory) / upload.name
        with path.open("wb") as target:
            for piece in pieces.iterator(chunk_size=1):
                target.write(zlib.decompress(piece))
        if path.stat().st_size == 0:
            raise FileRefused(f"{upload.name} is not kept any more; upload it again.")
        yield path


def sweep_uploads(now: datetime) -> int:
    """Remove the pieces of files older than IMPORT_FILES_DAYS; the records of their runs stay."""
    old = UploadedFile.objects.filter(uploaded_at__lt=now - timedelta(days=settings.IMPORT_FILES_DAYS))
    old = old.exclude(runs__status__in=["queued", "running"])
    return sum(1 for file in old if file.delete())
