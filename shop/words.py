"""Figures and cars as a buyer reads them, in their language and in the market's units."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from catalog import units
from catalog.attributes import ATTRIBUTES, BY_NAME, Addresses, AnyAttribute, Category, Moment, Text, year_and_month
from catalog.models import Listing
from catalog.units import translated

MAY_BE_NOUGHT = ("mileage", "owner_count", "annual_tax")  # of others it is a form that was not filled in
FIELDS = {  # what a ranker knows besides attributes, and how visitors read it
    "make": gettext_noop("Make"), "model": gettext_noop("Model"), "price": gettext_noop("Price"),
    "age": gettext_noop("Age"), "year": gettext_noop("Year"), "tags": gettext_noop("Tags"),
    "seller": gettext_noop("Seller"), "place": gettext_noop("Place"), "text": gettext_noop("Text"),
}  # fmt: skip


def money(amount: Decimal | float | None, currency: str = "") -> str:
    """``£12,490``, or what is said where a car has no price."""
    return _("Price on request") if amount is None else units.money(amount, currency)


def field_label(name: str) -> str:
    """What a field of a ranker is called, or a part of a score, which has its label already."""
    if name in BY_NAME:
        return translated(BY_NAME[name].label)
    return translated(FIELDS.get(name) or name[:1].upper() + name[1:])


def facts_line(listing: Listing) -> list[str]:
    """What a card says under the title; what is not known is left out."""
    facts = [
        str(listing.year) if listing.year else "",
        units.distance(listing.mileage_km) if listing.mileage_km is not None else "",
        translated(listing.get_fuel_display()),
        translated(listing.get_gearbox_display()),
        translated(listing.get_condition_display()) if listing.condition != "used" else "",
    ]
    return [str(fact) for fact in facts if fact]


def attribute_in_words(listing: Listing, attribute: AnyAttribute) -> str:
    """An attribute of a car as a buyer reads it; '' where it is not known, or a form's nought. Photos are no words."""
    value = getattr(listing, attribute.column)
    match attribute:
        case Text():
            return str(value)
        case Category():
            return translated(dict(attribute_labels(attribute)).get(value, value.capitalize()))
        case Moment():
            return date_format(localtime(value)) if value else ""
        case Addresses():
            return ""
    if attribute.kind == "month" and value:
        return date_format(date(*year_and_month(value), 1), "F Y")
    if value is None or (value == 0 and attribute.name not in MAY_BE_NOUGHT):
        return ""
    if attribute.kind == "money":
        return money(value, listing.currency)
    return units.in_words(value, attribute.unit, attribute.n_decimals)


def attribute_labels(category: Category) -> list[tuple[str, str]]:
    return [(choice.value, choice.label) for choice in category.choices]


def all_facts(listing: Listing) -> list[tuple[str, str]]:
    """Everything that is known of a car, by name."""
    facts = [
        (_("First registered"), str(listing.year or "") if listing.first_registration is None else ""),
        *((translated(attribute.label), attribute_in_words(listing, attribute)) for attribute in ATTRIBUTES),
        (_("Place"), listing.place),
    ]
    return [(name, str(value)) for name, value in facts if value]
