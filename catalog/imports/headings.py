"""Map a file's column headings to fields, with the units and currencies they name; no database.

``recognise`` knows headings in several languages (``data/headings.toml``); the operator's choice or a named mapping
takes precedence. Headings are compared without case, accents, punctuation and units, so ``Preis (€)``, ``price_eur``
and ``PRICE`` are equal.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from pathlib import Path

from catalog.attributes import ATTRIBUTES
from catalog.exceptions import HeaderRefused
from catalog.imports.heading_units import GROSS_OF_HUNGARY, GROSS_PHRASE, NET_PHRASE, UNIT_PHRASES, UNIT_WORDS, unit_in
from catalog.imports.money import CURRENCY_BY_WORD, currency_in
from catalog.imports.numbered import by_number_key, number_key
from catalog.imports.suggestions import in_sentences, suggested_fields
from catalog.imports.vocabulary import PLAIN_WORDS, bare

UNITS_BY_FIELD = {  # units a heading or ``--map`` may name, by field
    "price": ("minor", "net", "minor_net"),  # pence or cents; without value added tax; both
    "mileage": ("km", "mi", "mil"),  # a Scandinavian mil is ten kilometres
    "power": ("kw", "hp", "ps"),
    "engine": ("l", "cc"),
    "consumption": ("l_100km", "kmpl", "mpg", "mpg_us"),
    "drive": ("all",),  # a column that says whether all wheels are driven
    "condition": ("new", "used", "demo"),  # columns that say yes or no to one of them
    "damage": ("free",),  # a column that says whether the car has none
    "vat": ("reclaimable",),  # a column that says yes or no to that
    "vat_status": ("included",),
    "owner_count": ("first",),  # a column that says yes or no to one owner
}
IGNORE = "ignore"

HEADINGS_FILE = Path(__file__).parent / "data" / "headings.toml"
_WORDS = tomllib.loads(HEADINGS_FILE.read_text(encoding="utf-8"))
_DECLARED = {each.name: f"{each.headings}, {each.column}" for each in ATTRIBUTES if each.headings}
_HEADINGS: dict[str, str] = _WORDS["headings"] | _DECLARED
_OTHER_MEANINGS = frozenset(bare(phrase) for phrase in _WORDS["left_out"]["headings"].split(",")) - {
    bare(phrase) for phrases in _DECLARED.values() for phrase in phrases.split(",")
}

_CONDITIONS = frozenset(bare(phrase) for phrase in _WORDS["condition"]["headings"].split(","))
_NOT_REGISTERED = re.compile(
    r"model|modell|manufact|mfg|produ|prod\b|buil[dt]|bau|\bbj\b|fabric|herstell|vyrob|rocnik|tillverk|выпуск|yom|made\b|"
    r"\bmy|uretim"
)

_FILLERS = PLAIN_WORDS["heading_fillers"]
# Words that change their meaning when the words around them are left out: "state of vehicle" is no place.
_UNIT_NAMES = PLAIN_WORDS["heading_units"]
_WHOLE_ONLY = PLAIN_WORDS["heading_whole"]
_PREFIXES = re.compile(
    r"^(?:attributes?|attr|meta|properties|props|fields|node|custom fields?|custom|cf|pa|g|c|product|listing|advert|"
    r"item) (?=\S)"
)
_GENERIC_ENDS = PLAIN_WORDS["heading_ends"]
_QUANTITIES = {word for word, (name, _) in UNIT_WORDS.items() if name != "price"}
_WRAPPERS = frozenset(["local description"])  # parts of a path that only say how the value is written
_PLURAL_IN_BRACKETS = re.compile(r"(?<=\w)\((e?s|n|en)\)")  # "Nombre de place(s)"
_ABBREVIATION = re.compile(r"[^\W\d_]+\.(?:\s|$)|^[A-ZÀ-Ý]+\.[A-ZÀ-Ý]+\.?$")  # "Getr.", "Puiss. réelle", "F.MATRIC"
# "Merk/Marque", "Chassis nr. (VIN)", and "Marke/Modell"
_IN_TWO_LANGUAGES = re.compile(r"[^\W\d_]{3}.*/.*[^\W\d_]{3}|[^\W\d_]{3}.*\([^\W\d_]{3,}\)$")
_IN_A_PATH = re.compile(r"\[|\.(?![\s-]|$)")  # but "Cena vč. DPH" and "Fahrgest.-Nr." are none
_PLACE = re.compile(r"#[1-9]\d{0,2}")
_PAIR_NAME = re.compile(r"^(.*\d.*?) (?:name|key|label|id|code|attribute)$")
_PAIR_VALUE = re.compile(r"^(.*\d.*?) (?:value|values|value s|text|data)$")
_UNNAMED = re.compile(r"^(?:unnamed.*|index|column ?\d*|field ?\d*|spalte ?\d*|#|no|nr|sr no|s no|row|)$")


@dataclass(frozen=True)
class Column:
    """One column of a file: its index, its field, and the units that its heading names."""

    index: int
    heading: str
    field: str
    unit: str = ""
    currency: str = ""
    rank: int = 0  # of several columns for one field, the lowest is read first
    is_repeated: bool = False  # "fuel type2" beside "fuel type"

    @property
    def target(self) -> str:
        """Field and unit as in ``--map``: ``mileage_mi``."""
        return f"{self.field}_{self.unit}" if self.unit else self.field


@dataclass(frozen=True)
class NamedMapping:
    """The headings of a well-known kind of file, and the conventions of its market."""

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
            table.setdefault(bare(words), (name, unit, rank))
    return table


_FIELD_BY_HEADING = _headings()
FIELDS = tuple(_HEADINGS)
SHORTEST_WITHOUT_SPACES = 7  # letters
_BY_ONE_WORD = {  # headings of several words, by what is left without their spaces
    phrase.replace(" ", ""): phrase for phrase in (*_FIELD_BY_HEADING, *_OTHER_MEANINGS)
    if " " in phrase and phrase.isascii() and len(phrase) > SHORTEST_WITHOUT_SPACES
}  # fmt: skip
_BY_NUMBER = by_number_key(
    {phrase: f"{name} {unit}" for phrase, (name, unit, _) in _FIELD_BY_HEADING.items()}, _OTHER_MEANINGS
)
SHORTEST_ABBREVIATION = 3  # letters
# (words of a heading, its meaning), also of headings that are not read: an abbreviation of both means neither
_SPELT_OUT = [(tuple(phrase.split()), (name, unit)) for phrase, (name, unit, _) in _FIELD_BY_HEADING.items()]
_SPELT_OUT += [(tuple(phrase.split()), ("", "")) for phrase in _OTHER_MEANINGS]


def targets() -> list[str]:
    """Return every possible right side of ``--map COLUMN=FIELD``."""
    with_units = [f"{name}_{unit}" for name, units in UNITS_BY_FIELD.items() for unit in units]
    return [*FIELDS, *with_units, IGNORE]


def split_words(heading: str) -> str:
    """Split ``fuelType``, ``FUEL_TYPE``, ``powerPS``, ``kW``, ``MwSt`` into ``fuel type``, ``power ps``, ``kw``,
    ``mwst``."""
    heading = re.sub(r"(?<=[a-zà-ÿ])(?<!\bk)(?<!Mw)(?=[A-Z])", " ", heading.strip().strip("\"'"))
    return bare(_PLURAL_IN_BRACKETS.sub(r"\1", heading))


def recognise(heading: str) -> Column | None:
    """Return the column of a heading (with index 0), or None when its words are not known."""
    paths = _paths(heading)
    if len(paths) > 1 and (unit := _unit_of_its_own(heading)):
        return unit
    last = _says_something_else(heading) if len(paths) > 1 else set()
    for words in paths:
        for phrase in _simpler_forms(words):
            if phrase in _OTHER_MEANINGS:
                return None
            if phrase in _FIELD_BY_HEADING and last <= set(phrase.split()):
                return _column_of(heading, words, phrase)
    return _in_one_word(heading) or _numbered(heading) or _in_two_languages(heading) or _abbreviated(heading)


def _says_something_else(heading: str) -> set[str]:
    """Return ``mwst`` of ``Preis.mwst``: words of a path's last part that are a column by themselves, and no unit."""
    last = split_words(re.split(r"[.\[\]/]+", heading)[-1])
    is_column = last in _FIELD_BY_HEADING and last not in _GENERIC_ENDS | _WHOLE_ONLY | UNIT_WORDS.keys()
    return set(last.split()) if is_column else set()


def _unit_of_its_own(heading: str) -> Column | None:
    """Recognise ``Leistung.einheit``, the attribute of an element, as the unit of the element's value."""
    owner, _, last = heading.rpartition(".")
    if bare(last) not in _UNIT_NAMES or not (column := recognise(owner)):
        return None
    name = {"mileage": "mileage_unit", "power": "power_unit", "price": "currency"}.get(column.field)
    return Column(0, heading, name) if name else None


def _in_one_word(heading: str) -> Column | None:
    """Recognise ``internetprice``, the name of an XML element, as a heading of several words without their spaces."""
    for words in _paths(heading):
        last = words.split(" ")[-1]
        if (phrase := _BY_ONE_WORD.get(words) or _BY_ONE_WORD.get(last)) and phrase not in _OTHER_MEANINGS:
            return _column_of(heading, phrase, phrase)
    return None


def _numbered(heading: str) -> Column | None:
    """Recognise ``Bestands-Nr.``, ``Nº plazas``, ``1ª immatricolazione``."""
    known = (_BY_NUMBER.get(number_key(words)) for words in _paths(heading))
    return next((_column_of(heading, phrase, phrase) for phrase in known if phrase), None)


def _in_two_languages(heading: str) -> Column | None:
    """Recognise a heading in two languages, or one of make and model, which together begin a title."""
    if "[" in heading or not _IN_TWO_LANGUAGES.search(heading):
        return None
    said = [recognise(part) for part in re.split(r"[/()]", heading) if part]
    named = {column.field for column in said if column}
    if None in said or not (len(named) == 1 or named == {"make", "model"}):
        return None
    first = next(column for column in said if column)
    return replace(first, heading=heading, field=first.field if len(named) == 1 else "title")


@lru_cache(maxsize=4096)
def _abbreviated(heading: str) -> Column | None:
    """Recognise ``Getr.``, ``Puiss. réelle``: the field of all headings whose words begin with these, in this order."""
    words = split_words(heading).split()
    if not _ABBREVIATION.search(heading) or sum(map(len, words)) < SHORTEST_ABBREVIATION:
        return None
    found = {said for phrase, said in _SPELT_OUT if _spells_out(phrase, words)}
    if len(found) != 1 or not (name := next(iter(found))[0]):
        return None
    unit = next(iter(found))[1]
    return Column(0, heading, name, unit_in(" ".join(words), name) or unit, _currency_of(heading))


def _spells_out(phrase: Sequence[str], words: Sequence[str]) -> bool:
    return len(phrase) == len(words) and all(part.startswith(word) for part, word in zip(phrase, words, strict=True))


def says_condition(heading: str) -> bool:
    """Whether a column that is read as tags holds the condition of a car: ``condition``, ``Zustand``."""
    return any(phrase in _CONDITIONS for words in _paths(heading) for phrase in _simpler_forms(words))


def says_registration(heading: str) -> bool:
    """Whether the month in a column of years is that of the first registration, and not that of the model year or of
    production."""
    return not _NOT_REGISTERED.search(split_words(heading))


def _column_of(heading: str, words: str, phrase: str) -> Column:
    name, unit, rank = _FIELD_BY_HEADING[phrase]
    if name == "mileage" and unit_in(words, "consumption"):
        name = "consumption"  # India: "mileage (km/ltr)" is how far a litre goes
    if name == "engine" and not unit_in(words, "engine") and unit_in(words, "power"):
        name = "power"  # "Engine.Horsepower" holds no litres
    if name == "year" and (_currency_of(heading) or GROSS_OF_HUNGARY.search(words)):
        name = "price"  # Hungarian "Ár (Ft)", which without its accent is the Norwegian year
    return Column(0, heading, name, unit_in(words, name) or unit, _currency_of(heading), rank)


def _paths(heading: str) -> list[str]:
    """Return the names of a heading: all of it, and the last parts of a path (``seller.address.city``).

    A general last part (``id``, ``name``) counts only together with the part before it.
    """
    if not _IN_A_PATH.search(heading):
        return [split_words(heading)]
    parts = [split_words(part) for part in re.split(r"(?:[\[\]/]|\.(?![\s-]|$))+", heading)]
    parts = [part for part in parts if part and not part.isdigit() and part not in _WRAPPERS]
    paths = [split_words(heading), " ".join(parts)]
    for start in range(1, len(parts)):
        if len(parts) - start > 1 or parts[start] not in _GENERIC_ENDS | _WHOLE_ONLY:
            paths.append(" ".join(parts[start:]))
    if len(parts) > 1 and parts[-1] in _GENERIC_ENDS:
        paths += [" ".join(parts[:-1]), parts[-2]]
    return list(dict.fromkeys(path for path in paths if path))


def _currency_of(heading: str) -> str:
    return next((currency_in(sign) for sign in "€£₹$" if sign in heading), "") or next(
        (CURRENCY_BY_WORD[word] for word in split_words(heading).split() if word in CURRENCY_BY_WORD), ""
    )


def _simpler_forms(words: str) -> list[str]:
    """Return the heading as it is, then without trailing numbers, units, currencies and small words."""
    unnumbered = re.sub(r" ?\d+$", "", words)
    forms = [words, unnumbered]
    if (without_prefix := _PREFIXES.sub("", unnumbered)) != unnumbered:
        forms.append(without_prefix)
    forms += [pattern.sub(" ", words) for pattern, _ in UNIT_PHRASES]
    forms += [NET_PHRASE.sub(" ", words), GROSS_PHRASE.sub(" ", words)]
    for form in (words, unnumbered, without_prefix, NET_PHRASE.sub(" ", words)):
        kept = [word for word in form.split() if word not in UNIT_WORDS and word not in CURRENCY_BY_WORD]
        if not (set(kept) <= _WHOLE_ONLY and _QUANTITIES & set(form.split())):  # "Miltal.value" is no value in money
            forms.append(" ".join(kept))
        bare_of_fillers = " ".join(word for word in kept if word not in _FILLERS)
        forms += [bare_of_fillers] if bare_of_fillers not in _WHOLE_ONLY else []
    return [" ".join(form.split()) for form in dict.fromkeys(forms) if form.strip()]


def parse_target(target: str) -> tuple[str, str]:
    """Parse ``mileage_mi`` into ``("mileage", "mi")``; any known heading (``brand``) is accepted too. Raises
    HeaderRefused for an unknown target."""
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
    """Maps a file's headings to columns, by the operator's pairs, a named mapping, and the known headings."""

    def __init__(self, *, mapping: str = "", pairs: Mapping[str, str] | None = None) -> None:
        if mapping and mapping not in NAMED_MAPPINGS:
            raise HeaderRefused(f"There is no mapping “{mapping}”; there are {', '.join(sorted(NAMED_MAPPINGS))}.")
        self.conventions = NAMED_MAPPINGS.get(mapping, NamedMapping())
        self._given = {split_words(name): parse_target(to) for name, to in self.conventions.columns.items()}
        self._pairs = {split_words(name): (name, parse_target(to)) for name, to in (pairs or {}).items()}
        self._given |= {words: target for words, (_, target) in self._pairs.items()}

    @property
    def is_by_position(self) -> bool:
        """Whether the operator named columns by position: ``#4=make``. Then the file has no header."""
        return bool(self._pairs) and all(_PLACE.fullmatch(name.strip()) for name, _ in self._pairs.values())

    def score(self, headings: Sequence[str]) -> int:
        """Count the different fields that a row of cells would name as a header."""
        fields = {column.field for column in map(self._column, headings) if column}
        return len(fields)

    def columns(self, headings: Sequence[str]) -> list[Column]:
        """Return the columns to read, in file order. Raises HeaderRefused when they do not suffice for a listing."""
        self._check_pairs(headings)
        found = _gross_beside_net(_model_under_type(self._recognised(headings)))
        found += self._trims(headings, found)
        found.sort(key=lambda column: column.index)
        return _with_repeats(_model_in_description(_indian_mileage(found, self._given)))

    def _recognised(self, headings: Sequence[str]) -> list[Column]:
        return [
            replace(column, index=index, heading=heading.strip())
            for index, heading in enumerate(headings)
            if (column := self._column(heading)) and column.field != IGNORE
        ]

    def _trims(self, headings: Sequence[str], found: Sequence[Column]) -> list[Column]:
        """Read German ``Typ`` as the model where no other column is, and as the trim beside make and model."""
        fields = {column.field for column in found}
        named = "variant" if "model" in fields else "model"
        if "make" not in fields or named in fields or (named == "model" and "title" in fields):
            return []
        read = {column.index for column in found}
        return [
            Column(index, heading.strip(), named) for index, heading in enumerate(headings)
            if index not in read and split_words(heading) == "typ" and split_words(heading) not in self._given
        ]  # fmt: skip

    def unread(self, headings: Sequence[str]) -> list[str]:
        """Return the headings of columns that are not read."""
        trims = {column.index for column in self._trims(headings, self._recognised(headings))}
        return [
            heading.strip() for index, heading in enumerate(headings)
            if heading.strip() and index not in trims and not self._column(heading)
        ]  # fmt: skip

    def hints(self, headings: Sequence[str], sample: Sequence[Sequence[str]] = ()) -> list[str]:
        """Suggest meanings for headings that were not recognised, by similar headings or by their values."""
        fields = {index: column.field for index, heading in enumerate(headings) if (column := self._column(heading))}
        hints = []
        for index, heading in enumerate(headings):
            nearest = (
                [] if index in fields else difflib.get_close_matches(split_words(heading), _FIELD_BY_HEADING, 1, 0.7)
            )
            if nearest:
                hints.append(f"“{heading.strip()}” may be {_FIELD_BY_HEADING[nearest[0]][0]}")
        return hints + in_sentences(headings, suggested_fields(headings, sample, fields, this_year=date.today().year))

    def _column(self, heading: str) -> Column | None:
        if given := self._given.get(split_words(heading)):
            name, unit = given
            known = recognise(heading)
            return Column(
                0, heading, name, unit or unit_in(split_words(heading), name), known.currency if known else "", -1
            )
        return None if _UNNAMED.match(bare(heading)) else recognise(heading)

    def pairs(self, headings: Sequence[str]) -> list[tuple[int, int]]:
        """Return columns that are pairs of a name and a value (``Attribute 1 name``, ``Attribute 1 value(s)``)."""
        bares = [bare(heading) for heading in headings]
        values = {match[1]: index for index, words in enumerate(bares) if (match := _PAIR_VALUE.match(words))}
        return [
            (index, values[match[1]])
            for index, words in enumerate(bares)
            if (match := _PAIR_NAME.match(words)) and match[1] in values
        ]

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


def _model_in_description(columns: list[Column]) -> list[Column]:
    """Read ``Model Description`` as the trim beside a model, and as model and trim where there is no model column."""
    if any(column.field in ("model", "title") for column in columns):
        return columns
    return [
        replace(column, field="model")
        if column.field == "variant" and re.match(r"mod[ei]l", split_words(column.heading))
        else column
        for column in columns
    ]


def _gross_beside_net(columns: list[Column]) -> list[Column]:
    """``Imponibile`` and ``IVA inclusa``, ``Ex VAT`` and ``Inc VAT``: the second is the price with its tax."""
    units = [column.unit for column in columns if column.field == "price"]
    if not units or not all(unit == "net" for unit in units):
        return columns
    return [
        replace(column, field="price", unit="")
        if column.field == "vat_status" and column.unit == "included" and column.rank >= 0
        else column
        for column in columns
    ]


def _model_under_type(columns: list[Column]) -> list[Column]:
    """``Type`` is the model where nothing else is, and other columns say the body or the trim: Dutch ``Merk;Type``."""
    fields = [column.field for column in columns]
    is_named = "make" in fields and not {"model", "title"} & {*fields}
    if not is_named or ("variant" not in fields and fields.count("body") < 2):
        return columns
    return [
        replace(column, field="model")
        if column.field == "body" and column.rank >= 0 and split_words(column.heading) == "type"
        else column
        for column in columns
    ]


def _indian_mileage(columns: list[Column], given: Mapping[str, tuple[str, str]]) -> list[Column]:
    """Read "mileage" as distance per litre where the odometer has a column of its own (``km_driven``)."""
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
