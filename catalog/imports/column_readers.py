"""Choose the function that reads the cells of a column, by the file's conventions and the words an operator taught."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from catalog.attributes import BY_NAME, Addresses, Moment, Number, Text
from catalog.imports import quantities
from catalog.imports.cells import (
    LONGEST_VALUE,
    READERS,
    read_addresses,
    read_age,
    read_condition,
    read_damage,
    read_drive,
    read_fuel,
    read_mileage,
    read_owner_count,
    read_price,
    read_word,
    reader_of_number,
)
from catalog.imports.conventions import Conventions
from catalog.imports.dates import read_moment, read_month, read_year
from catalog.imports.headings import Column
from catalog.imports.listing_row import CUT
from catalog.imports.money import vat_on_top
from catalog.imports.numbers import Unreadable, plain_spaces
from catalog.imports.texts import Shortened, read_line
from catalog.imports.vat import NET, read_vat, read_vat_status
from catalog.imports.vocabulary import STATUS, bare, is_missing

CACHE_SIZE = 20_000  # texts remembered per column: files repeat themselves
TEXT_FIELDS = frozenset(
    ["title", "description", "tags", "variant", "place", "seller_name", "photos", "url", "external_id"]
)
Read = Callable[[str], tuple[Any, str]]  # text -> (value or None, reason or '')


class ColumnReaders:
    """The readers of one file's columns.

    Args:
        conventions: The meaning of bare numbers in the file.
        this_year: The year in which it is read; ages and two-digit years count from it.
        words: By field, the words an operator taught: word -> value; of a model by its slugs.
        families: Fields that several columns claim.
    """

    def __init__(
        self, conventions: Conventions, this_year: int, words: Mapping[str, Mapping[str, str]], families: frozenset[str]
    ) -> None:
        self._conventions, self._this_year, self._families = conventions, this_year, families
        self.words = _by_bare_word(words)
        self._dates: dict[str, Any] = {"this_year": this_year, "month_first": conventions.currency == "USD"}
        self.read_month = partial(read_month, **self._dates)

    def remembering(self, column: Column) -> Read:
        return remembering(
            self.of(column),
            is_text=column.field in TEXT_FIELDS,
            status_of_cell=self._status_of_cell if column.field == "status" else None,
        )

    def of(self, column: Column) -> Callable[[str], Any]:
        """Return the reader of a column's cells; it returns None or "" for unknown, and raises Unreadable."""
        read = self._untaught(column)
        taught = self.words.get(column.field, {})
        return partial(read_taught, taught, read) if taught and column.field != "model" else read

    def _status_of_cell(self, text: str) -> str | None:
        """Return the status that a whole cell names; a taught word ("" for nothing) takes precedence over known
        ones."""
        taught = self.words.get("status", {}).get(bare(text)) if bare(text) else None
        return STATUS.exact(text) if taught is None else taught

    def _untaught(self, column: Column) -> Callable[[str], Any]:
        if read := READERS.get(column.field) or self._readers_in_units(column).get(column.field):
            return read
        attribute = BY_NAME.get(column.field)
        match attribute:
            case Text():
                return partial(read_line, attribute.max_length)
            case Number(kind="month"):
                return self.read_month
            case Number():
                return reader_of_number(attribute)
            case Moment():
                return partial(read_moment, **self._dates)
            case Addresses():
                return partial(read_addresses, attribute.at_most, attribute.max_length)
        return partial(read_word, column.field)

    def _readers_in_units(self, column: Column) -> dict[str, Callable[[str], Any]]:
        """Return by field the readers that depend on the column's unit, the market or the year."""
        habits = self._conventions
        return {
            "year": partial(read_year, this_year=self._this_year),
            "age_years": partial(read_age, self._this_year),
            "price": partial(
                read_price, column.currency, column.unit, vat_of_column=vat_on_top(column.heading.casefold()) or NET
            ),
            "mileage": partial(read_mileage, column.unit or habits.distance_unit, "mileage" in self._families),
            "damage": partial(read_damage, column.unit),
            "drive": partial(read_drive, column.unit),
            "condition": partial(read_condition, column.unit),
            "fuel": partial(read_fuel, habits.currency),
            "owner_count": partial(read_owner_count, column.unit),
            "vat": partial(read_vat, column.unit),
            "vat_status": partial(read_vat_status, column.unit, heading=column.heading),
            "power": partial(quantities.read_power_kw, unit=column.unit or habits.power_unit),
            "consumption": partial(quantities.read_consumption_l_100km, unit=self.consumption_unit(column.unit)),
        }

    def consumption_unit(self, unit: str) -> str:
        """Return the unit of a column; a bare "mpg" means the gallon of the market."""
        habit = self._conventions.consumption_unit
        return habit if unit == "mpg" and habit == "mpg_us" else unit or habit


def _by_bare_word(words: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return the taught words by their bare form; of a model by its slugs, unchanged."""
    return {
        name: {word if name == "model" else bare(word): value for word, value in taught.items()}
        for name, taught in words.items()
    }


def remembering(
    read: Callable[[str], Any], *, is_text: bool = False, status_of_cell: Callable[[str], str | None] | None = None
) -> Read:
    """Cache the results of a reader by text, because cells repeat; bounded, because a column of prose would fill the
    memory.

    ``status_of_cell`` is called first: "not available" is a status rather than a missing value.
    """
    known: dict[str, tuple[Any, str]] = {}

    def remembered(text: str) -> tuple[Any, str]:
        result = known.get(text)
        if result is None and status_of_cell and (status := status_of_cell(text)) is not None:
            result = status or None, ""
        elif result is None:
            result = _attempt(read, text) if is_text or len(text) <= LONGEST_VALUE else (None, "too long to be a value")
            if len(text) <= 100:
                if len(known) >= CACHE_SIZE:
                    known.clear()
                known[text] = result
        return result

    return remembered


def _attempt(read: Callable[[str], Any], text: str) -> tuple[Any, str]:
    stripped = plain_spaces(text).strip()
    if is_missing(stripped):
        return None, ""
    try:
        value = read(stripped)
    except Unreadable as reason:
        return None, str(reason)
    if isinstance(value, Shortened):
        return str(value), f"{CUT} to {len(value):,} characters"
    return value, ""


def read_taught(taught: Mapping[str, str], read: Callable[[str], Any], text: str) -> Any:
    """Return the taught value of a word, "" where it was taught to mean nothing; otherwise read it."""
    value = taught.get(bare(text))
    return read(text) if value is None else value or None
