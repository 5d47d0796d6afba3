"""Fill fields from the cells of other fields: ``2.0 TDI 150 PS`` in an engine column also holds power and fuel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from catalog.imports.cells import (
    fuel_beside_engine,
    power_beside_engine,
    read_damage_in_words,
    read_word,
    seller_beside_kind,
)
from catalog.imports.colours import colour_of, manufacturer_colour_of
from catalog.imports.column_readers import ColumnReaders, Read, remembering
from catalog.imports.headings import Column, says_condition, says_registration, split_words
from catalog.imports.listing_row import has_content
from catalog.imports.vat import holds_vat, read_vat, vat_beside_price
from catalog.imports.vocabulary import damage_in_title


class BesideReader:
    """Fills fields of a row from the cells of other fields; a value from a column of its own is kept.

    Args:
        by_field: The columns of each field of the file.
        readers: Reader of each column, by index.
        column_readers: Readers that know the file's conventions, for months.
    """

    def __init__(
        self, by_field: Mapping[str, Sequence[Column]], readers: Mapping[int, Read], column_readers: ColumnReaders
    ) -> None:
        self._by_field, self._readers = by_field, readers
        self._in_engine = (("power", remembering(power_beside_engine)), ("fuel", remembering(fuel_beside_engine)))
        self._with_condition = [column for column in by_field.get("tags", ()) if says_condition(column.heading)]
        self._in_condition = (
            ("condition", remembering(partial(read_word, "condition"))), ("damage", remembering(read_damage_in_words)),
        )  # fmt: skip
        self._with_month = [column for column in by_field.get("year", ()) if says_registration(column.heading)]
        self._month_in_year = remembering(column_readers.read_month)
        self._with_seller = [] if "seller_name" in by_field else list(by_field.get("seller_kind", ()))
        self._seller = remembering(seller_beside_kind)
        self._vat, self._colours = VatReader(by_field, readers), ColourReader(by_field)

    def read(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """Add values found in the cells of other fields to a row."""
        self._read_beside_engine(cells, values)
        self._read_beside_condition(cells, values)
        self._read_month(cells, values)
        for column in self._with_seller:
            if column.index < len(cells) and (name := self._seller(cells[column.index])[0]):
                values.setdefault("seller_name", name)
        self._vat.read(cells, values)
        self._colours.read(cells, values)

    def _read_beside_engine(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """Read power and fuel from ``2.0 TDI 150 PS`` in an engine column, where they have no column."""
        for column in self._by_field.get("engine", ()):
            for field, read in self._in_engine:
                if field in values or field in self._by_field or column.index >= len(cells):
                    continue
                value, _ = read(cells[column.index])
                if value:
                    values[field] = value

    def _read_beside_condition(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """Read damage from ``Used, accident-free`` in a condition column, or from a title; the cell itself is kept
        as tags."""
        for column in self._with_condition:
            for field, read in self._in_condition:
                if field not in values and column.index < len(cells) and (value := read(cells[column.index])[0]):
                    values[field] = value
        title = values.get("title")
        if title and "damage" not in values and (damage := damage_in_title(title)):
            values["damage"] = damage

    def _read_month(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """Read the month of the first registration from the year's cell, or from a column of its own."""
        if "first_registration" in values:
            return
        for column in self._with_month:
            if column.index < len(cells) and (month := self._month_in_year(cells[column.index])[0]):
                values["first_registration"] = month
                return
        number = values.get("registration_month") or 0
        if number > 12:  # with its year
            values["first_registration"] = number
        elif number and (year := values.get("year")):
            values["first_registration"] = 100 * year + number


class VatReader:
    """Reads the VAT status of a price from its cell or heading, where no column gives it."""

    def __init__(self, by_field: Mapping[str, Sequence[Column]], readers: Mapping[int, Read]) -> None:
        self._readers = readers
        self._prices = [(each.index, holds_vat(split_words(each.heading))) for each in by_field.get("price", ())]
        self._statuses = [
            (each.index, remembering(partial(read_vat, each.unit))) for each in by_field.get("vat_status", ())
        ]
        self._holds_vat = remembering(lambda text: holds_vat(text) or None)
        self._beside_price = remembering(vat_beside_price)

    def read(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        if self._price_holds_vat(cells):
            values.pop("vat_status", None)
            self._read_statuses(cells, values)
            values.setdefault("vat", "included")
            return
        self._read_statuses(cells, values)
        for index, _ in () if "vat" in values else self._prices:
            if index < len(cells) and not cells[index].isdecimal() and (vat := self._beside_price(cells[index])[0]):
                values["vat"] = vat

    def _price_holds_vat(self, cells: Sequence[str]) -> bool:
        """Whether the heading or the cell of the first price column says that VAT is included."""
        for index, is_gross in self._prices:
            if index >= len(cells):
                continue
            cell = cells[index]
            is_bare = cell.isdecimal()
            if is_bare and not is_gross and cell.strip("0"):
                return False
            if has_content(self._readers[index](cell)[0]):
                return is_gross or (not is_bare and bool(self._holds_vat(cell)[0]))
        return False

    def _read_statuses(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        if "vat" in values:
            return
        for index, read in self._statuses:
            vat = read(cells[index])[0] if index < len(cells) else ""
            if vat and vat != "excluded":  # the tax has been added to an excluding price by now
                values["vat"] = vat


class ColourReader:
    """Reads ``Tornado Red`` both as the colour red and as the manufacturer's name for it."""

    def __init__(self, by_field: Mapping[str, Sequence[Column]]) -> None:
        self._colours = [each.index for each in by_field.get("colour", ())]
        self._name_of, self._plain = remembering(manufacturer_colour_of), remembering(colour_of)

    def read(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        if named := values.get("manufacturer_colour"):
            if not values.get("colour") and (colour := self._plain(named)[0]):
                values["colour"] = colour
            return
        for index in self._colours:
            if index < len(cells) and (name := self._name_of(cells[index])[0]):
                values["manufacturer_colour"] = name
                return
