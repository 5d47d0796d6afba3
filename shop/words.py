"""Figures and cars as a buyer reads them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.utils.formats import date_format
from django.utils.timezone import localtime

from catalog.attributes import ATTRIBUTES, Addresses, AnyAttribute, Category, Moment, year_and_month
from catalog.models import Listing

NBSP = "\u00a0"
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}
KM_PER_MILE = 1.609344
HP_PER_KW = 1.341
MAY_BE_NOUGHT = ("mileage", "owner_count", "annual_tax")  # of others it is a form that was not filled in
NUMBER = re.compile(r"\d[\d,]*")
KILOMETRES = re.compile(r"(\d[\d,]*) km")


def money(amount: Decimal | float | None, currency: str = "") -> str:
    """``£12,490``, or ``12,490 CHF`` where the currency has no sign of its own here."""
    if amount is None:
        return "Price on request"
    currency = currency or settings.MARKET_CURRENCY
    sign = SYMBOLS.get(currency)
    return f"{sign}{amount:,.0f}" if sign else f"{amount:,.0f}{NBSP}{currency}"


def distance_driven(mileage_km: float) -> str:
    """In miles on a market that counts in pounds, in kilometres elsewhere."""
    if settings.MARKET_CURRENCY == "GBP":
        return f"{mileage_km / KM_PER_MILE:,.0f}{NBSP}miles"
    return f"{mileage_km:,.0f}{NBSP}km"


def in_market_units(field: str, text: str) -> str:
    """What a profile says of a number, in the units of the market: ``fine up to 12,000`` of a price has no sign yet."""
    if field == "price":
        return NUMBER.sub(lambda found: money(float(found[0].replace(",", ""))), text)
    if field == "mileage":
        return KILOMETRES.sub(lambda found: distance_driven(float(found[1].replace(",", ""))), text)
    return text


def facts_line(listing: Listing) -> list[str]:
    """What a card says under the title; what is not known is left out."""
    facts = [
        str(listing.year) if listing.year else "",
        distance_driven(listing.mileage_km) if listing.mileage_km is not None else "",
        listing.get_fuel_display(),
        listing.get_gearbox_display(),
        listing.get_condition_display() if listing.condition != "used" else "",
    ]
    return [str(fact) for fact in facts if fact]


def attribute_in_words(listing: Listing, attribute: AnyAttribute) -> str:
    """An attribute of a car as a buyer reads it; '' where it is not known, or a form's nought. Photos are no words."""
    value = getattr(listing, attribute.column)
    match attribute:
        case Category():
            return str(dict(attribute_labels(attribute)).get(value, value.capitalize()))
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
    match attribute.name:
        case "mileage":
            return distance_driven(value)
        case "power":
            return f"{value * HP_PER_KW:.0f}{NBSP}hp ({value}{NBSP}kW)"
    return f"{value:,.{attribute.n_decimals}f}{NBSP}{attribute.unit.replace(' ', NBSP)}".strip()


def attribute_labels(category: Category) -> list[tuple[str, str]]:
    return [(choice.value, choice.label) for choice in category.choices]


def all_facts(listing: Listing) -> list[tuple[str, str]]:
    """Everything that is known of a car, by name."""
    facts = [
        ("First registered", str(listing.year or "") if listing.first_registration is None else ""),
        *((attribute.label, attribute_in_words(listing, attribute)) for attribute in ATTRIBUTES),
        ("Place", listing.place),
    ]
    return [(name, str(value)) for name, value in facts if value]
