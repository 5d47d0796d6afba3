"""A file's column headings -> our fields, with the units and currencies they name; no database.

``recognise`` knows headings in several languages (``data/headings.toml``); what the operator or a named mapping says
goes before it. Headings are compared without case, accents, punctuation and units, so ``Preis (€)``, ``price_eur`` and
``PRICE`` are one.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from catalog.exceptions import HeaderRefused
from catalog.imports.quantities import CURRENCY_BY_WORD, currency_in
from catalog.imports.vocabulary import PLAIN_WORDS, bare

UNITS_BY_FIELD = {  # units a heading or ``--map`` may name, by field
    "mileage": ("km", "mi"),
    "power": ("kw", "hp", "ps"),
    "engine": ("l", "cc"),
    "consumption": ("l_100km", "kmpl", "mpg", "mpg_us"),
}
IGNORE = "ignore"

HEADINGS_FILE = Path(__file__).parent / "data" / "headings.toml"
_WORDS = tomllib.loads(HEADINGS_FILE.read_text(encoding="utf-8"))
_HEADINGS: dict[str, str] = _WORDS["headings"]
_OTHER_MEANINGS = frozenset(" ".join(phrase.split()) for phrase in _WORDS["left_out"]["headings"].split(","))

_UNIT_WORDS = {  # a word in a heading -> (field it can qualify, unit)
    "km": ("mileage", "km"), "kms": ("mileage", "km"), "kilometer": ("mileage", "km"),
    "kilometers": ("mileage", "km"), "kilometre": ("mileage", "km"), "kilometres": ("mileage", "km"),
    "mi": ("mileage", "mi"), "mile": ("mileage", "mi"), "miles": ("mileage", "mi"), "meilen": ("mileage", "mi"),
    "kw": ("power", "kw"), "ps": ("power", "ps"), "cv": ("power", "ps"), "ch": ("power", "ps"), "pk": ("power", "ps"),
    "hp": ("power", "hp"), "bhp": ("power", "hp"), "horsepower": ("power", "hp"), "din": ("power", "ps"),
    "cc": ("engine", "cc"), "ccm": ("engine", "cc"), "cm3": ("engine", "cc"), "cmc": ("engine", "cc"),
    "l": ("engine", "l"), "liter": ("engine", "l"), "liters": ("engine", "l"), "litre": ("engine", "l"),
    "litres": ("engine", "l"), "ltr": ("engine", "l"), "mpg": ("consumption", "mpg"),
    "kmpl": ("consumption", "kmpl"),
}  # fmt: skip
_UNIT_PHRASES = (  # looked for before single words, in the heading's bare form
    (re.compile(r"\b(?:l|liter|litre|litres|liters|lt) ?(?:per|pro|auf|aux|a)? ?100 ?km\b|\bl100km\b"), "l_100km"),
    (re.compile(r"\bkm (?:per )?(?:l|lt|ltr|litre|liter)(?: kg| km kg)?\b|\bkmpl\b"), "kmpl"),
    (re.compile(r"\bmpg us\b|\bus mpg\b"), "mpg_us"),
    (re.compile(r"\bmiles per gallon\b|\bmpg\b"), "mpg"),
)
_FILLERS = PLAIN_WORDS["heading_fillers"]
_UNNAMED = re.compile(r"^(?:unnamed.*|index|column ?\d*|field ?\d*|spalte ?\d*|#|no|nr|sr no|s no|row|)$")


@dataclass(frozen=True)
class Column:
    """One column of a file: where it stands, which field it feeds, and what its heading says about units."""

    index: int
    heading: str
    field: str
    unit: str = ""
    currency: str = ""
    rank: int = 0  # of several columns for one field, the lowest is asked first
    is_repeated: bool = False  # "fuel type2" beside "fuel type"

    @property
    def target(self) -> str:
        """Field and unit as ``--map`` would say them: ``mileage_mi``."""
        return f"{self.field}_{self.unit}" if self.unit else self.field


@dataclass(frozen=True)
class NamedMapping:
    """What a well-known kind of file means by its headings, and the conventions of its market."""

    columns: Mapping[str, str] = field(default_factory=dict)
    currency: str = ""
    distance_unit: str = ""
    consumption_unit: str = ""
    power_unit: str = ""


NAMED_MAPPINGS = {
    "uk": NamedMapping(currency="GBP", distance_unit="mi", consumption_unit="mpg", power_unit="hp"),
    "us": NamedMapping(currency="USD", distance_unit="mi", consumption_unit="mpg_us", power_unit="hp"),
    "craigslist": NamedMapping(
        {"type": "body", "region": "place", "state": "place", "county": IGNORE, "size": IGNORE},
        currency="USD",
        distance_unit="mi",
        consumption_unit="mpg_us",
        power_unit="hp",
    ),
    "cardekho": NamedMapping(
        {"name": "title", "mileage": "consumption_kmpl", "engine": "engine_cc", "max_power": "power_hp"},
        currency="INR",
        distance_unit="km",
        consumption_unit="kmpl",
        power_unit="hp",
    ),
    "mobile.de": NamedMapping(currency="EUR", distance_unit="km", consumption_unit="l_100km", power_unit="ps"),
    "autoscout24": NamedMapping(
        {"gear": "gearbox", "hp": "power_ps"},
        currency="EUR",
        distance_unit="km",
        consumption_unit="l_100km",
        power_unit="ps",
    ),
    "kleinanzeigen": NamedMapping(
        {"powerPS": "power_ps", "kilometer": "mileage_km", "vehicleType": "body", "seller": "seller_kind"},
        currency="EUR",
        distance_unit="km",
        consumption_unit="l_100km",
        power_unit="ps",
    ),
    "eu": NamedMapping(currency="EUR", distance_unit="km", consumption_unit="l_100km", power_unit="ps"),
}


def _headings() -> dict[str, tuple[str, str, int]]:
    table: dict[str, tuple[str, str, int]] = {}
    for name, phrases in _HEADINGS.items():
        for rank, phrase in enumerate(phrases.split(",")):
            words, _, unit = " ".join(phrase.split()).partition(":")
            table.setdefault(words, (name, unit, rank))
    return table


_FIELD_BY_HEADING = _headings()
FIELDS = tuple(_HEADINGS)


def targets() -> list[str]:
    """Everything the right side of ``--map COLUMN=FIELD`` may be."""
    with_units = [f"{name}_{unit}" for name, units in UNITS_BY_FIELD.items() for unit in units]
    return [*FIELDS, *with_units, IGNORE]


def split_words(heading: str) -> str:
    """``fuelType``, ``FUEL_TYPE``, ``powerPS``, ``kW`` -> ``fuel type``, ``fuel type``, ``power ps``, ``kw``."""
    heading = re.sub(r"(?<=[a-zà-ÿ])(?<!\bk)(?=[A-Z])", " ", heading.strip().strip("\"'"))
    return bare(heading)


def recognise(heading: str) -> Column | None:
    """The column a heading describes (index 0), or None when its words are not known."""
    words = split_words(heading)
    for phrase in _simpler_forms(words):
        if phrase in _OTHER_MEANINGS:
            return None
        if phrase in _FIELD_BY_HEADING:
            name, unit, rank = _FIELD_BY_HEADING[phrase]
            if name == "mileage" and _unit_in(words, "consumption"):
                name = "consumption"  # India: "mileage (km/ltr)" is how far a litre goes
            return Column(0, heading, name, _unit_in(words, name) or unit, _currency_of(heading), rank)
    return None


def _currency_of(heading: str) -> str:
    return next((currency_in(sign) for sign in "€£₹$" if sign in heading), "") or next(
        (CURRENCY_BY_WORD[word] for word in split_words(heading).split() if word in CURRENCY_BY_WORD), ""
    )


def _simpler_forms(words: str) -> list[str]:
    """The heading as it is, then without trailing number, units, currencies and small words."""
    unnumbered = re.sub(r" ?\d+$", "", words)
    forms = [words, unnumbered]
    forms += [pattern.sub(" ", words) for pattern, _ in _UNIT_PHRASES]
    for form in (words, unnumbered):
        kept = [word for word in form.split() if word not in _UNIT_WORDS and word not in CURRENCY_BY_WORD]
        forms += [" ".join(kept), " ".join(word for word in kept if word not in _FILLERS)]
    return [" ".join(form.split()) for form in dict.fromkeys(forms) if form.strip()]


def _unit_in(words: str, name: str) -> str:
    if name == "consumption":
        return next((unit for pattern, unit in _UNIT_PHRASES if pattern.search(words)), "")
    return next((unit for word in words.split() for of, unit in [_UNIT_WORDS.get(word, ("", ""))] if of == name), "")


def parse_target(target: str) -> tuple[str, str]:
    """``mileage_mi`` -> ``("mileage", "mi")``; also any heading we know (``brand``). Raises HeaderRefused."""
    name = target.strip().casefold()
    if name in FIELDS or name == IGNORE:
        return name, ""
    for of, units in UNITS_BY_FIELD.items():
        for unit in units:
            if name == f"{of}_{unit}":
                return of, unit
    if column := recognise(target):
        return column.field, column.unit
    nearest = difflib.get_close_matches(name, targets(), n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else f"; the fields are {', '.join(targets())}"
    raise HeaderRefused(f"There is no field “{target}”{hint}")


class HeaderReader:
    """Turns a file's headings into columns, by the operator's own pairs, a named mapping, and what we know."""

    def __init__(self, *, mapping: str = "", pairs: Mapping[str, str] | None = None) -> None:
        if mapping and mapping not in NAMED_MAPPINGS:
            raise HeaderRefused(f"There is no mapping “{mapping}”; there are {', '.join(sorted(NAMED_MAPPINGS))}.")
        self.conventions = NAMED_MAPPINGS.get(mapping, NamedMapping())
        self._given = {split_words(name): parse_target(to) for name, to in self.conventions.columns.items()}
        self._pairs = {split_words(name): (name, parse_target(to)) for name, to in (pairs or {}).items()}
        self._given |= {words: target for words, (_, target) in self._pairs.items()}

    def score(self, headings: Sequence[str]) -> int:
        """How many different fields a row of cells names, were it the header."""
        fields = {column.field for column in map(self._column, headings) if column}
        return len(fields)

    def columns(self, headings: Sequence[str]) -> list[Column]:
        """The columns that will be read, in file order. Raises HeaderRefused when no car could come of them."""
        self._check_pairs(headings)
        found = [
            replace(column, index=index, heading=heading.strip())
            for index, heading in enumerate(headings)
            if (column := self._column(heading)) and column.field != IGNORE
        ]
        return _with_repeats(_indian_mileage(found, self._given))

    def unread(self, headings: Sequence[str]) -> list[str]:
        """Headings of columns that nothing is read from."""
        return [heading.strip() for heading in headings if heading.strip() and not self._column(heading)]

    def hints(self, headings: Sequence[str]) -> list[str]:
        """For headings nobody recognised, what they resemble: ``“Preiss” may be price``."""
        hints = []
        for heading in headings:
            words = split_words(heading)
            nearest = [] if self._column(heading) else difflib.get_close_matches(words, _FIELD_BY_HEADING, 1, 0.7)
            if nearest:
                hints.append(f"“{heading.strip()}” may be {_FIELD_BY_HEADING[nearest[0]][0]}")
        return hints

    def _column(self, heading: str) -> Column | None:
        if given := self._given.get(split_words(heading)):
            name, unit = given
            known = recognise(heading)
            return Column(
                0, heading, name, unit or _unit_in(split_words(heading), name), known.currency if known else "", -1
            )
        return None if _UNNAMED.match(bare(heading)) else recognise(heading)

    def _check_pairs(self, headings: Sequence[str]) -> None:
        present = {split_words(heading) for heading in headings}
        for words, (name, _) in self._pairs.items():
            if words not in present:
                nearest = difflib.get_close_matches(name, [heading.strip() for heading in headings], n=3, cutoff=0.4)
                hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
                raise HeaderRefused(f"The file has no column “{name}”{hint}")


def _with_repeats(columns: list[Column]) -> list[Column]:
    """Mark the second and later columns of one heading (``mileage``, ``mileage2``)."""
    seen: set[tuple[str, str]] = set()
    marked = []
    for column in columns:
        key = (column.field, re.sub(r" ?\d+$", "", split_words(column.heading)))
        marked.append(replace(column, is_repeated=key in seen))
        seen.add(key)
    return marked


def _indian_mileage(columns: list[Column], given: Mapping[str, tuple[str, str]]) -> list[Column]:
    """Where the distance has a column of its own (``km_driven``), "mileage" is how far a litre goes."""
    has_distance = any(column.field == "mileage" and column.unit == "km" for column in columns)
    if not has_distance:
        return columns
    return [
        replace(column, field="consumption", unit=column.unit or "kmpl", rank=50)
        if split_words(column.heading).startswith(("mileage", "milage")) and not column.unit
        and split_words(column.heading) not in given
        else column
        for column in columns
    ]  # fmt: skip
