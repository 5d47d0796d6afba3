"""Read the lines of a file into records of cells, in a known dialect; one bad line costs one row."""

from __future__ import annotations

import csv
import io
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

MAX_LINE_CHARACTERS = 32 * 1024 * 1024  # a longer line is skipped and reported
MAX_RECORD_LINES = 2_000  # a quoted text that goes on for longer has lost its closing quote
MAX_RECORD_CHARACTERS = 2 * 1024 * 1024
MIN_DIGIT_COLUMNS = 2  # fewer numbers do not distinguish a row from prose


@dataclass(frozen=True)
class Dialect:
    """How a file is written."""

    encoding: str
    delimiter: str
    compression: str = ""
    quotechar: str = '"'
    escapechar: str | None = None
    n_lines_above: int = 0  # physical lines before the header
    is_wrapped: bool = False  # every line as a whole is in quotes, as in an export of an export

    def reader(self, lines: Iterable[str], quoting: int = csv.QUOTE_MINIMAL) -> Iterator[list[str]]:
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            escapechar=self.escapechar,
            skipinitialspace=self.delimiter != "\t",
            quoting=quoting,  # type: ignore[arg-type]
        )

    def describe(self) -> dict[str, str]:
        """Return the dialect for people, and for the log of a run."""
        names = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe", " ": "space"}
        return {
            "encoding": self.encoding,
            "delimiter": names.get(self.delimiter, self.delimiter),
            **({"compression": self.compression} if self.compression else {}),
        }


def unwrapped(line: str) -> str:
    body = line.rstrip("\r\n")
    if len(body) > 1 and body.startswith('"') and body.endswith('"'):
        return body[1:-1].replace('""', '"') + "\n"
    return line


class Lines:
    """Physical lines, which can be handed back; ``taken`` are those of the record being read."""

    def __init__(self, stream: io.TextIOBase | IO[str]) -> None:
        self._stream = stream
        self.pending: deque[str] = deque()
        self.taken: list[str] = []
        self.n_characters = 0
        self.n_read = 0
        self.was_cut = False  # the record went on too long and was ended by force
        self.was_too_long = False  # a single line was longer than we take
        self.is_wrapped = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.taken and (len(self.taken) >= MAX_RECORD_LINES or self.n_characters >= MAX_RECORD_CHARACTERS):
            self.was_cut = True
            raise StopIteration
        line = self.pending.popleft() if self.pending else self._read()
        if not line:
            self.was_cut = len(self.taken) > 1
            raise StopIteration
        self.taken.append(line)
        self.n_characters += len(line)
        return line

    def _read(self) -> str:
        line = self._stream.readline(MAX_LINE_CHARACTERS)
        self.n_read += 1
        if len(line) >= MAX_LINE_CHARACTERS and not line.endswith(("\n", "\r")):
            self.was_too_long = True
            while rest := self._stream.readline(MAX_LINE_CHARACTERS):
                if rest.endswith(("\n", "\r")):
                    break
            return "\n"
        if "\x00" in line:
            line = line.replace("\x00", "") or "\n"
        return unwrapped(line) if self.is_wrapped else line

    def skip(self, n_lines: int) -> None:
        for _ in range(n_lines):
            self._read()

    def start_record(self) -> None:
        self.taken = []
        self.n_characters = 0
        self.was_cut = self.was_too_long = False

    def hand_back(self, lines: list[str]) -> None:
        self.pending.extendleft(reversed(lines))


class Records:
    """Records of cells; a quotation mark that is opened and never closed costs one row, not the rest of the file."""

    def __init__(self, lines: Lines, dialect: Dialect, n_columns: int, sample: list[list[str]]) -> None:
        self._lines = lines
        self._dialect = dialect
        self._n_columns = n_columns
        self._columns_of_digits = _columns_of_digits(sample, n_columns)

    def __iter__(self) -> Iterator[tuple[list[str], str]]:
        reader = iter(self._dialect.reader(self._lines))
        while True:
            self._lines.start_record()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield [], f"cannot be split into cells: {error}"
                continue
            if self._lines.was_too_long:
                yield [], f"a line of more than {MAX_LINE_CHARACTERS:,} characters"
            elif len(self._lines.taken) > 1 and self._is_unterminated(len(cells)):
                yield self._first_line_alone(), ""
            else:
                yield cells, ""

    def _is_unterminated(self, n_cells: int) -> bool:
        """Whether a quoted text swallowed rows: it never ended, or one of its lines is clearly a row.

        A record of the right length needs more evidence: a list of equipment has many commas too.
        """
        fits = n_cells == self._n_columns
        return self._lines.was_cut or any(self._is_a_row(line, is_sure=not fits) for line in self._lines.taken[1:])

    def _is_a_row(self, line: str, *, is_sure: bool) -> bool:
        if not self._n_columns or line.count(self._dialect.quotechar) % 2:
            return False
        cells = next(iter(self._dialect.reader([line])), [])
        if len(cells) != self._n_columns or any(self._dialect.quotechar in cell for cell in cells):
            return False  # a quote left inside a cell was the end of the quoted text, so the line is part of it
        if is_sure:
            return sum(any(letter.isdigit() for letter in cell) for cell in cells) >= MIN_DIGIT_COLUMNS
        return bool(self._columns_of_digits) and all(
            any(letter.isdigit() for letter in cells[column]) for column in self._columns_of_digits
        )

    def _first_line_alone(self) -> list[str]:
        first, *rest = self._lines.taken
        self._lines.hand_back(rest)
        cells = next(iter(self._dialect.reader([first.rstrip("\r\n")], csv.QUOTE_NONE)), [])
        return [cell.strip().strip(self._dialect.quotechar) for cell in cells]


def _columns_of_digits(sample: list[list[str]], n_columns: int) -> list[int]:
    """Return columns that nearly always hold a digit, which distinguish a row from a line of prose; [] when there
    are too few."""
    rows = [cells for cells in sample if len(cells) == n_columns]
    counts = Counter(
        column for cells in rows for column, cell in enumerate(cells) if any(letter.isdigit() for letter in cell[:40])
    )
    columns = [column for column, count in counts.items() if count >= 0.9 * len(rows)]
    return columns if len(columns) >= MIN_DIGIT_COLUMNS else []
