"""Read ratings and titles in the formats of MovieLens.

Ratings are ``user::item::rating::timestamp``, or the same with commas, semicolons or tabs; the time is optional, and so
is a header. Titles are ``id::title::genres``, with commas (quoted, where a title holds one), tabs or ``|``. Text is
UTF-8 or Latin-1, and a file may be gzipped. A line that cannot be read is reported and left out; a file without any
readable line is refused.
"""

from __future__ import annotations

import csv
import gzip
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recommendations.ratings.exceptions import DatasetRefused
from recommendations.ratings.table import RatingTable

SEPARATORS = ("::", "\t", "|", ";", ",")
RATINGS_FILES = ("ratings.dat", "ratings.csv", "ratings.tsv", "ratings.txt", "u.data")
TITLES_FILES = ("movies.dat", "movies.csv", "movies.tsv", "movies.txt", "u.item", "titles.dat", "titles.csv")
PROBLEMS_NAMED = 20  # of a file with more bad lines only the number is reported


@dataclass
class Problems:
    """The lines of a file that could not be read."""

    path: Path
    n_lines: int = 0
    first: list[str] = field(default_factory=list)

    def note(self, line_number: int, reason: str) -> None:
        self.n_lines += 1
        if len(self.first) < PROBLEMS_NAMED:
            self.first.append(f"{self.path.name}, line {line_number}: {reason}")

    def __iter__(self) -> Iterator[str]:
        """Yield one sentence for each, up to ``PROBLEMS_NAMED``."""
        yield from self.first
        if self.n_lines > len(self.first):
            yield f"{self.path.name}: {self.n_lines - len(self.first)} more lines were left out"


@dataclass(frozen=True)
class Title:
    """The title of an item, with the year where it has one: “Toy Story (1995)”."""

    name: str
    genres: tuple[str, ...] = ()


def read_ratings(path: Path) -> tuple[RatingTable, Problems]:
    """Read every rating of a file, or of the ratings file in a folder, in the order of time. Raises DatasetRefused
    if there is no such file, or no line of it is a rating."""
    path = _file_in(path, RATINGS_FILES, "ratings")
    problems = Problems(path)
    # stable: lines of one moment keep their order
    lines = sorted(_rating_lines(path, problems), key=lambda line: 0.0 if math.isnan(line[3]) else line[3])
    if not lines:
        raise DatasetRefused(_nothing_in(path, "a rating, as in user::item::rating::timestamp", problems))
    return RatingTable.of(lines), problems


def read_pairs(path: Path) -> tuple[RatingTable, Problems]:
    """Read user, item and time of every line, in the order of the file; ratings are not needed, and are nan in the
    table. Raises DatasetRefused if there is no such file, or no line of it names a user and an item."""
    path = _file_in(path, RATINGS_FILES, "ratings")
    problems = Problems(path)
    pairs = list(_pair_lines(path, problems))
    if not pairs:
        raise DatasetRefused(_nothing_in(path, "a pair, as in user::item", problems))
    people = list(dict.fromkeys(person for person, _, _ in pairs))
    items = list(dict.fromkeys(item for _, item, _ in pairs))
    person_rows, item_rows = (
        {person: row for row, person in enumerate(people)},
        {item: row for row, item in enumerate(items)},
    )
    rows = np.array([(person_rows[person], item_rows[item]) for person, item, _ in pairs], dtype=np.int32)
    moments = np.array([moment for _, _, moment in pairs])
    return RatingTable(people, items, rows[:, 0], rows[:, 1], np.full(len(rows), np.nan), moments=moments), problems


def read_titles(path: Path) -> tuple[dict[str, Title], Problems]:
    """Read titles by item id. Raises DatasetRefused if there is no such file, or no line of it is a title."""
    path = _file_in(path, TITLES_FILES, "titles")
    problems = Problems(path)
    titles: dict[str, Title] = {}
    for number, cells in _lines(path):
        if len(cells) < 2 or not cells[0] or not cells[1]:
            problems.note(number, "an id and a title were expected")
        elif not _is_header(number, cells):
            titles[cells[0]] = Title(cells[1], _genres_in(cells[2:]))
    if not titles:
        raise DatasetRefused(_nothing_in(path, "a title, as in id::title::genres", problems))
    return titles, problems


def titles_beside(dataset: Path) -> Path | None:
    """Return the titles file in the folder of a dataset, as MovieLens packs them."""
    folder = dataset if dataset.is_dir() else dataset.parent
    return _first_of(folder, TITLES_FILES)


def _file_in(path: Path, names: tuple[str, ...], what: str) -> Path:
    if not path.is_dir():
        return path
    found = _first_of(path, names)
    if found is None:
        raise DatasetRefused(f"{path} holds no {what}: one of {', '.join(names)} was expected, gzipped or not")
    return found


def _first_of(folder: Path, names: tuple[str, ...]) -> Path | None:
    candidates = (folder / f"{name}{ending}" for name in names for ending in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _rating_lines(path: Path, problems: Problems) -> Iterator[tuple[str, str, float, float]]:
    for number, cells in _lines(path):
        if len(cells) < 3 or not cells[0] or not cells[1]:
            problems.note(number, "a user, an item and a rating were expected")
            continue
        rating = _number(cells[2])
        moment = _number(cells[3]) if len(cells) > 3 and cells[3] else math.nan
        if rating is not None and moment is not None:
            yield cells[0], cells[1], rating, moment
        elif number > 1 or any(_number(cell) is not None for cell in cells):  # the first line may be a header
            wrong = f"the rating “{cells[2][:40]}”" if rating is None else f"the time “{cells[3][:40]}”"
            problems.note(number, f"{wrong} is not a number")


def _pair_lines(path: Path, problems: Problems) -> Iterator[tuple[str, str, float]]:
    for number, cells in _lines(path):
        if len(cells) < 2 or not cells[0] or not cells[1]:
            problems.note(number, "a user and an item were expected")
        elif number > 1 or "user" not in cells[0].lower():  # the first line may be a header
            moment = _number(cells[3]) if len(cells) > 3 else None
            yield cells[0], cells[1], math.nan if moment is None else moment


def _number(cell: str) -> float | None:
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _is_header(number: int, cells: list[str]) -> bool:
    return number == 1 and "title" in cells[1].lower() and "id" in cells[0].lower()


def _genres_in(cells: list[str]) -> tuple[str, ...]:
    """Return the genres of ``Comedy|Drama`` in one cell; other layouts (dates, links, flags) have none."""
    if len(cells) != 1:
        return ()
    return tuple(genre.strip() for genre in cells[0].split("|") if genre.strip())


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield every line that is not empty, with its number (1 is the first), as stripped cells."""
    lines = _text_of(path).replace("\r\n", "\n").split("\n")  # splitlines() would also cut at Latin-1's 0x85
    separator = _separator_of(next((line for line in lines if line.strip()), ""))
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, [cell.strip() for cell in _cells_of(line, separator)]


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as problem:
        raise DatasetRefused(f"cannot read {path}: {getattr(problem, 'strerror', None) or problem}") from problem
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # never fails, so it is asked last


def _separator_of(line: str) -> str:
    """Return the separator that comes first in a line, after the id; titles and genres may hold any of them."""
    present = [separator for separator in SEPARATORS if separator in line]
    return min(present, key=line.index, default="::")


def _cells_of(line: str, separator: str) -> list[str]:
    if separator == "," and '"' in line:
        return next(csv.reader([line]))
    return line.split(separator)


def _nothing_in(path: Path, expected: str, problems: Problems) -> str:
    reason = f"; {problems.first[0]}" if problems.first else ": the file is empty"
    return f"no line of {path} is {expected}{reason}"
