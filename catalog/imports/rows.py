"""Read one row of a source into a ``ListingRow``, or the reasons why not; no database, no clock.

A ``RowReader`` knows the field of each column and the meaning of bare numbers in this file. A value that cannot be read
is dropped and reported, and the rest of the row is kept; a row is refused only when it holds no car. Values in the
wrong column are moved where they are unambiguous (``£145`` under "engine size").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from catalog.attributes import ADDRESSES, ATTRIBUTES
from catalog.imports.beside import BesideReader
from catalog.imports.cells import (
    MAX_TAGS,
    TITLE_LENGTH,
    is_minor_unit,
    is_net,
    is_of_minor,
)
from catalog.imports.column_readers import CACHE_SIZE, ColumnReaders, Read, remembering
from catalog.imports.conventions import Conventions
from catalog.imports.headings import Column, HeaderReader, recognise
from catalog.imports.listing_row import FACTS, UNKNOWN, ListingRow, RowProblem, RowReading, has_content, refused
from catalog.imports.misplaced import Failure, MisplacedValues
from catalog.imports.money import Money, settle_currency, vat_rate
from catalog.imports.names import CarName, known_makes, name_car, names_model, slug_of
from catalog.imports.numbers import Unreadable
from catalog.imports.record_lengths import RecordLengths
from catalog.imports.refusals import no_car_by_category, no_car_by_make, no_car_by_title
from catalog.imports.row_status import StatusReader
from catalog.imports.vat import NET
from catalog.imports.vocabulary import SELLER_KIND, bare, phrases_of

ADD_UP = {"tags": MAX_TAGS, **{each.name: each.at_most for each in ADDRESSES}}  # of several columns: so many are kept
_NAME_A_ROW = ("external_id", "make", "model", "title")
_UNKNOWN = [(each.column, each.name, UNKNOWN[type(each)][1]) for each in ATTRIBUTES]


def _order(column: Column) -> tuple[bool, bool, int, int]:
    return is_net(column.unit), column.field == "power" and column.unit != "kw", column.rank, column.index


def _by_field(columns: Sequence[Column]) -> dict[str, list[Column]]:
    """Return the columns of each field, in the order in which they are tried."""
    by_field: dict[str, list[Column]] = {}
    # A price without tax comes last, so that a price with tax is used where there is one. Kilowatts come before
    # horsepower, which may be metric or imperial.
    for column in sorted(columns, key=_order):
        by_field.setdefault(column.field, []).append(column)
    prices = by_field.get("price", [])
    if any(column.unit == "minor" for column in prices) and not all(is_of_minor(column.unit) for column in prices):
        by_field["price"] = [column for column in prices if column.unit != "minor"]
        by_field["price_minor"] = [column for column in prices if column.unit == "minor"]
    return by_field


def _with_units_apart(by_field: Mapping[str, Sequence[Column]]) -> list[tuple[str, str]]:
    """Return (field, field of its unit) where the row has the unit in a column of its own."""
    fields = ((field, f"{field}_unit") for field in ("mileage", "power"))
    return [(field, unit) for field, unit in fields if field in by_field and unit in by_field]


def _is_a_count(name: str) -> bool:
    """``3 Fahrzeuge``, beside a sum."""
    number, _, what = bare(name).partition(" ")
    return number.isdecimal() and what in phrases_of("any_car")


def _names_a_sum(text: str) -> bool:
    """``Total``, ``Total (3)``, ``Summe 3 Fahrzeuge``."""
    words = bare(text)
    what, _, count = words.partition(" ")
    is_counted = count.isdecimal() or _is_a_count(count)
    return words in phrases_of("totals") or (is_counted and what in phrases_of("totals"))


def _without_name(variant: str, name: CarName) -> str:
    """Return what follows the names in the trim's column: ``KADJAR 1.3 TCe`` of a Kadjar, ``Renault Kadjar 1.3
    TCe``."""
    for part in (name.make, name.model):
        if part and variant.casefold().startswith(f"{part.casefold()} "):
            variant = variant[len(part) :].lstrip()
    return variant


class RowReader:
    """Reads the rows of one file. Pure: the same cells give the same result, whatever came before."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        conventions: Conventions,
        this_year: int,
        make: str = "",
        model: str = "",
        headings: Sequence[str] = (),
        delimiter: str = ",",
        words: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        self._families = frozenset(column.field for column in columns if column.is_repeated)
        self._column_readers = ColumnReaders(conventions, this_year, words or {}, self._families)
        self._words = self._column_readers.words
        self._conventions, self._this_year = conventions, this_year
        self._make, self._model = make, model
        self._headings = [heading.strip() for heading in headings]
        self._delimiter = delimiter
        by_index = {column.index: column for column in columns}
        self._by_field = _by_field(columns)
        self._units_apart = _with_units_apart(self._by_field)
        self._readers = {column.index: self._column_readers.remembering(column) for column in columns}
        consumption_units = (conventions.consumption_unit, self._column_readers.consumption_unit("mpg"))
        self._misplaced = MisplacedValues(by_index, self._by_field, self._families, consumption_units)
        self._lengths = RecordLengths(self._headings, by_index, delimiter, self._reads_well)
        self._beside = BesideReader(self._by_field, self._readers, self._column_readers)
        self._status = StatusReader(self._by_field, self._readers, self._words.get("status", {}))
        self._by_unit: dict[tuple[str, str], Read] = {}  # of fields whose unit stands in a column of its own
        self._pairs = HeaderReader().pairs(headings)
        self._pair_readers: dict[str, tuple[Column, Read] | None] = {}

    def read(self, cells: Sequence[str]) -> RowReading:
        """Read one record; short ones are padded, long ones corrected when it is clear how."""
        if not any(cell.strip() for cell in cells):
            return refused("the row is empty")
        problems: list[RowProblem] = []
        recovered: list[str] = []
        if self._headings and len(cells) != len(self._headings):
            fitted = self._lengths.fit(list(cells), problems, recovered)
            if fitted is None:
                return refused(f"{len(cells)} cells, where the header has {len(self._headings)}", self._whole(cells))
            cells = fitted
        if self._headings and [cell.strip() for cell in cells] == self._headings:
            return refused("the header again", self._whole(cells))
        values = self._values(cells, problems, recovered)
        if values.get("offer") == "wanted":
            return refused("an advert asking for a car, not offering one", self._whole(cells))
        if reason := self._why_no_car(cells, values):
            return refused(reason, self._whole(cells))
        return self._finish(cells, values, problems, recovered)

    def _values(self, cells: Sequence[str], problems: list[RowProblem], recovered: list[str]) -> dict[str, Any]:
        """Return the value of every field; values that could not be read are moved or reported."""
        values: dict[str, Any] = {}
        failures: list[Failure] = []
        n_cells = len(cells)
        for field, columns in self._by_field.items():
            for column in columns:
                if column.index >= n_cells or field == "price_minor":
                    continue
                text = cells[column.index]
                value, reason = self._readers[column.index](text)
                if reason:
                    failures.append((column, text, reason))
                if has_content(value):
                    self._keep(column, text, value, values, problems)
        self._read_with_units(cells, values, failures)
        self._read_pairs(cells, values)
        if "price_minor" in self._by_field or "currency" in self._by_field:
            self._read_minor(cells, values)
        if failures:
            self._misplaced.mend(failures, cells, values, problems, recovered)
        self._beside.read(cells, values)
        if len(self._by_field.get("model", ())) > 1 and values.get("make"):
            self._choose_model(cells, values)
        return values

    def _choose_model(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """Choose among several model columns the first that names a model of the make; the ones before it are the
        trim."""
        named = [cells[column.index] for column in self._by_field["model"] if column.index < len(cells)]
        known = [text for text in named if text.strip() and names_model(values["make"], text)]
        if known and values.get("model") and not names_model(values["make"], values["model"]):
            values.setdefault("variant", values["model"])
            values["model"] = self._readers[self._by_field["model"][0].index](known[0])[0]

    def _reads_well(self, cells: Sequence[str]) -> bool:
        problems: list[RowProblem] = []
        self._values(cells, problems, [])
        return not problems

    def _read_with_units(self, cells: Sequence[str], values: dict[str, Any], failures: list[Failure]) -> None:
        """Read a distance or power again by the unit in another column of the row; a unit in the cell takes
        precedence."""
        for field, unit_field in self._units_apart:
            unit = values.get(unit_field)
            for column in self._by_field[field]:
                if not unit or column.index >= len(cells) or any(failed is column for failed, *_ in failures):
                    continue
                key = (field, unit)
                if key not in self._by_unit:
                    self._by_unit[key] = remembering(self._column_readers.of(replace(column, unit=unit)))
                value, _ = self._by_unit[key](cells[column.index])
                if has_content(value):
                    values[field] = value
                    break

    def _read_minor(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """Read the pence of a price, from a column of their own, or the whole price in pence, as the column or the
        row says."""
        money: Money | None = values.get("price")
        units = (cells[column.index] for column in self._by_field.get("currency", ()) if column.index < len(cells))
        in_minor = money is not None and not self._is_price_of_minor(cells) and any(map(is_minor_unit, units))
        if money is not None and in_minor:
            money = values["price"] = replace(money, amount=round(money.amount / 100, 2))
        for column in self._by_field.get("price_minor", ()):
            if column.index >= len(cells):
                continue
            minor: Money | None = self._readers[column.index](cells[column.index])[0]
            if minor is None:
                continue
            if money is None or (money.vat and minor.amount >= 1 and abs(minor.amount - money.amount) >= 1):
                money = values["price"] = minor  # with tax, where the other is without
            elif minor.amount < 1 and money.amount == money.amount.to_integral_value():
                money = values["price"] = replace(money, amount=money.amount + minor.amount)
            elif abs(minor.amount - money.amount) < 1:
                money = values["price"] = replace(money, amount=minor.amount)

    def _is_price_of_minor(self, cells: Sequence[str]) -> bool:
        """Whether the price is of a column of pence and has been divided already; a unit in another column repeats
        it."""
        for column in self._by_field.get("price", ()):
            if column.index < len(cells) and has_content(self._readers[column.index](cells[column.index])[0]):
                return is_of_minor(column.unit)
        return False

    def _read_pairs(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        for name_index, value_index in self._pairs:
            if max(name_index, value_index) < len(cells):
                self._read_pair(cells[name_index], cells[value_index], values)

    def _read_pair(self, name: str, text: str, values: dict[str, Any]) -> None:
        """Read a cell whose meaning is in the cell beside it; it fills only fields without a value of their own
        column."""
        if name not in self._pair_readers:
            column = recognise(name) if name.strip() and len(self._pair_readers) < CACHE_SIZE else None
            self._pair_readers[name] = (column, remembering(self._column_readers.of(column))) if column else None
        found = self._pair_readers[name]
        if found:
            value, _ = found[1](text)
            if has_content(value):
                values.setdefault(found[0].field, value)

    def _why_no_car(self, cells: Sequence[str], values: dict[str, Any]) -> str:
        """Return why the row offers no car: a motorbike, caravan or part by its category or title, or a sum; "" if
        it may."""
        for field in ("body", "tags"):
            for column in self._by_field.get(field, []):
                if (
                    column.index < len(cells)
                    and field not in values
                    and (reason := no_car_by_category(cells[column.index]))
                ):
                    return reason
        if (title := values.get("title", "")) and not values.get("model") and (reason := no_car_by_title(title)):
            return reason
        if reason := no_car_by_make(values.get("make", "")):
            return reason
        return "a sum, not a car" if self._is_sum(cells, values) else ""

    def _is_sum(self, cells: Sequence[str], values: dict[str, Any]) -> bool:
        """Whether the car's name is a word for a sum; under "damage" or "seller" such a word has another meaning."""
        names = ("make", "title", "vin", "model") if self._make else ("make", "title", "vin")
        if any(name and not _names_a_sum(name) and not _is_a_count(name) for name in map(values.get, names)):
            return False
        naming = [column.index for field in _NAME_A_ROW for column in self._by_field.get(field, ())]
        named_by = [cells[index] for index in naming if index < len(cells)]
        return any(_names_a_sum(cell) for cell in (next((cell for cell in cells if cell.strip()), ""), *named_by))

    def _keep(self, column: Column, text: str, value: Any, values: dict[str, Any], problems: list[RowProblem]) -> None:
        """Keep the first value of a field; tags are added; columns of one field that disagree are reported."""
        field = column.field
        if field not in values:
            values[field] = value
        elif field in ADD_UP:
            values[field] = tuple(dict.fromkeys(values[field] + value))[: ADD_UP[field]]
        elif field in self._families and values[field] != value:
            problems.append(RowProblem(column.heading, text.strip()[:255], f"differs from the other {field}; not used"))

    def _finish(
        self, cells: Sequence[str], values: dict[str, Any], problems: list[RowProblem], recovered: list[str]
    ) -> RowReading:
        name = self._named(values)
        row = self._row(name, values, problems, recovered)
        if (status := self._status.read(cells, values)) != row.status:
            row = replace(row, status=status)
        if "make or title" in row.missing_for_sale and row.price is None:
            return refused("neither make, model nor title, and no price", self._whole(cells), problems)
        if not any(has_content(getattr(row, field)) for field in FACTS):
            return refused("nothing but a name: not an advertisement", self._whole(cells), problems)
        for missing in row.missing_for_sale:
            heading = next((c.heading for c in self._by_field.get(missing.split(" ")[0], [])), missing)
            problems.append(RowProblem(heading, "", f"no {missing}: a new listing waits as a draft"))
        return RowReading(row, tuple(problems), tuple(recovered))

    def _named(self, values: dict[str, Any]) -> CarName:
        """Return the car's name, with a model that an operator mapped to another one; its trim stays."""
        title = values.get("title", "")
        if "make" not in self._by_field and slug_of(values.get("seller_name", "")) in known_makes():
            values["make"] = values.pop("seller_name")  # of shops, which call the manufacturer of a product its vendor
        name = name_car(values.get("make", "") or self._make, values.get("model", "") or self._model, title)
        taught = self._words.get("model", {}).get(f"{name.make_slug}/{name.model_slug}")
        if taught is None:
            return name
        other = name_car(name.make, taught)
        return replace(other, variant=" ".join(filter(None, (other.variant, name.variant))), year=name.year)

    def _row(
        self, name: CarName, values: dict[str, Any], problems: list[RowProblem], recovered: list[str]
    ) -> ListingRow:
        money = self._priced(values, problems, recovered)
        variant = _without_name(values.get("variant", ""), name)
        built = name.title if not variant or bare(variant) in bare(name.title) else f"{name.title} {variant}"
        seller_name, seller_kind = values.get("seller_name", ""), values.get("seller_kind", "")
        if seller_name and (kind := SELLER_KIND.exact(seller_name)):  # "seller" heads both kinds of column
            seller_name, seller_kind = "", seller_kind or kind
        place = self._coordinates(values, problems)
        return ListingRow(
            external_id=values.get("external_id") or values.get("vin") or None,
            vin=values.get("vin", ""),
            make=name.make,
            make_slug=name.make_slug,
            model=name.model,
            model_slug=name.model_slug,
            title=values.get("title", ""),
            built_title=built[:TITLE_LENGTH].strip(),
            description=values.get("description", ""),
            tags=values.get("tags", ()),
            year=self._year(values, name),
            price=money.amount if money else None,
            currency=money.currency if money else "",
            **{column: values.get(name, unknown) for column, name, unknown in _UNKNOWN},
            photo_url=next(iter(values.get("photos", ())), ""),
            url=values.get("url", ""),
            place=values.get("place", ""),
            latitude=place[0],
            longitude=place[1],
            seller_id=values.get("seller_id", ""),
            seller_name=seller_name,
            seller_kind=seller_kind,
            seller_phone=values.get("seller_phone", ""),
            seller_vat=values.get("seller_vat", ""),
            seller_url=values.get("seller_url", ""),
            status=values.get("status", ""),
        )

    def _year(self, values: dict[str, Any], name: CarName) -> int | None:
        registered = values.get("first_registration", 0) // 100
        return values.get("year") or registered or values.get("age_years") or self._year_of_title(name.year)

    def _priced(self, values: dict[str, Any], problems: list[RowProblem], recovered: list[str]) -> Money | None:
        """Return the price with its currency (its own, else the row's, else the file's), raised by a tax to be
        added."""
        money: Money | None = values.get("price")
        if money is None:
            return None
        candidates = [code for code in (values.get("currency"), self._conventions.currency) if code]
        try:
            currency = settle_currency(money.currency or candidates[0], candidates)
            if not money.vat and (vat := values.get("vat_status")):
                money = replace(money, vat=vat)
            return Money(self._with_vat(money, currency, values, problems, recovered), currency)
        except Unreadable as reason:
            heading = next((column.heading for column in self._by_field.get("price", [])), "price")
            problems.append(RowProblem(heading, str(money.amount), str(reason)))
            return None

    def _with_vat(
        self,
        money: Money,
        currency: str,
        values: dict[str, Any],
        problems: list[RowProblem],
        recovered: list[str],
    ) -> Decimal:
        """Return the amount that a buyer pays. Where the rate is not known the amount stays, with a note."""
        vat = {"gross": "", "net": money.vat or NET}.get(self._conventions.vat, money.vat)
        if not vat:
            if self._conventions.vat:
                values.setdefault("vat", "included")
            return money.amount
        rate = vat_rate(vat, currency)
        values["vat"] = "excluded" if rate is None else "added"
        if rate is None:
            problems.append(
                RowProblem("price", "", "without value added tax, at a rate that is not known; kept as it is")
            )
            return money.amount
        recovered.append(f"price → with {rate}% value added tax")
        return round(money.amount * (100 + rate) / 100, 2)

    def _year_of_title(self, year: int | None) -> int | None:
        return year if year and "year" not in self._by_field and year <= self._this_year + 1 else None

    def _coordinates(
        self, values: dict[str, Any], problems: list[RowProblem]
    ) -> tuple[float, float] | tuple[None, None]:
        """Return both or neither; 0 and 0 stand for coordinates that were not filled in."""
        latitude, longitude = values.get("latitude"), values.get("longitude")
        if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
            return None, None
        return latitude, longitude

    def _whole(self, cells: Sequence[str]) -> str:
        return self._delimiter.join(cell.strip() for cell in cells)[:255]
