"""What cells say of other fields than their own: ``2.0 TDI 150 PS`` under "engine" says the power and the fuel too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from catalog.imports.cells import fuel_beside_engine, power_beside_engine, read_damage_in_words, read_word
from catalog.imports.colours import colour_of, manufacturer_colour_of
from catalog.imports.column_readers import ColumnReaders, Read, remembering
from catalog.imports.headings import Column, says_condition, says_registration, split_words
from catalog.imports.listing_row import has_content
from catalog.imports.vat import holds_vat, read_vat
from catalog.imports.vocabulary import damage_in_title


class BesideReader:
    """Fills fields of a row from the cells of other fields; what a column of its own says is kept.

    Args:
        by_field: The columns of each field of the file.
        readers: By index of a column, what reads it.
        column_readers: What the file's conventions make of a month.
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
        self._colour_name, self._plain_colour = remembering(manufacturer_colour_of), remembering(colour_of)
        self._gross_headings: dict[str, bool] = {}
        self._vat_in_status = {
            column.index: remembering(partial(read_vat, column.unit)) for column in by_field.get("vat_status", ())
        }

    def read(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """Add to the values of a row what the cells of other fields say."""
        self._read_beside_engine(cells, values)
        self._read_beside_condition(cells, values)
        self._read_month(cells, values)
        self._read_vat(cells, values)
        self._read_manufacturer_colour(cells, values)

    def _read_beside_engine(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """``2.0 TDI 150 PS`` under "engine" says the power and the fuel too, where no column of theirs does."""
        for column in self._by_field.get("engine", ()):
            for field, read in self._in_engine:
                if field in values or field in self._by_field or column.index >= len(cells):
                    continue
                value, _ = read(cells[column.index])
                if value:
                    values[field] = value

    def _read_beside_condition(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """``Used, accident-free`` under "condition" is kept as tags, and says more; a title may say damage too."""
        for column in self._with_condition:
            for field, read in self._in_condition:
                if field not in values and column.index < len(cells) and (value := read(cells[column.index])[0]):
                    values[field] = value
        if "condition" in self._by_field and values.get("condition") == "":
            del values["condition"]
        if "damage" not in values and (damage := damage_in_title(values.get("title", ""))):
            values["damage"] = damage

    def _read_month(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """The month of the first registration: beside its year, or in a column of its own."""
        if "first_registration" in values:
            return
        for column in self._with_month:
            if column.index < len(cells) and (month := self._month_in_year(cells[column.index])[0]):
                values["first_registration"] = month
                return
        if (year := values.get("year")) and (number := values.get("registration_month")):
            values["first_registration"] = 100 * year + number

    def _read_vat(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """What the row says of the tax in its price, besides a column for that."""
        says_it_holds = self._price_holds_vat(cells)
        if says_it_holds:
            values.pop("vat_status", None)
        for column in self._by_field.get("vat_status", ()) if "vat" not in values else ():
            if column.index < len(cells) and (vat := self._vat_in_status[column.index](cells[column.index])[0]):
                values.update({} if vat == "excluded" else {"vat": vat})  # that is of the price before tax is added
        if says_it_holds:
            values.setdefault("vat", "included")

    def _price_holds_vat(self, cells: Sequence[str]) -> bool:
        """Whether the heading or the cell of the price says that value added tax is in it."""
        for column in self._by_field.get("price", ()):
            if column.index < len(cells) and has_content(self._readers[column.index](cells[column.index])[0]):
                return self._says_vat_is_in(column.heading, cells[column.index])
        return False

    def _says_vat_is_in(self, heading: str, cell: str) -> bool:
        if heading not in self._gross_headings:
            self._gross_headings[heading] = holds_vat(split_words(heading))
        return self._gross_headings[heading] or (not cell.isdecimal() and holds_vat(cell))

    def _read_manufacturer_colour(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """``Tornado Red`` under "colour" is red, and the manufacturer's name for it; either says the other."""
        if (named := values.get("manufacturer_colour")) and not values.get("colour"):
            values["colour"] = self._plain_colour(named)[0] or ""
        for column in self._by_field.get("colour", ()) if not named else ():
            if column.index < len(cells) and (name := self._colour_name(cells[column.index])[0]):
                values["manufacturer_colour"] = name
                return
