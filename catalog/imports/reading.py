"""Open a file with the operator's options and the file's own properties, and read it as rows; no database.

The import and its preview open files here, so that the preview shows what the import does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from catalog import units
from catalog.exceptions import SourceUnnamed
from catalog.imports.columns_by_values import with_status_columns
from catalog.imports.conventions import Conventions, find_conventions
from catalog.imports.headings import Column, HeaderReader
from catalog.imports.names import slug_of
from catalog.imports.options import ImportOptions as ImportOptions
from catalog.imports.rows import RowReader
from catalog.imports.suggestions import in_sentences, missing_columns, suggested_fields
from catalog.imports.tables import Table, open_table


def source_of(path: Path) -> str:
    """Return a file's name without its endings: ``stock/Berlin.csv.gz`` -> ``berlin``."""
    return slug_of(_without_endings(path.name))


_MONTHS = (
    "jan(?:uary|uar)?|feb(?:ruary|ruar)?|mar(?:ch)?|m[aä]rz|mrz|apr(?:il)?|may|mai|june?|juni|july?|juli|aug(?:ust)?|"
    "sep(?:t|tember)?|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?"
)
_DAYS = "(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend"
# Parts of names that differ between files of one supplier: dates, times, run numbers, days, and a browser's “(2)”.
_DATED = re.compile(
    r"(?:(?<!\d)(?:19|20)\d\d(?!\d)|\d{6,}|(?<!\d)\d{1,2}[-_. ]\d{1,2}(?:[-_. ]\d{2,4})?(?!\d)|"
    r"[-_. ]?\(\d+\)|(?:kw|week|woche|cw|no|nr|v|run|part|teil)[-_. ]?\d+|"
    r"\b(?:copy|kopie|new|neu|latest|today|final)\b|"
    rf"(?<![^\W\d_])(?:{_MONTHS}|{_DAYS})(?![^\W\d_]))",
    re.IGNORECASE,
)


def settle_source(name: str, options: ImportOptions) -> str:
    """Return the source of a file's listings. Raises SourceUnnamed where the options name none and the file's name
    has a date: tomorrow's file would be another source, with each of its cars a second time."""
    if options.source:
        return options.source
    plain = _without_endings(name)
    if not _DATED.search(plain):
        return slug_of(plain)
    raise SourceUnnamed(name, slug_of(_DATED.sub("-", plain)))


def _without_endings(name: str) -> str:
    while "." in name[1:] and _ENDING.fullmatch(name.rpartition(".")[2]):
        name = name.rpartition(".")[0]
    return name


_ENDING = re.compile(r"(?=.*[a-z])[a-z0-9]{1,5}|", re.IGNORECASE)  # “.7z” is one, “.2026” is not


@dataclass(frozen=True)
class Reading:
    """An open file and how it is read: ``reader`` makes rows of its records."""

    options: ImportOptions
    source: str
    rows: Table
    columns: Sequence[Column]
    unread: Sequence[str]  # headings of columns that are not read
    conventions: Conventions
    reader: RowReader
    suggested: Mapping[str, str]  # heading -> field that its values suggest
    missing: Sequence[str]  # sentences about fields without a column

    @property
    def suggestions(self) -> list[str]:
        """Return sentences about what an operator should check before anything is stored."""
        return [*self.missing, *in_sentences(list(self.suggested), dict(enumerate(self.suggested.values())))]

    def describe(self) -> dict[str, Any]:
        """Return the properties of the reading for people, and for the log of a run."""
        return {
            **self.rows.dialect.describe(),
            "given": self.options.given(),
            "columns": {column.heading: column.target for column in self.columns},
            "unread": list(self.unread),
            "suggested": dict(self.suggested),
            "missing": list(self.missing),
            "headings": list(self.rows.headings),
            "separator": self.rows.dialect.delimiter,
            "conventions": asdict(self.conventions) | {"assumptions": []},
            "currency": self.conventions.currency,
            "assumptions": list(self.conventions.assumptions),
        }


POWER_UNITS = {units.HP: "hp", units.KW: "kw"}  # as settings and as columns name them


@contextmanager
def open_reading(path: Path, options: ImportOptions) -> Iterator[Reading]:
    """Open a file and decide how it is read. Raises ImportRefused when it cannot be; no row was read."""
    headings = HeaderReader(mapping=options.mapping, pairs=options.columns)
    with open_table(path, headings, delimiter=options.delimiter, encoding=options.encoding) as rows:
        yield settle(path, options, headings, rows)


def settle(path: Path, options: ImportOptions, headings: HeaderReader, rows: Table) -> Reading:
    columns = with_status_columns(headings.columns(rows.headings), rows.sample, tuple(options.columns))
    conventions = find_conventions(
        columns,
        rows.sample,
        market_currency=settings.MARKET_CURRENCY,
        market_distance="mi" if units.distance_unit() == units.MILES else "km",
        currency=options.currency,
        market_power=POWER_UNITS.get(settings.MARKET_POWER, ""),
        distance_unit=options.distance_unit,
        named=headings.conventions,
        vat=options.vat,
    )
    reader = row_reader(options, columns, conventions, rows.headings, rows.dialect.delimiter)
    source = settle_source(path.name, options)
    fields = {column.index: column.field for column in columns}
    suggested = suggested_fields(rows.headings, rows.sample, fields, this_year=timezone.now().year)
    given = [*fields.values(), *(["make"] if options.make else [])]
    return Reading(
        options,
        source,
        rows,
        columns,
        headings.unread(rows.headings),
        conventions,
        reader,
        suggested={rows.headings[index].strip(): field for index, field in suggested.items()},
        missing=missing_columns(given),
    )


def row_reader(
    options: ImportOptions, columns: Sequence[Column], conventions: Conventions, headings: Sequence[str], delimiter: str
) -> RowReader:
    return RowReader(
        columns,
        conventions=conventions,
        this_year=timezone.now().year,
        make=options.make,
        model=options.model,
        headings=headings,
        delimiter=delimiter,
        words=options.words,
    )


def reader_again(options: ImportOptions, described: Mapping[str, Any]) -> tuple[Sequence[Column], RowReader]:
    """Return the columns and the reader of a file that was read before, for rows that were kept.

    ``described`` is the result of ``Reading.describe``; columns are found anew, since the options may name others.
    """
    headings = described["headings"]
    columns = HeaderReader(mapping=options.mapping, pairs=options.columns).columns(headings)
    conventions = Conventions(**{**described["conventions"], "assumptions": ()})
    return columns, row_reader(options, columns, conventions, headings, described["separator"])
