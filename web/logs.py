"""The log as a file beside the console: one for all processes of a machine, rotated, and never with a secret in it."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from structlog.contextvars import get_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict

from web.redaction import redact, redact_values, spellings_of

MEGABYTE = 1024 * 1024
TAIL_BYTES = 64 * 1024  # enough for the last lines, however large the file
CONTEXT = ("request_id", "task_id")


class RedactingFormatter(logging.Formatter):
    """Lines, tracebacks included, without passwords, tokens and keys.

    ``%(context)s`` in the format is the ids of the request and the task that the line belongs to.
    """

    def __init__(self, *args: Any, secrets: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = spellings_of(secrets)

    def format(self, record: logging.LogRecord) -> str:
        ids = get_contextvars()
        record.context = "".join(f" {name}={ids[name]}" for name in CONTEXT if name in ids)
        return redact(super().format(record), self._known)


class JSONFormatter(ProcessorFormatter):
    """One JSON object per line, by structlog: message, level, logger, time, ids, ``extra`` and the traceback."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = spellings_of(secrets)

        def without_secrets(logger: Any, method_name: str, event: EventDict) -> EventDict:
            return dict(redact_values(event, known))  # before quotes are escaped

        super().__init__(
            processors=[
                ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                without_secrets,
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ],
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.stdlib.ExtraAdder(),
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
                structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.PROCESS]),
            ],
        )


class SharedRotatingFileHandler(RotatingFileHandler):
    """A rotating file that several processes write to.

    Each line is one write to a file opened for appending, which the kernel does not mix with another's. A process
    that finds the file full takes a lock before renaming it and looks again, since another one may have been faster;
    the others notice by its inode that the file they hold has been renamed, and open the new one. A folder that cannot
    be written to is reported once, and then the console has to do.
    """

    def __init__(self, filename: str | Path, max_megabytes: float, n_kept: int) -> None:
        self._is_off = False
        super().__init__(
            filename, maxBytes=int(max_megabytes * MEGABYTE), backupCount=n_kept, encoding="utf-8", delay=True
        )

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_off:
            super().emit(record)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802  (logging's name)
        self._follow()
        return not self._is_off and bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802  (logging's name)
        with self._lock_file():
            if not self._follow():
                super().doRollover()

    def _follow(self) -> bool:
        """Open the file anew if another process has rotated it; whether it had."""
        if self.stream is None:
            return False
        try:
            is_same = os.path.samestat(os.fstat(self.stream.fileno()), os.stat(self.baseFilename))
        except FileNotFoundError:
            is_same = False
        if not is_same:
            self.stream.close()
            self.stream = self._open()
        return not is_same

    def _open(self) -> TextIOWrapper:
        try:
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
            return super()._open()
        except OSError as problem:
            self._is_off = True
            print(f"cannot write the log to {self.baseFilename}: {problem.strerror}", file=sys.stderr)
            return open(os.devnull, "a", encoding="utf-8")

    @contextmanager
    def _lock_file(self) -> Iterator[None]:
        with open(f"{self.baseFilename}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def log_files(path: Path) -> list[Path]:
    """The log and what was rotated out of it, oldest first."""
    rotated = [file for file in path.parent.glob(f"{path.name}.*") if file.suffix[1:].isdigit()]
    return [*sorted(rotated, key=lambda file: -int(file.suffix[1:])), *([path] if path.exists() else [])]


def last_lines(path: Path, n: int) -> list[str]:
    """The newest lines of the log, oldest of them first, also when it has just been rotated."""
    lines: list[str] = []
    for file in reversed(log_files(path)):
        lines = _tail(file, n - len(lines)) + lines
        if len(lines) >= n:
            break
    return lines


def _tail(path: Path, n: int) -> list[str]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[1:][-n:] if size > TAIL_BYTES else lines[-n:]  # the first of a part may be half a line
