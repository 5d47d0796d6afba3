"""How a file is to be read: what the operator said, what the file says itself, and both together as rows; no database.

The import and its preview open files here, so that what is shown before an import is what the import does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from django.conf import settings
from django.utils import timezone

from catalog.exceptions import ImportRefused
from catalog.imports.headings import Column, HeaderReader
from catalog.imports.names import slug_of
from catalog.imports.quantities import CURRENCIES
from catalog.imports.rows import ROW_FIELDS, Conventions, RowReader, find_conventions
from catalog.imports.tables import Table, open_table

DISTANCE_UNITS = ("", "km", "mi")


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """How to read a file, where it does not speak for itself; '' leaves the decision to the file.

    ``columns`` maps headings to fields before anything else does. ``make`` and ``model`` stand in where a row has
    none. ``key`` names the fields that distinguish cars in a file without ids (default: everything it says).
    """

    source: str = ""
    mapping: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    make: str = ""
    model: str = ""
    currency: str = ""
    distance_unit: str = ""
    delimiter: str = ""
    encoding: str = ""
    key: tuple[str, ...] = ()
    is_dry_run: bool = False

    def __post_init__(self) -> None:
        if self.currency and self.currency not in CURRENCIES:
            raise ImportRefused(f"“{self.currency}” is not a currency code we know, such as GBP or EUR.")
        if self.distance_unit not in DISTANCE_UNITS:
            raise ImportRefused(f"A distance unit is km or mi, not “{self.distance_unit}”.")
        for name in self.key:
            if name not in ROW_FIELDS:
                raise ImportRefused(f"“{name}” is not a field of a listing; there are {', '.join(ROW_FIELDS)}.")
        if len(self.source) > 80:
            raise ImportRefused("A source's name has at most 80 characters.")

    def given(self) -> dict[str, Any]:
        """Only what was asked for, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value and name not in ("source", "is_dry_run")}

    @classmethod
    def of_given(cls, given: Mapping[str, Any], *, source: str, is_dry_run: bool) -> Self:
        """The options that ``given`` was made from."""
        asked = {**given, "key": tuple(given.get("key", ()))}
        return cls(**asked, source=source, is_dry_run=is_dry_run)


def source_of(path: Path) -> str:
    """A file's name without its endings: ``stock/Berlin.csv.gz`` -> ``berlin``."""
    name = path.name
    while "." in name[1:] and len(name.rpartition(".")[2]) <= 5:
        name = name.rpartition(".")[0]
    return slug_of(name)


@dataclass(frozen=True)
class Reading:
    """An open file together with everything that was settled about it: ``reader`` makes rows of its records."""

    options: ImportOptions
    source: str
    rows: Table
    columns: Sequence[Column]
    unread: Sequence[str]  # headings of columns that nothing is read from
    conventions: Conventions
    reader: RowReader

    def describe(self) -> dict[str, Any]:
        """For people, and for the log of a run."""
        return {
            **self.rows.dialect.describe(),
            "given": self.options.given(),
            "columns": {column.heading: column.target for column in self.columns},
            "unread": list(self.unread),
            "currency": self.conventions.currency,
            "assumptions": list(self.conventions.assumptions),
        }


@contextmanager
def open_reading(path: Path, options: ImportOptions) -> Iterator[Reading]:
    """Open a file and settle how it is read. Raises ImportRefused, before anything was read, when it cannot be."""
    headings = HeaderReader(mapping=options.mapping, pairs=options.columns)
    with open_table(path, headings, delimiter=options.delimiter, encoding=options.encoding) as rows:
        yield settle(path, options, headings, rows)


def settle(path: Path, options: ImportOptions, headings: HeaderReader, rows: Table) -> Reading:
    columns = headings.columns(rows.headings)
    conventions = find_conventions(
        columns,
        rows.sample,
        market_currency=settings.MARKET_CURRENCY,
        currency=options.currency,
        distance_unit=options.distance_unit,
        named=headings.conventions,
    )
    reader = RowReader(
        columns,
        conventions=conventions,
        this_year=timezone.now().year,
        make=options.make,
        model=options.model,
        headings=rows.headings,
        delimiter=rows.dialect.delimiter,
    )
    source = options.source or source_of(path)
    return Reading(options, source, rows, columns, headings.unread(rows.headings), conventions, reader)
