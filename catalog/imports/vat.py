"""Value added tax in a price: whether it is to be added, and whether it can be reclaimed."""

from __future__ import annotations

import re

from catalog.imports.money import vat_on_top
from catalog.imports.numbers import Unreadable, numbers_in
from catalog.imports.vocabulary import NEGATIONS, VOCABULARIES, bare, phrases_of

NET = "netto"  # word for a price without tax where no word names a country's tax
_HOLDS_VAT = re.compile(  # in a price's heading or cell
    r"\b(?:inc|incl\w*|inkl\w*|gross|brutto|bruto|lordo|ttc|ivato|comprise?s?|"
    r"(?:with|mit|con|com|med|met|avec|s|z) (?:vat|mwst|ust|iva|moms|mva|btw|tva|dph))\b"
)


def holds_vat(text: str) -> bool:
    """Whether the heading or the cell of a price says that the tax is included."""
    said = bare(text)
    return bool(_HOLDS_VAT.search(said)) and not NEGATIONS & set(said.split())


def read_vat_status(unit: str, text: str, *, heading: str = "") -> str:
    """Return the word by which a column says that VAT is to be added to the price: ``Plus VAT``, ``net``.

    ``unit`` is "included" for a yes/no column on whether it is included. A cell with an amount (``20% VAT, net
    £8,333``) is about that amount rather than the price.
    """
    if unit == "included" and bare(text) in phrases_of("no"):
        return NET
    has_amount = any(not number.after.lstrip().startswith("%") for number in numbers_in(text))
    if has_amount or holds_vat(text):
        return ""
    if VOCABULARIES["vat"].exact(text) == "excluded":  # "no incluido" under "IVA": the heading says whose tax it is
        return vat_on_top(text.casefold()) or vat_on_top(f"{heading} {text}".casefold()) or NET
    return vat_on_top(text.casefold())


def vat_beside_price(text: str) -> str:
    """Read the VAT status in a price's cell: ``12.950 € (MwSt. ausweisbar)``, ``9.900 € §25a``; "" for none."""
    vat = VOCABULARIES["vat"].read(text) if any(letter.isalpha() for letter in text) else None
    return vat if vat in ("reclaimable", "margin") else ""


def read_vat(unit: str, text: str) -> str:
    """Read the VAT status of a column; "" where it gives none, as for a rate.

    ``unit`` is "reclaimable" or "included" for a yes/no column on that.
    """
    word = bare(text)
    if unit and word in phrases_of("yes"):
        return unit
    if unit == "reclaimable" and word in phrases_of("no"):
        return "margin"
    if unit == "reclaimable" and not VOCABULARIES["vat"].read(text):
        raise Unreadable("not a known vat")
    return VOCABULARIES["vat"].read(text) or ""
