"""Fields of the listing's form for attributes that no widget of Django's has: months and several addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from catalog import units
from catalog.admin.market_fields import MarketField
from catalog.attributes import ADDRESSES, LONGEST_MONTH, NUMBERS, Addresses, Number, is_month, month_as_text
from catalog.imports.dates import read_month
from catalog.models import Listing
from catalog.web_addresses import check_address, checked_addresses
from console.formats import NONE

MEASURED = tuple(number for number in NUMBERS if number.unit in (units.KM, units.KW, units.L_100KM))


class MonthField(forms.Field):
    """A year and month, as in ``2018-03``; or as an import reads one."""

    default_error_messages = {"unreadable": "Type the year and the month, as in 2018-03."}

    def to_python(self, value: Any) -> int | None:
        if not (text := str(value or "").strip()):
            return None
        month = read_month(text, timezone.now().year) if len(text) <= LONGEST_MONTH else None
        if month is None or not is_month(month):
            raise ValidationError(self.error_messages["unreadable"], code="unreadable")
        return month

    def prepare_value(self, value: Any) -> Any:
        return month_as_text(value) if isinstance(value, int) else value


class AddressesField(forms.Field):
    """Web addresses, one a line."""

    def __init__(self, addresses: Addresses, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._addresses = addresses

    def to_python(self, value: Any) -> list[str]:
        return checked_addresses(self._addresses, str(value or "").splitlines())

    def prepare_value(self, value: Any) -> Any:
        is_list = isinstance(value, Iterable) and not isinstance(value, str)
        return "\n".join(value) if is_list else value


class AddressField(forms.CharField):
    """One web address."""

    def clean(self, value: Any) -> str:
        address: str = super().clean(value)
        if address:
            check_address(address, self.max_length or len(address))
        return address


def month_field(number: Number) -> MonthField:
    return MonthField(
        label=number.label, required=False, help_text="Year and month: 2018-03.",
        widget=UnfoldAdminTextInputWidget,
    )  # fmt: skip


def addresses_field(addresses: Addresses) -> AddressesField:
    return AddressesField(
        addresses, label=addresses.label, required=False, help_text="One web address a line; the main photo first.",
        widget=UnfoldAdminTextareaWidget,
    )  # fmt: skip


def form_field_of(column: str) -> forms.Field | None:
    """The field of a form for a column; None where Django's own will do."""
    months = {number.column: number for number in NUMBERS if number.kind == "month"}
    addresses = {each.column: each for each in ADDRESSES}
    if column in months:
        return month_field(months[column])
    if column == "url":
        return AddressField(label="Address", required=False, max_length=1000, widget=UnfoldAdminTextInputWidget)
    if measured := next((number for number in MEASURED if number.column == column), None):
        label, unit = measured.label, measured.unit
        if measured.kind != "fraction":
            return MarketField(stored_unit=unit, label=label, is_whole=True)
        return MarketField(stored_unit=unit, label=label, n_decimals=measured.n_decimals, largest=measured.largest)
    return addresses_field(addresses[column]) if column in addresses else None


# --- The same numbers, where they are only read ----------------------------------------------------------------------
def shown_price(listing: Listing) -> str:
    return units.money(listing.price, listing.currency)


shown_price.short_description = "Price"  # type: ignore[attr-defined] # how Django names a column


def in_words_only(fieldsets: Iterable[Any]) -> list[Any]:
    """Fieldsets of a listing with amounts written out in place of the columns that hold them."""
    shown: dict[str, Any] = {number.column: reader_of(number) for number in NUMBERS}
    shown |= {"price": shown_price, "currency": None}
    return [
        (name, {**options, "fields": [fields for row in options["fields"] if (fields := _replaced(row, shown))]})
        for name, options in fieldsets
    ]


def reader_of(number: Number) -> Callable[[Listing], str]:
    def read(listing: Listing) -> str:
        value = getattr(listing, number.column)
        return NONE if value is None else units.number_in_words(number, value, listing.currency)

    read.short_description = number.label  # type: ignore[attr-defined] # how Django names a column
    return read


def _replaced(row: Any, shown: Mapping[str, Any]) -> Any:
    if isinstance(row, str):
        return shown.get(row, row)
    return tuple(name for name in (shown.get(each, each) for each in row) if name)
