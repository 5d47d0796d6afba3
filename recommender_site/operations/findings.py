"""The outcome of one look of ``manage.py doctor``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is; the worst one is the command's exit code, as monitoring systems read it (Nagios)."""

    OK = 0
    WARNING = 1
    PROBLEM = 2


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do; a finding that is no OK always says what to do."""

    name: str
    level: Level
    is_so: str
    remedy: str = ""


Look = Callable[[], Iterable[Finding]]


def ok(name: str, is_so: str) -> Finding:
    return Finding(name, Level.OK, is_so)


def warning(name: str, is_so: str, remedy: str) -> Finding:
    return Finding(name, Level.WARNING, is_so, remedy)


def problem(name: str, is_so: str, remedy: str) -> Finding:
    return Finding(name, Level.PROBLEM, is_so, remedy)
