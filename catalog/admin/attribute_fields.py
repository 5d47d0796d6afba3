"""Fields of the listing's form for attributes that no widget of Django's has: months and several addresses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from catalog import units
from catalog.admin.market_fields import MarketField
from catalog.attributes import ADDRESSES, LONGEST_MONTH, NUMBERS, Addresses, Number, is_month, month_as_text
from catalog.imports.dates import read_month
from catalog.web_addresses import check_address, checked_addresses

# Whole numbers that markets have other units for. Consumption is stored as a fraction, which no round number of miles
# per gallon is read back as: its field stays in litres.
MEASURED = tuple(number for number in NUMBERS if number.unit in (units.KM, units.KW))


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

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))


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

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))


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
        return MarketField(stored_unit=measured.unit, label=measured.label, is_whole=True)
    return addresses_field(addresses[column]) if column in addresses else None
