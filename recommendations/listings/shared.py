"""The listing index as files that the processes of one machine map into memory.

The process that loads the index from the database writes the files; the other processes, and those that start later,
map them. Mapped memory is shared by all processes until one writes to a page: that page is then copied for it
(copy-on-write). A process that maps files then reads the change log since the files were written, as any index does
that has not been refreshed for a while. Files are ignored, and the index is loaded from the database, if they are too
old, cannot be read, or belong to another release, database, version or setting.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from numpy.typing import NDArray

from catalog.currencies import exchange_rates

logger = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[2]
MAKERS = (  # modules that decide what is in the files
    "catalog/*.py", "recommendations/engine/**/*.py", "recommendations/listings/**/*.py",
    "recommendations/models/**/*.py",
)  # fmt: skip
USABLE_SECONDS = 1500.0  # lines of changes are swept after an hour, and an index older than half of that loads anew
RENEWED_AFTER_SECONDS = 900.0
DESCRIPTION = "description.json"

DATABASE = """
SELECT pg_postmaster_start_time()::text, current_database(),
    (SELECT oid FROM pg_database WHERE datname = current_database()),
    'catalog_listing'::regclass::oid, 'recommendations_listingvector'::regclass::oid
"""


@dataclass(frozen=True, eq=False)
class Shared:
    """An index read from its files: mapped arrays, and the values from JSON that are not arrays."""

    arrays: Mapping[str, NDArray[Any]]
    rest: Mapping[str, Any]


def is_on() -> bool:
    return bool(settings.LISTING_INDEX_DIR)


def folder() -> Path:
    return settings.BASE_DIR / settings.LISTING_INDEX_DIR


@contextmanager
def only_one() -> Iterator[None]:
    """Hold a lock of the machine: while one process loads the index, the others wait for its files."""
    try:
        folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = open(folder() / "lock", "w")  # noqa: SIM115 (closed below)
    except OSError as problem:
        logger.warning("the listing index is not shared: %s", problem)
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read(version_id: int) -> Shared | None:
    """Return the stored index of a version, or None if there is none that can be used."""
    try:
        path = folder() / f"v{version_id}"
        description = json.loads((path / DESCRIPTION).read_text())
        age = time.time() - description["written_at"]
        if description["key"] != key_of(version_id) or not 0 <= age < USABLE_SECONDS:
            return None
        arrays = {name: mapped(path / description["arrays"] / f"{name}.npy") for name in description["names"]}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as problem:
        logger.warning("the files of the listing index cannot be read: %s", problem)
        return None
    return Shared(arrays, description["rest"])


def mapped(path: Path) -> NDArray[Any]:
    """Map the array of a file into memory; writing to the array does not change the file."""
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def write(version_id: int, shared: Shared) -> bool:
    """Write the files of an index, replace those of the same version, and remove those of other versions.

    Processes that have mapped the old files keep them.

    Returns:
        Whether the files were written.
    """
    path, arrays = folder() / f"v{version_id}", uuid.uuid4().hex
    description = {
        "key": key_of(version_id),
        "written_at": time.time(),
        "arrays": arrays,
        "names": list(shared.arrays),
        "rest": shared.rest,
    }
    try:
        (path / arrays).mkdir(parents=True, mode=0o700)
        for name, array in shared.arrays.items():
            np.save(path / arrays / f"{name}.npy", array, allow_pickle=False)
        unfinished = path / f"{arrays}.json"
        unfinished.write_text(json.dumps(description))
        os.replace(unfinished, path / DESCRIPTION)
        remove_others(path, arrays)
    except OSError as problem:  # a disk that is full, above all
        logger.warning("the listing index cannot be written down: %s", problem)
        shutil.rmtree(path / arrays, ignore_errors=True)
        return False
    return True


def remove_others(path: Path, arrays: str) -> None:
    for other in folder().iterdir():
        if other.is_dir() and other != path:
            shutil.rmtree(other, ignore_errors=True)
    for old in path.iterdir():
        if old.is_dir() and old.name != arrays:
            shutil.rmtree(old, ignore_errors=True)


def age_of(version_id: int) -> float:
    """Seconds since the index of a version was written; infinite if there is none."""
    try:
        return time.time() - (folder() / f"v{version_id}" / DESCRIPTION).stat().st_mtime
    except OSError:
        return float("inf")


def key_of(version_id: int) -> str:
    """A digest of everything that determines the files, except for the changes in the change log."""
    with connection.cursor() as cursor:
        cursor.execute(DATABASE)
        database = cursor.fetchone()
    said = {
        "version": version_id,
        "database": list(database),
        "rates": dict(exchange_rates()),
        "limits": [settings.WINDOW_MAX_LISTINGS, settings.WINDOW_LOOKBACK_DAYS],
        "release": release(),
    }
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()


@cache
def release() -> str:
    """A digest of the code that makes the files; files of another release are not used."""
    digest = hashlib.blake2b(np.__version__.encode(), digest_size=16)
    for pattern in MAKERS:
        for path in sorted(PROJECT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()
