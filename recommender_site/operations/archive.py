"""The file of a backup: a gzipped tar of ``manifest.json``, the rows of each table as COPY writes them, and
``contents.json``, which counts and digests them. With a passphrase all of it is sealed (``sealed``).

A backup without a passphrase is read by ``tar`` and ``psql`` as well: nothing in it depends on this program.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from recommender_site.operations.sealed import MAGIC, SealBroken, SealedReader, SealedWriter

FORMAT = 1
MANIFEST, CONTENTS = "manifest.json", "contents.json"
PART_BYTES = 8 << 20  # rows are cut into parts of this size, since tar wants to know a size before the bytes
GZIP_START = b"\x1f\x8b"
COMPRESSION = 3  # of 1 to 9: above it, a third more time buys a twentieth less space


class BackupRefused(ValueError):
    """The file is no backup of ours, is damaged, or needs a passphrase; the message says which."""


@dataclass
class Contents:
    """What a backup holds, table by table: rows, and the SHA-256 of their text."""

    n_rows: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)  # by a restore


class Writer:
    """Writes a backup as a stream: nothing is held but one part."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar, self.contents = tar, Contents()

    def add_manifest(self, manifest: dict[str, Any]) -> None:
        self._add(MANIFEST, as_json({"format": FORMAT, **manifest}))

    def add_table(self, name: str, rows: Iterable[bytes | memoryview]) -> None:
        """The rows of a table, each a line of COPY's text format."""
        digest, part, n_parts, n_rows = hashlib.sha256(), bytearray(), 0, 0
        for row in rows:
            digest.update(row)
            part += row
            n_rows += 1
            if len(part) >= PART_BYTES:
                n_parts += 1
                self._add(part_name(name, n_parts), bytes(part))
                part.clear()
        if part or not n_parts:
            self._add(part_name(name, n_parts + 1), bytes(part))
        self.contents.n_rows[name], self.contents.digests[name] = n_rows, digest.hexdigest()

    def add_contents(self) -> None:
        self._add(CONTENTS, as_json({"rows": self.contents.n_rows, "sha256": self.contents.digests}))

    def _add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), 0o600
        self._tar.addfile(member, io.BytesIO(content))


class Reader:
    """Reads a backup once, from front to back."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.manifest = self._read_manifest()
        self._digests: dict[str, Any] = {}

    def _read_manifest(self) -> dict[str, Any]:
        member = self._tar.next()
        if member is None or member.name != MANIFEST:
            raise BackupRefused("this is no backup of Forecourt: it does not begin with a manifest")
        manifest: dict[str, Any] = json.loads(self._content(member))
        if manifest.get("format") != FORMAT:
            raise BackupRefused(f"the backup has format {manifest.get('format')}; this release reads {FORMAT}")
        return manifest

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Tables and parts of their rows, in the order of the file. Ends with BackupRefused where something differs."""
        contents: dict[str, Any] | None = None
        for member in iter(self._tar.next, None):
            content = self._content(member)
            if member.name == CONTENTS:
                contents = json.loads(content)
                continue
            table = member.name.partition("/")[0]
            self._digests.setdefault(table, hashlib.sha256()).update(content)
            yield table, content
        self._compare(contents)

    def _compare(self, contents: dict[str, Any] | None) -> None:
        if contents is None:
            raise BackupRefused("the backup ends too early")
        found = {table: digest.hexdigest() for table, digest in self._digests.items()}
        if different := sorted(set(found.items()) ^ set(contents["sha256"].items())):
            raise BackupRefused(f"the rows of {different[0][0]} are not those that were saved")

    def _content(self, member: tarfile.TarInfo) -> bytes:
        file = self._tar.extractfile(member)
        return file.read() if file else b""


@contextlib.contextmanager
def create(path: str, passphrase: str = "") -> Iterator[Writer]:
    """A backup to write to, at a path or, as ``-``, to the standard output.

    A file appears under its name when it is whole and on the disk; before, and after a failure, there is none.
    """
    with destination(path) as file:
        sealed = SealedWriter(file, passphrase) if passphrase else None
        target: Any = sealed or file
        with (
            gzip.GzipFile(filename="", fileobj=target, mode="wb", compresslevel=COMPRESSION, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w|") as tar,
        ):
            writer = Writer(tar)
            yield writer
            writer.add_contents()
        if sealed:
            sealed.finish()


@contextlib.contextmanager
def destination(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    unfinished = Path(f"{path}.unfinished")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def read(path: str, passphrase: str = "") -> Iterator[Reader]:
    """A backup to read, from a path or, as ``-``, from the standard input. Raises BackupRefused."""
    with contextlib.ExitStack() as stack:
        file = sys.stdin.buffer if path == "-" else stack.enter_context(open(path, "rb"))
        source = unsealed(io.BufferedReader(file), passphrase)  # type: ignore[arg-type]
        try:
            with tarfile.open(fileobj=source, mode="r|gz") as tar:
                yield Reader(tar)
        except (tarfile.TarError, SealBroken, EOFError) as error:
            raise BackupRefused(f"the backup cannot be read: {error}") from error


def unsealed(file: io.BufferedReader, passphrase: str) -> Any:
    """The tar inside, decrypted where it has to be."""
    start = file.peek(len(MAGIC))
    if start.startswith(GZIP_START):
        return file
    if not start.startswith(MAGIC):
        raise BackupRefused("this is no backup of Forecourt")
    if not passphrase:
        raise BackupRefused("the backup is encrypted: set BACKUP_PASSPHRASE to the passphrase it was made with")
    file.read(len(MAGIC))
    return io.BufferedReader(SealedReader(file, passphrase))


def as_json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def part_name(table: str, number: int) -> str:
    return f"{table}/{number:06}.copy"
