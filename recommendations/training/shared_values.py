"""Values that all workers of one machine read from one file, so that each of them has no copy of its own.

The arrays of a value are mapped and not read: a worker has in its memory what it has touched of them, and gives that
back after each piece of work (``give_back``), for the system keeps the file's pages anyway. They cannot be written to.
"""

from __future__ import annotations

import mmap
import os
import pickle
import uuid
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALIGNMENT = 64  # of each array in the file: what the widest registers of a processor hold
WORTH_GIVING_BACK = 2**23  # bytes; pages of less are kept, as it costs time to map them again

_read: dict[str, tuple[mmap.mmap, Any]] = {}  # by path, in this process


@dataclass(frozen=True, eq=False)
class SharedFile:
    """One value in a file; picklable, and then a few bytes.

    The file is removed when the object that ``written`` returned is gone; copies in other processes do not keep it.

    Attributes:
        path: Of the file: the arrays, and the pickled rest at its end.
        spans: Where each array begins and how many bytes it has, and the rest at last.
    """

    path: str
    spans: tuple[tuple[int, int], ...]

    @classmethod
    def written(cls, value: Any, folder: Path) -> SharedFile:
        """Writes a value that can be pickled."""
        buffers: list[pickle.PickleBuffer] = []
        rest = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        path, spans = folder / uuid.uuid4().hex, []
        with path.open("wb") as file:
            for content in (*(buffer.raw() for buffer in buffers), memoryview(rest)):
                begin = -(-file.tell() // ALIGNMENT) * ALIGNMENT
                file.seek(begin)
                file.write(content)
                spans.append((begin, content.nbytes))
        shared = cls(str(path), tuple(spans))
        weakref.finalize(shared, path.unlink, missing_ok=True)
        return shared

    def value(self) -> Any:
        """The value, read at the first call of a process; what other files have that are gone is forgotten by then."""
        if self.path not in _read:
            for path in [path for path in _read if not os.path.exists(path)]:
                del _read[path]
            with open(self.path, "rb") as file:
                content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            *arrays, rest = (memoryview(content)[begin : begin + size] for begin, size in self.spans)
            _read[self.path] = content, pickle.loads(rest, buffers=arrays)  # noqa: S301 (written by this training)
        return _read[self.path][1]


def read_values(arguments: tuple[Any, ...]) -> Iterator[Any]:
    """Arguments with the values of those that are shared files."""
    return (each.value() if isinstance(each, SharedFile) else each for each in arguments)


def give_back() -> None:
    """Takes the pages of large files out of this process's memory; they are mapped again where they are touched."""
    for content, _ in _read.values():
        if len(content) >= WORTH_GIVING_BACK and hasattr(mmap, "MADV_DONTNEED"):
            content.madvise(mmap.MADV_DONTNEED)
