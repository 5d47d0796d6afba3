"""Values in the wrong column: move them where their field is unambiguous, else report them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from catalog.imports import quantities
from catalog.imports.cells import (
    LONGEST_VALUE,
    TITLE_LENGTH,
    condition_under_status,
    money_or_none,
    read_price,
    read_tax,
    read_word,
)
from catalog.imports.headings import Column, split_words
from catalog.imports.listing_row import CUT, RowProblem
from catalog.imports.money import is_marked_as_money
from catalog.imports.numbers import Unreadable
from catalog.imports.texts import read_line
from catalog.imports.vocabulary import VOCABULARIES, field_of_word

STRAY_TAX_UP_TO = 2_000  # largest amount of money in a wrong column that is taken for the annual tax
_BARE_NUMBER = re.compile(r"[\d.,]+")
_ENGINE_FIRST = re.compile(r"\s*\d[.,]\d\b")

Failure = tuple[Column, str, str]  # a column, the text of its cell, why it was not understood


class MisplacedValues:
    """Moves misplaced values in the rows of one file.

    Args:
        columns: By their index in a row.
        by_field: The columns of each field.
        families: Fields that several columns claim.
        consumption_units: (of a bare number, of a bare "mpg").
    """

    def __init__(
        self,
        columns: Mapping[int, Column],
        by_field: Mapping[str, Sequence[Column]],
        families: frozenset[str],
        consumption_units: tuple[str, str],
    ) -> None:
        self._columns, self._by_field, self._families = columns, by_field, families
        self._consumption_unit, self._mpg = consumption_units

    def mend(
        self,
        failures: Sequence[Failure],
        cells: Sequence[str],
        values: dict[str, Any],
        problems: list[RowProblem],
        recovered: list[str],
    ) -> None:
        """Move values that are in the wrong column to their field; report the others."""
        found_elsewhere: dict[str, Column] = {}
        for column, text, reason in failures:
            if reason.startswith(CUT):
                problems.append(RowProblem(column.heading, text.strip()[:255], reason))
            elif stray := self._recover(column, text, values):
                values[stray[0]] = stray[1]
                found_elsewhere[stray[0]] = column
                recovered.append(f"{column.heading} → {stray[0]}")
        for column, text, reason in failures:
            if column not in found_elsewhere.values() and self._is_worth_reporting(
                column, reason, values, found_elsewhere
            ):
                problems.append(RowProblem(column.heading, text.strip()[:255], reason))
        self._drop_between(found_elsewhere, cells, values, problems)

    def _is_worth_reporting(
        self, column: Column, reason: str, values: dict[str, Any], found_elsewhere: dict[str, Column]
    ) -> bool:
        """Report a value that was not understood unless another column of its field has a value."""
        if reason.startswith(CUT):
            return False  # said already
        field = column.field
        return field not in values or field in self._families or field in found_elsewhere

    def _drop_between(
        self,
        found_elsewhere: dict[str, Column],
        cells: Sequence[str],
        values: dict[str, Any],
        problems: list[RowProblem],
    ) -> None:
        """Drop bare numbers between two misplaced words: the row is shifted, so they are values of other columns."""
        moved = {field: column for field, column in found_elsewhere.items() if field in VOCABULARIES}
        if len(moved) < 2:
            return
        places = [column.index for column in moved.values()]
        places += [home.index for field in moved for home in self._by_field.get(field, [])]
        for index in range(min(places), max(places) + 1):
            column = self._columns.get(index)
            text = cells[index].strip() if index < len(cells) else ""
            if column and column.field in values and column.field not in moved and _BARE_NUMBER.fullmatch(text):
                del values[column.field]
                problems.append(RowProblem(column.heading, text, "the row is shifted here"))

    def _recover(self, column: Column, text: str, values: dict[str, Any]) -> tuple[str, Any] | None:
        """Return the field and value of a misplaced cell that has one meaning only."""
        if len(text) > LONGEST_VALUE:
            return None
        for field, read in self._unmistakable(column, text, values):
            if field in values:
                continue
            try:
                value = read(text)
            except Unreadable:
                continue
            if value is not None:
                return field, value
        return None

    def _unmistakable(
        self, column: Column, text: str, values: dict[str, Any]
    ) -> Iterable[tuple[str, Callable[[str], Any]]]:
        if is_marked_as_money(text):
            if "price" not in values:
                yield "price", partial(read_price, "", "")
            elif (money := money_or_none(text)) is None or money.amount <= STRAY_TAX_UP_TO:
                yield "annual_tax", read_tax
        yield from self._under_type(column, text)
        if word_field := "body" if column.field == "vin" else field_of_word(text):  # "chassi" is the body in Sweden
            yield word_field, partial(read_word, word_field)
        if quantities.has_consumption_unit(text):
            yield "consumption", partial(quantities.read_consumption_l_100km, unit=self._mpg)
        if quantities.has_distance_unit(text):
            yield "mileage", quantities.read_distance_km
        if quantities.has_power_unit(text):
            yield "power", quantities.read_power_kw
        if quantities.has_engine_unit(text):
            yield "engine", quantities.read_engine_l
        if column.field == "mileage" and column.is_repeated and "consumption" not in self._by_field:
            yield "consumption", partial(quantities.read_consumption_l_100km, unit=self._consumption_unit)

    def _under_type(self, column: Column, text: str) -> Iterable[tuple[str, Callable[[str], Any]]]:
        """Yield other meanings of "type" and "status" columns: the condition, and in the Netherlands the trim."""
        is_condition = (column.field == "body" and VOCABULARIES["condition"].exact(text)) or (
            column.field == "status" and condition_under_status(column.unit, text)
        )
        if is_condition:
            yield "condition", partial(read_word, "condition")
        is_trim = _ENGINE_FIRST.match(text) or _is_type(column.heading, text)
        if column.field == "body" and is_trim and "variant" not in self._by_field:
            yield "variant", partial(read_line, TITLE_LENGTH)


def _is_type(heading: str, text: str) -> bool:
    """Whether words in a type column are the manufacturer's name of the car rather than a body: ``64 kWh
    ExecutiveLine``."""
    return split_words(heading) in ("type", "typ") and bool(re.search(r"[^\W\d_]", text)) and not field_of_word(text)
