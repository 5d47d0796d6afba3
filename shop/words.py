"""Figures and cars as a buyer reads them."""

from __future__ import annotations

import re
from decimal import Decimal

from django.conf import settings

from catalog.models import Listing

NBSP = "\u00a0"
SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$"}
KM_PER_MILE = 1.609344
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
    ]
    return [str(fact) for fact in facts if fact]


def all_facts(listing: Listing) -> list[tuple[str, str]]:
    """Everything that is known of a car, by name."""
    litres = f"{listing.engine_l:.1f}{NBSP}l" if listing.engine_l else ""
    power = f"{listing.power_kw * 1.341:.0f}{NBSP}hp ({listing.power_kw}{NBSP}kW)" if listing.power_kw else ""
    thirst = f"{listing.consumption_l_100km:.1f}{NBSP}l/100{NBSP}km" if listing.consumption_l_100km else ""
    facts = [
        ("First registered", str(listing.year or "")),
        ("Mileage", distance_driven(listing.mileage_km) if listing.mileage_km is not None else ""),
        ("Fuel", listing.get_fuel_display()),
        ("Gearbox", listing.get_gearbox_display()),
        ("Body", listing.get_body_display()),
        ("Drive", listing.get_drive_display()),
        ("Engine", litres),
        ("Power", power),
        ("Consumption", thirst),
        ("Colour", listing.colour.capitalize()),
        ("Doors", str(listing.doors or "")),
        ("Seats", str(listing.seats or "")),
        ("Previous owners", "" if listing.owner_count is None else str(listing.owner_count)),
        ("Tax a year", money(listing.annual_tax, listing.currency) if listing.annual_tax is not None else ""),
        ("Place", listing.place),
    ]
    return [(name, str(value)) for name, value in facts if value]
