"""The listing index as files, which the processes of a machine map into their memory instead of loading it each.

The process that loads the index from the database writes it down; the others, and those that start later, map the
files. What is mapped is one copy for all of them until a process writes to it: then the page that it writes to is its
own (copy-on-write). A process that maps files reads from the change log what happened since they were written, like any
index that has not looked for a while. Files that are too old for that, of another release, database, version or
setting, or that cannot be read, are left alone: then the index is loaded from the database.
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
    """An index as it was written down: its arrays, mapped, and all that is no array, as JSON has it."""

    arrays: Mapping[str, NDArray[Any]]
    rest: Mapping[str, Any]


def is_on() -> bool:
    return bool(settings.LISTING_INDEX_DIR)


def folder() -> Path:
    return settings.BASE_DIR / settings.LISTING_INDEX_DIR


@contextmanager
def only_one() -> Iterator[None]:
    """One process of the machine at a time: while one loads the index, the others wait for its files."""
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
    """What was written down of the index of a version, if it can still be used."""
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
    """An array whose memory is that of the file until it is written to; writing changes no file."""
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))


def write(version_id: int, shared: Shared) -> bool:
    """Write an index down in place of what was there of the version, and remove other versions; whether it worked.

    Processes that have mapped the old files keep them.
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
    """Seconds since the index of a version was written down; infinite where it was not."""
    try:
        return time.time() - (folder() / f"v{version_id}" / DESCRIPTION).stat().st_mtime
    except OSError:
        return float("inf")


def key_of(version_id: int) -> str:
    """Of all that decides what is in the files, beside what the change log says."""
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
    """A digest of the code that makes what is in the files: another release may make something else."""
    digest = hashlib.blake2b(np.__version__.encode(), digest_size=16)
    for pattern in MAKERS:
        for path in sorted(PROJECT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()
