"""A preview of an import: the dialect of the file, the field of each column, and the first rows as listings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from catalog.attributes import ATTRIBUTES, NUMBERS, columns_of
from catalog.exceptions import HeaderRefused, SourceUnnamed
from catalog.imports.headings import IGNORE, UNITS_BY_FIELD, Column, HeaderReader, targets
from catalog.imports.listing_row import ListingRow, RowReading, has_content
from catalog.imports.numbers import numbers_in
from catalog.imports.reading import ImportOptions, open_reading, settle_source
from catalog.imports.tables import open_table
from catalog.units import money, number_in_words

ROWS_SHOWN = 8
EXAMPLES_SHOWN = 3
LONGEST_EXAMPLE = 60
SHOWN_FIELDS = (
    "external_id", "vin", "make", "model", "title", "year", "price", *columns_of(ATTRIBUTES), "status",
    "place", "seller_name", "seller_kind", "tags", "photo_url", "description",
)  # fmt: skip
LABELS = {attribute.column: attribute.label.lower() for attribute in ATTRIBUTES}
NUMBER_OF = {number.column: number for number in NUMBERS}
UNIT_WORDS = {
    "km": "kilometres", "mi": "miles", "mil": "Scandinavian mil", "minor": "pence or cents",
    "net": "without VAT", "minor_net": "pence or cents without VAT",
    "kw": "kW", "hp": "hp", "ps": "PS", "l": "litres", "cc": "cc",
    "free": "free of it", "first": "one owner", "all": "all-wheel drive",
    "new": "new", "used": "used", "demo": "ex-demo", "reclaimable": "can be reclaimed", "included": "included",
    "l_100km": "l/100 km", "kmpl": "km per litre", "mpg": "miles per gallon", "mpg_us": "miles per US gallon",
}  # fmt: skip
IN_THE_FORM = {
    "say --distance-unit km": "choose kilometres under “Distances”",
    "say --distance-unit mi": "choose miles under “Distances”",
    "say --currency": "choose another under “Currency”",
    "say --map COLUMN=power_kw": "read its column as power (kW)",
    "say --map COLUMN=power_hp": "read its column as power (hp)",
}


@dataclass(frozen=True)
class FileColumn:
    """One column of the file: its field, and the field that we would choose by ourselves."""

    index: int
    heading: str
    target: str  # '' for a column that is not read
    guess: str
    examples: Sequence[str]


@dataclass(frozen=True)
class PreviewRow:
    number: int
    cells: Sequence[str]  # in the order of ``Preview.fields``
    refused: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Preview:
    """A preview. ``problem`` says why the file cannot be read; columns are shown where mapping them can help."""

    written: dict[str, str]
    columns: Sequence[FileColumn]
    source: str = ""
    assumptions: Sequence[str] = ()
    suggestions: Sequence[str] = ()  # missing fields, and fields suggested for columns by their values
    fields: Sequence[str] = ()
    rows: Sequence[PreviewRow] = field(default_factory=list)
    problem: str = ""

    @property
    def unread(self) -> list[str]:
        return [column.heading for column in self.columns if not column.target]


def preview_file(path: Path, options: ImportOptions) -> Preview:
    """Read the beginning of a file.

    A file whose headings are all unknown is shown with its first row as headings, so that they can be mapped by hand.

    Raises:
        FileRefused: When it is no text table.
        HeaderRefused: For invalid options.
    """
    options, unnamed = with_some_source(path, options)
    try:
        with open_reading(path, options) as reading:
            readings = [reading.reader.read(cells) for cells in reading.rows.sample[:ROWS_SHOWN]]
            shown = [name for name in SHOWN_FIELDS if any(says(each, name) for each in readings)]
            return Preview(
                written=reading.rows.dialect.describe(),
                columns=file_columns(reading.rows.headings, reading.rows.sample, options, reading.columns),
                source="" if unnamed else reading.source,
                problem=unnamed,
                assumptions=[for_the_form(each) for each in reading.conventions.assumptions],
                suggestions=reading.suggestions,
                fields=[LABELS.get(name, name.replace("_", " ")) for name in shown],
                rows=[preview_row(number, each, shown) for number, each in enumerate(readings, start=1)],
            )
    except HeaderRefused as refusal:
        if options.columns or options.mapping:
            HeaderReader(mapping=options.mapping, pairs=options.columns)  # a misspelt option says so itself
        with open_table(path, AnyHeadings(), delimiter=options.delimiter, encoding=options.encoding) as rows:
            columns = file_columns(rows.headings, rows.sample, options, ())
            return Preview(written=rows.dialect.describe(), columns=columns, problem=str(refusal))


def with_some_source(path: Path, options: ImportOptions) -> tuple[ImportOptions, str]:
    """Return the options with a source for the preview, and a note where the import needs one."""
    try:
        settle_source(path.name, options)
    except SourceUnnamed as unnamed:
        example = f", for example “{unnamed.example}”" if unnamed.example else ""
        said = f"{unnamed.reason}. Say under “Source” whose listings these are{example}."
        return replace(options, source="preview"), said
    return options, ""


class AnyHeadings:
    """Chooses as header the row with the most words."""

    is_by_position = False

    def score(self, headings: Sequence[str]) -> int:
        return len({heading.strip() for heading in headings if heading.strip() and not numbers_in(heading)})

    def hints(self, headings: Sequence[str], sample: Sequence[Sequence[str]] = ()) -> list[str]:
        return []


def file_columns(
    headings: Sequence[str], sample: Sequence[Sequence[str]], options: ImportOptions, read: Sequence[Column]
) -> list[FileColumn]:
    """Return all columns that have a heading."""
    chosen = {column.index: column.target for column in read}
    guesses = guessed_targets(headings, options.mapping)
    return [
        FileColumn(index, heading.strip(), chosen.get(index, ""), guesses.get(index, ""), examples(sample, index))
        for index, heading in enumerate(headings)
        if heading.strip()
    ]


def guessed_targets(headings: Sequence[str], mapping: str) -> dict[int, str]:
    """Return the field of each column without the user's choices."""
    return {column.index: column.target for column in HeaderReader(mapping=mapping).columns(headings)}


def examples(sample: Sequence[Sequence[str]], index: int) -> list[str]:
    """Return the first different values of a column, cut to fit a line."""
    values = dict.fromkeys(cells[index].strip() for cells in sample if index < len(cells) and cells[index].strip())
    return [value[:LONGEST_EXAMPLE] for value in list(values)[:EXAMPLES_SHOWN]]


def pairs_of(columns: Sequence[FileColumn], chosen: dict[int, str]) -> dict[str, str]:
    """Return heading -> field for the columns where the user chose another field than the guessed one."""
    return {
        column.heading: chosen[column.index] or IGNORE
        for column in columns
        if column.index in chosen and chosen[column.index] != column.guess
    }


def target_choices() -> list[tuple[str, str]]:
    """Return every field a column may be, with a label: ``mileage_mi`` is “mileage (miles)”."""
    return [("", "– not read –"), *((target, in_words(target)) for target in targets() if target != IGNORE)]


def in_words(target: str) -> str:
    for name, units in UNITS_BY_FIELD.items():
        for unit in units:
            if target == f"{name}_{unit}":
                return f"{name} ({UNIT_WORDS[unit]})"
    return target.replace("_", " ")


def for_the_form(assumption: str) -> str:
    """Rewrite an assumption, which names an option of the command, for the form."""
    for option, words in IN_THE_FORM.items():
        assumption = assumption.replace(option, words)
    return assumption


def says(reading: RowReading, name: str) -> bool:
    return reading.row is not None and has_content(getattr(reading.row, name))


def preview_row(number: int, reading: RowReading, names: Sequence[str]) -> PreviewRow:
    notes = [
        f"{problem.column}: {problem.reason}" if problem.column else problem.reason for problem in reading.problems
    ]
    if reading.row is None:
        return PreviewRow(number, (), refused="; ".join(notes) or "no car can be seen in it")
    return PreviewRow(number, [cell(reading.row, name) for name in names], notes=notes)


def cell(row: ListingRow, name: str) -> str:
    value: Any = getattr(row, name) if name != "title" else row.title or row.built_title
    if value is None or value == "":
        return ""
    if name == "price":
        return money(value, row.currency)
    text = number_in_words(NUMBER_OF[name], value, row.currency) if name in NUMBER_OF else as_text(value)
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[:LONGEST_EXAMPLE]}…"


def as_text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)
