"""Units and tax that headings name: ``Leistung (kW)``, ``prix HT``; no database."""

from __future__ import annotations

import re

UNIT_WORDS = {  # a word in a heading -> (field it can qualify, unit)
    "km": ("mileage", "km"), "kms": ("mileage", "km"), "kilometer": ("mileage", "km"),
    "kilometers": ("mileage", "km"), "kilometre": ("mileage", "km"), "kilometres": ("mileage", "km"),
    "mi": ("mileage", "mi"), "mile": ("mileage", "mi"), "miles": ("mileage", "mi"), "meilen": ("mileage", "mi"),
    "kw": ("power", "kw"), "ps": ("power", "ps"), "cv": ("power", "ps"), "ch": ("power", "ps"), "pk": ("power", "ps"),
    "hp": ("power", "hp"), "bhp": ("power", "hp"), "horsepower": ("power", "hp"), "din": ("power", "ps"),
    "cc": ("engine", "cc"), "ccm": ("engine", "cc"), "cm3": ("engine", "cc"), "cmc": ("engine", "cc"),
    "l": ("engine", "l"), "liter": ("engine", "l"), "liters": ("engine", "l"), "litre": ("engine", "l"),
    "litres": ("engine", "l"), "ltr": ("engine", "l"), "mpg": ("consumption", "mpg"),
    "kmpl": ("consumption", "kmpl"), "км": ("mileage", "km"), "公里": ("mileage", "km"),
    "mil": ("mileage", "mil"), "miltal": ("mileage", "mil"),
    "квт": ("power", "kw"), "hk": ("power", "ps"), "hestekrefter": ("power", "ps"), "ccm3": ("engine", "cc"),
    "см3": ("engine", "cc"), "л": ("engine", "l"),
    "pence": ("price", "minor"), "pennies": ("price", "minor"), "cents": ("price", "minor"),
    "cent": ("price", "minor"), "centimes": ("price", "minor"), "minor": ("price", "minor"),
    "ore": ("price", "minor"), "grosze": ("price", "minor"), "centimos": ("price", "minor"),
    "centavos": ("price", "minor"),
    "net": ("price", "net"), "netto": ("price", "net"), "ht": ("price", "net"),
}  # fmt: skip
UNIT_PHRASES = (  # looked for before single words, in the heading's bare form
    (re.compile(r"\b(?:l|liter|litre|litres|liters|lt) ?(?:per|pro|auf|aux|a)? ?100 ?km\b|\bl100km\b"), "l_100km"),
    (re.compile(r"\bkm (?:per )?(?:l|lt|ltr|litre|liter)(?: kg| km kg)?\b|\bkmpl\b"), "kmpl"),
    (re.compile(r"\bmpg us\b|\bus mpg\b"), "mpg_us"),
    (re.compile(r"\bmiles per gallon\b|\bmpg\b"), "mpg"),
)
NET_PHRASE = re.compile(
    r"\b(?:ex|excl|excluding|exc|plus|without|before|exkl|exclusive|ohne|zzgl|hors|sin|senza|bez|uden|sem|utan|u) "
    r"(?:vat|tax|taxes|mwst|ust|tva|iva|btw|moms|mva|dph|ttc)\b|\bhors taxes?\b"
)
GROSS_PHRASE = re.compile(
    r"\b(?:inc|incl|including|inkl|inklusive|mit|with|con|avec|met|med|com|c|s|z|vc|vcetne) "
    r"(?:vat|tax|taxes|mwst|ust|tva|iva|btw|moms|mva|dph)\b|\bttc\b"
)
GROSS_OF_HUNGARY = re.compile(r"\b(?:brutto|netto) ar\b")


def unit_in(words: str, name: str) -> str:
    """Return the unit of a field that a heading's words name; "" where they name none."""
    if name == "price":
        said = {UNIT_WORDS.get(word, ("", ""))[1] for word in words.split()}
        is_net = "net" in said or bool(NET_PHRASE.search(words))
        return "_".join(["minor"] * ("minor" in said) + ["net"] * is_net)
    if name == "consumption":
        return next((unit for pattern, unit in UNIT_PHRASES if pattern.search(words)), "")
    return next((unit for word in words.split() for of, unit in [UNIT_WORDS.get(word, ("", ""))] if of == name), "")
