"""Other people's files -> events and items as arrays. No database.

An event file has a row per event: user, item, time, and perhaps a weight or a kind. An item file has a row per item,
with whatever columns there are. Both are CSV in UTF-8, also gzipped; the delimiter is found in the first line.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import eq, ge, gt, le, lt, ne
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from recommendations.engine.arrays import Floats
from recommendations.engine.demand import SECONDS_A_DAY
from recommendations.evaluation.item_content import content_features
from recommendations.evaluation.item_events import ItemCatalogue, ItemEvents

DELIMITERS = ("\t", "::", ";", ",")  # in this order, as a comma may well be in a text
# An epoch of so much or more counts finer units than seconds, of which it has so many: 1e11 seconds are the year 5138.
EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {"<=": le, ">=": ge, "!=": ne, "<": lt, ">": gt, "=": eq}
PATTERNS = {"~": True, "!~": False}
CONDITION = re.compile(r"^\s*(?P<column>.+?)\s*(?P<operator>!~|~|<=|>=|!=|=|<|>)\s*(?P<value>.*?)\s*$")


class FileRefused(ValueError):
    """A file or an option of it makes no sense; the text says where and why."""


@dataclass(frozen=True)
class Condition:
    """Which rows to keep: ``Quantity > 0``, ``Country = Germany``, ``InvoiceNo !~ ^C`` (a regular expression).

    Numbers are compared as numbers where the value is one; a cell that is not a number then fails.
    """

    column: str
    operator: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Raises FileRefused when it is no condition."""
        found = CONDITION.match(text)
        if not found:
            raise FileRefused(f"“{text}” is no condition; write one like “Quantity > 0” or “InvoiceNo !~ ^C”")
        condition = cls(found["column"], found["operator"], found["value"])
        if condition.operator in PATTERNS:
            try:
                re.compile(condition.value)
            except re.error as problem:
                raise FileRefused(f"“{condition.value}” is no regular expression: {problem}") from problem
        elif condition.operator not in ("=", "!=") and as_number(condition.value) is None:
            raise FileRefused(f"“{text}” compares with “{condition.value}”, which is no number")
        return condition

    def test(self) -> Callable[[str], bool]:
        """The condition under which a cell is kept."""
        if self.operator in PATTERNS:
            pattern, wanted = re.compile(self.value), PATTERNS[self.operator]
            return lambda cell: bool(pattern.search(cell)) is wanted
        compare, number = COMPARISONS[self.operator], as_number(self.value)
        if number is None:
            return lambda cell: compare(cell, self.value)
        return lambda cell: (own := as_number(cell)) is not None and compare(own, number)


@dataclass(frozen=True)
class Columns:
    """What the columns of an event file are called, and how its rows are read.

    Attributes:
        user, item, time: Columns every event needs; a row with one of them empty is left out and counted.
        weight: Column with the strength of each event; rows at or below 0 are left out and counted.
        kind: Column with the kind of each event.
        weight_by_kind: Weight of each kind; a kind that is not named is left out and counted.
        where: Only rows that fulfil all of these.
        time_format: As for ``strptime``; without it, ISO 8601 or since 1970 in seconds, milliseconds,
            microseconds or nanoseconds. UTC.
        header: Names of the columns of a file whose first line is data already.
        delimiter: When it is not to be found out.
    """

    user: str = "user"
    item: str = "item"
    time: str = "time"
    weight: str | None = None
    kind: str | None = None
    weight_by_kind: Mapping[str, float] = field(default_factory=dict)
    where: tuple[Condition, ...] = ()
    time_format: str | None = None
    header: tuple[str, ...] = ()
    delimiter: str | None = None


@dataclass(frozen=True, eq=False)
class EventFile:
    """What was read.

    Attributes:
        name: Of the file.
        events: Days are counted from 1970.
        user_ids, item_ids: Name of each row, as the file has it.
        left_out: Reason -> rows that were not read.
    """

    name: str
    events: ItemEvents
    user_ids: NDArray[np.str_]
    item_ids: NDArray[np.str_]
    left_out: Mapping[str, int]


def as_number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def read_event_file(path: Path, columns: Columns) -> EventFile:
    """Every event of a file, oldest first. Raises FileRefused if it cannot be read, lacks a column, holds a time or
    weight that is none (naming the line), or no row remains."""
    users, items, days, weights = [], [], [], []
    left_out: Counter[str] = Counter()
    with table_in(path, columns.header, columns.delimiter) as (header, rows):
        reader = _EventReader(header, columns, path)
        for line, row in rows:
            if reason := reader.reason_to_leave_out(row):
                left_out[reason] += 1
                continue
            day, weight = reader.day_and_weight(row, line)
            if weight <= 0:
                left_out["without a positive weight"] += 1
                continue
            users.append(row[reader.user])
            items.append(row[reader.item])
            days.append(day)
            weights.append(weight)
    if not users:
        reasons = "; ".join(f"{n} rows {reason}" for reason, n in left_out.items())
        raise FileRefused(f"{path.name} holds no event to learn from" + (f" ({reasons})" if reasons else ""))
    return _as_arrays(path.name, users, items, np.array(days), np.array(weights), left_out)


class _EventReader:
    """The columns of an event's cells in a row, and their formats."""

    def __init__(self, header: list[str], columns: Columns, path: Path) -> None:
        self._path = path
        self.user, self.item, self._time = (
            column_in(header, name, path) for name in (columns.user, columns.item, columns.time)
        )
        self._weight = column_in(header, columns.kind or columns.weight or columns.time, path)
        self._tests = [(column_in(header, one.column, path), one.test(), one) for one in columns.where]
        self._day_of, self._weight_of = _time_reader(columns.time_format), _weight_reader(columns)

    def reason_to_leave_out(self, row: list[str]) -> str:
        """Empty for a row to be read."""
        for at, holds, condition in self._tests:
            if not holds(row[at]):
                return f"that do not fulfil “{condition.column} {condition.operator} {condition.value}”"
        for name, at in (("user", self.user), ("item", self.item), ("time", self._time)):
            if not row[at]:
                return f"without a {name}"
        return ""

    def day_and_weight(self, row: list[str], line: int) -> tuple[float, float]:
        try:
            return self._day_of(row[self._time]), self._weight_of(row[self._weight])
        except (ValueError, OverflowError) as problem:
            raise FileRefused(f"{self._path.name}, line {line}: {problem}") from problem


def _as_arrays(
    name: str, users: list[str], items: list[str], days: Floats, weights: Floats, left_out: Mapping[str, int]
) -> EventFile:
    user_ids, user_rows = np.unique(users, return_inverse=True)
    item_ids, item_rows = np.unique(items, return_inverse=True)
    order = np.argsort(days, kind="stable")
    events = ItemEvents(user_rows[order], item_rows[order], days[order], weights[order], len(user_ids), len(item_ids))
    return EventFile(name, events, user_ids, item_ids, dict(left_out))


def _time_reader(time_format: str | None) -> Callable[[str], float]:
    known: dict[str, float] = {}  # invoices have many lines of one time, and parsing is what takes long

    def read(cell: str) -> float:
        if cell not in known:
            known[cell] = day_of(cell, time_format)
        return known[cell]

    return read


def day_of(cell: str, time_format: str | None = None) -> float:
    """Days since 1970 of a time as text. Raises ValueError when it is none."""
    if time_format:
        moment = datetime.strptime(cell, time_format)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() / SECONDS_A_DAY
    number = as_number(cell)
    if number is not None and np.isfinite(number) and len(cell) != len("20111109"):  # a date without dashes is ISO
        n_a_second = next((unit for least, unit in EPOCH_UNITS if abs(number) >= least), 1.0)
        return number / n_a_second / SECONDS_A_DAY
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        raise ValueError(f"“{cell}” is no time in ISO 8601 and no epoch; name its --time-format") from None
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() / SECONDS_A_DAY


def _weight_reader(columns: Columns) -> Callable[[str], float]:
    if columns.kind:
        return lambda cell: columns.weight_by_kind.get(cell, 1.0 if not columns.weight_by_kind else 0.0)
    if not columns.weight:
        return lambda cell: 1.0

    def read(cell: str) -> float:
        number = as_number(cell)
        if number is None or not np.isfinite(number):
            raise ValueError(f"“{cell}” is no weight")
        return number

    return read


@dataclass(frozen=True)
class ItemColumns:
    """What is read of an item file.

    Attributes:
        item: Column with the name that events know the item by. Where a name is repeated, the last row counts.
        features: Columns to learn likeness from; all others when empty.
        ignored: Columns to leave out of these.
        listed_at, ended_at: Columns with the times at which an item could first and last be had; empty for always.
        price: Column for the baseline "newest in budget", which also needs ``listed_at``.
        time_format, header, delimiter: As in ``Columns``.
    """

    item: str = "item"
    features: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    listed_at: str | None = None
    ended_at: str | None = None
    price: str | None = None
    time_format: str | None = None
    header: tuple[str, ...] = ()
    delimiter: str | None = None


@dataclass(frozen=True, eq=False)
class ItemFile:
    """An item file beside the events it goes with.

    Attributes:
        file: The events, with a row for every item of either file.
        catalogue: What is known of the items.
    """

    file: EventFile
    catalogue: ItemCatalogue


def read_item_file(path: Path, columns: ItemColumns, file: EventFile) -> ItemFile:
    """The items, those without an event included; an item of the events that the file lacks has no content.

    Raises:
        FileRefused: As ``read_event_file``.
    """
    with table_in(path, columns.header, columns.delimiter) as (header, rows):
        at = column_in(header, columns.item, path)
        named = [*columns.features, *columns.ignored, columns.listed_at, columns.ended_at, columns.price]
        for name in named:
            if name:
                column_in(header, name, path)
        row_by_name = {row[at]: row for _, row in rows if row[at]}
    names = np.unique(np.concatenate([file.item_ids, np.array(list(row_by_name), np.str_)]))
    empty = [""] * len(header)
    found = [row_by_name.get(name, empty) for name in names.tolist()]
    cells = {name: [row[column] for row in found] for column, name in enumerate(header)}
    used = columns.features or tuple(
        name for name in header if name not in {columns.item, columns.listed_at, columns.ended_at, *columns.ignored}
    )
    known = [as_number(cell) for cell in cells[columns.price]] if columns.price else None
    catalogue = ItemCatalogue(
        _days_in(cells, columns.listed_at, -np.inf, columns, path),
        _days_in(cells, columns.ended_at, np.inf, columns, path),
        content_features({name: cells[name] for name in used}, len(names)) if used else None,
        None if known is None else np.array([np.nan if one is None else one for one in known]),
    )
    return ItemFile(_widened(file, names), catalogue)


def _widened(file: EventFile, names: NDArray[np.str_]) -> EventFile:
    """The same events among more items."""
    old = file.events
    items = np.searchsorted(names, file.item_ids)[old.items]
    events = ItemEvents(old.users, items, old.days, old.weights, old.n_users, len(names))
    return EventFile(file.name, events, file.user_ids, names, file.left_out)


def _days_in(
    cells: Mapping[str, list[str]], column: str | None, missing: float, columns: ItemColumns, path: Path
) -> NDArray[np.float64]:
    if not column:
        return np.full(len(next(iter(cells.values()))), missing)
    read = _time_reader(columns.time_format)
    try:
        return np.array([read(cell) if cell else missing for cell in cells[column]])
    except (ValueError, OverflowError) as problem:
        raise FileRefused(f"{path.name}, column {column}: {problem}") from problem


# Files


@contextmanager
def table_in(
    path: Path, header: Sequence[str] = (), delimiter: str | None = None
) -> Iterator[tuple[list[str], Iterator[tuple[int, list[str]]]]]:
    """The header of a file and its rows with their lines, cells stripped; to be read within the context. Raises
    FileRefused if it cannot be opened or read, a name is repeated, or a row is of another length."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", newline="", encoding="utf-8-sig") as file:
            yield _header_and_rows(file, path, list(header), delimiter)
    except (OSError, EOFError) as problem:
        raise FileRefused(f"cannot read {path}: {problem.args[-1]}") from problem
    except (UnicodeDecodeError, csv.Error) as problem:
        raise FileRefused(f"{path} is not a CSV file in UTF-8: {problem}") from problem


def _header_and_rows(
    file: TextIO, path: Path, header: list[str], delimiter: str | None
) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    first = file.readline()
    file.seek(0)
    rows = split_rows(file, delimiter or next((one for one in DELIMITERS if one in first), ","))
    if not header:
        header = next(rows, (0, []))[1]
    if not any(header):
        raise FileRefused(f"{path.name} is empty")
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise FileRefused(f"the header of {path.name} repeats {', '.join(repeated)}")
    return header, _of_length(rows, len(header), path)


def split_rows(file: TextIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with their lines; quotes mean something only where the delimiter is a single character."""
    if len(delimiter) == 1:
        reader = csv.reader(file, delimiter=delimiter)
        for row in reader:
            if row:
                yield reader.line_num, [cell.strip() for cell in row]
        return
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield number, [cell.strip() for cell in line.split(delimiter)]


def _of_length(rows: Iterator[tuple[int, list[str]]], length: int, path: Path) -> Iterator[tuple[int, list[str]]]:
    for line, row in rows:
        if len(row) != length:
            raise FileRefused(f"{path.name}, line {line} has {len(row)} columns instead of {length}")
        yield line, row


def column_in(header: Sequence[str], name: str, path: Path) -> int:
    if name not in header:
        raise FileRefused(f"{path.name} has no column {name}; there are {', '.join(header)}")
    return header.index(name)
