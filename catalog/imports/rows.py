"""One messy source row -> a clean ``ListingRow``, or why not; no database, no clock.

A ``RowReader`` knows which column feeds which field and what a bare number means in this file. A value it cannot
understand is dropped and reported, and the rest of the row is kept; a row is refused only when no car can be seen in
it. Values that stand in the wrong column are put right where they are unmistakable (``£145`` under "engine size").
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any

from catalog.attributes import (
    ADDRESSES,
    ATTRIBUTES,
    BY_NAME,
    Addresses,
    Category,
    Moment,
    Number,
    declare,
    is_web_address,
)
from catalog.imports import quantities
from catalog.imports.headings import (
    Column,
    HeaderReader,
    NamedMapping,
    recognise,
    says_condition,
    says_registration,
    split_words,
)
from catalog.imports.names import CarName, name_car, tidy
from catalog.imports.quantities import Money, Unreadable
from catalog.imports.vocabulary import (
    OTHER_WORDS,
    SELLER_KIND,
    STATUS,
    VOCABULARIES,
    WANTED_WORDS,
    bare,
    colour_of,
    damage_in_title,
    damage_of,
    field_of_word,
    is_missing,
    phrases_of,
    status_of,
)

CUT = "cut"  # how the note on a shortened text begins; the text is kept
LONGEST_VALUE = 300  # characters a number, word or date may take; longer is prose in the wrong column
CACHE_SIZE = 20_000  # texts remembered per column: files repeat themselves
TITLE_LENGTH = 255
DESCRIPTION_LENGTH = 20_000  # PostgreSQL refuses to index texts of more than a megabyte
TAG_LENGTH = 80
MAX_TAGS = 50
ID_LENGTH = 255
PLACE_LENGTH = 120
SELLER_LENGTH = 200
URL_LENGTH = 1000  # of the page of an advertisement
MAX_ANNUAL_TAX = Decimal("999999.99")
STRAY_TAX_UP_TO = 2_000  # a larger amount of money in a wrong column could be anything
MILES_MARKETS = frozenset(["GBP", "USD"])
DIGEST_BYTES = 16
# A car stays the same car when these change, and when a later release reads them out of the same file.
NOT_IDENTITY = frozenset(
    [
        "status",
        "photo_url",
        "url",
        "vin",
        "first_registration",
        "condition",
        "damage",
        "posted_at",
        "photos",
        "seller_phone",
        "seller_vat",
        "seller_url",
    ]
)
TEXT_FIELDS = frozenset(
    ["title", "description", "tags", "variant", "place", "seller_name", "photos", "url", "external_id"]
)
ADD_UP = {"tags": MAX_TAGS, **{each.name: each.at_most for each in ADDRESSES}}  # of several columns: so many are kept
FREE_TEXT = ("description", "title", "variant", "tags", "place", "seller_name")
NAME_FIELDS = frozenset(["make", "make_slug", "model", "model_slug", "title", "built_title", "currency"])


UNKNOWN: Mapping[type, tuple[str, Any]] = {  # type and value
    Category: ("str", ""), Number: ("Any", None), Moment: ("Any", None), Addresses: ("tuple[str, ...]", ()),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRow:
    """What one row says about one car, with a field for each of ``catalog.attributes``. '' and None: it does not say.

    ``make`` and ``model`` carry their slugs; ``built_title`` is a heading made of them for files that have none.
    ``status`` is '' unless the file says it; a status we do not know is "draft", since unknown must not mean live.
    """

    external_id: str | None = None
    vin: str = ""
    make: str = ""
    make_slug: str = ""
    model: str = ""
    model_slug: str = ""
    title: str = ""
    built_title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    year: int | None = None
    price: Decimal | None = None
    currency: str = ""
    declare(vars(), {each.column: UNKNOWN[type(each)] for each in ATTRIBUTES})
    photo_url: str = ""
    url: str = ""
    place: str = ""
    latitude: float | None = None
    longitude: float | None = None
    seller_id: str = ""
    seller_name: str = ""
    seller_kind: str = ""
    seller_phone: str = ""
    seller_vat: str = ""
    seller_url: str = ""
    status: str = ""

    @property
    def missing_for_sale(self) -> tuple[str, ...]:
        """What a buyer must know and this row does not say."""
        named = self.make or self.title or self.built_title
        return (*(() if named else ("make or title",)), *(() if self.price is not None else ("price",)))

    def digest(self, field_names: Sequence[str] = ()) -> str:
        """A stable name for what the row says: 32 hexadecimal digits, the same on every machine and day.

        Only fields that say something take part, so a field added to this class later changes no old digest.
        """
        names = field_names or _IDENTITY_FIELDS
        values = zip(names, attrgetter(*names, "status")(self), strict=False)  # "status": never just one, so a tuple
        said = [f"{name}={value}" for name, value in values if value or value == 0]
        return hashlib.blake2b("\x1f".join(said).encode(), digest_size=DIGEST_BYTES).hexdigest()


def has_content(value: Any) -> bool:
    """Neither None nor empty; nought says something. (Comparing a Decimal with a text would cost ten times as much.)"""
    return bool(value) or value == 0


_IDENTITY_FIELDS = tuple(field.name for field in fields(ListingRow) if field.name not in NOT_IDENTITY)
_FACTS = tuple(field.name for field in fields(ListingRow) if field.name not in NAME_FIELDS)
ROW_FIELDS = tuple(field.name for field in fields(ListingRow))


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a value was dropped, or, when ``is_fatal``, why the row was refused."""

    column: str
    value: str
    reason: str
    is_fatal: bool = False


@dataclass(frozen=True, slots=True)
class RowReading:
    """What became of a row: ``row`` is None when it was refused. ``recovered`` names values put right."""

    row: ListingRow | None
    problems: tuple[RowProblem, ...] = ()
    recovered: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conventions:
    """What a number means where neither its cell nor its heading says: the habits of a file or market."""

    currency: str
    distance_unit: str = "km"
    consumption_unit: str = "l_100km"
    power_unit: str = "hp"
    vat: str = ""  # "net" or "gross" where the operator says so, whatever the file says
    assumptions: tuple[str, ...] = ()  # what was guessed, in words for the operator


def find_conventions(
    columns: Sequence[Column],
    sample: Sequence[Sequence[str]],
    *,
    market_currency: str,
    market_distance: str = "",
    currency: str = "",
    distance_unit: str = "",
    named: NamedMapping | None = None,
    vat: str = "",
) -> Conventions:
    """Settle units and currency: what the operator said, then what the file shows, then the market's habit."""
    named = named or NamedMapping()
    assumptions = []
    money = currency or named.currency or _currency_shown(columns, sample)
    has_price = any(column.field == "price" for column in columns)
    has_currency = any(column.field == "currency" for column in columns)
    of_language = _currency_of_language(columns, market_currency)
    if has_price and not money and not has_currency and not of_language:
        assumptions.append(f"prices name no currency: read as {market_currency}; say --currency if they are not")
    if has_price and not money and of_language:
        assumptions.append(
            f"prices are read as {of_language}, by the language of the headings; say --currency if they are not"
        )
    money = money or of_language or market_currency
    distance = distance_unit or named.distance_unit
    if not distance:
        distance, assumption = _distance_unit(columns, money, market_distance if money == market_currency else "")
        assumptions += [assumption] if assumption else []
    consumption = named.consumption_unit or ("mpg_us" if money == "USD" else "mpg" if distance == "mi" else "l_100km")
    power = named.power_unit or ("hp" if distance == "mi" or money == "INR" else "ps")
    if any(column.field == "power" and not column.unit for column in columns) and not named.power_unit:
        assumptions.append("a power without a unit is read as horsepower; say --map COLUMN=power_kw if it is kilowatts")
    return Conventions(money, distance, consumption, power, vat, tuple(assumptions))


_HEADINGS_BY_CURRENCY = {  # bare headings that one country's language has
    "SEK": frozenset(["vaxellada", "drivmedel", "miltal", "matarstallning", "farg", "kaross", "bransle", "marke"]),
    "NOK": frozenset(["girkasse", "drivstoff", "merke", "hjuldrift", "karosseri", "farge", "sted", "km stand"]),
    "DKK": frozenset(["maerke", "braendstof", "argang", "aargang", "farve", "gearkasse", "drivmiddel", "annonce nr"]),
    "PLN": frozenset(["przebieg", "skrzynia biegow", "rok produkcji", "paliwo", "marka pojazdu", "rodzaj paliwa"]),
    "CZK": frozenset(["prevodovka", "najeto", "karoserie", "palivo", "rok vyroby", "znacka", "barva"]),
    "RUB": frozenset(bare(word) for word in ("Пробег", "КПП", "Год выпуска", "Коробка", "Топливо", "Марка", "Цена")),
}


# Two of these say that prices are in euros, unless the language is spoken in the marketplace's own country too.
_EURO_HEADINGS = frozenset(
    bare(word)
    for words in (
        "kilometerstand laufleistung erstzulassung kraftstoff getriebe hersteller preis verkaufspreis",
        "marque modele kilometrage carburant prix annee couleur carrosserie energie boite",
        "modello chilometri alimentazione prezzo immatricolazione colore carrozzeria cambio chilometraggio",
        "merk bouwjaar brandstof prijs kleur vraagprijs carrosserie",
        "μαρκα μοντελο χιλιομετρα τιμη καυσιμο merkki malli hinta vuosimalli",
    )
    for word in words.split()
)
_ALSO_SPEAK_THEM = frozenset([
    "EUR", "CHF", "CAD", "MAD", "XOF", "XAF", "TND", "DZD", "XPF", "MGA", "GNF", "CDF", "RWF", "BIF", "DJF", "KMF",
    "HTG", "MUR", "MRU", "LBP", "SCR", "VUV", "SRD", "AWG", "ANG", "XCG",
])  # fmt: skip


def _currency_of_language(columns: Sequence[Column], market_currency: str) -> str:
    """The currency of the country whose language the headings are in; '' where that is open."""
    if any(column.unit == "mil" for column in columns):
        return "SEK"
    headings = {bare(column.heading) for column in columns}
    n_words = {code: len(headings & words) for code, words in _HEADINGS_BY_CURRENCY.items()}
    code = max(n_words, key=lambda each: n_words[each])
    if n_words[code] >= 2:
        return code
    is_euro = market_currency not in _ALSO_SPEAK_THEM and len(headings & _EURO_HEADINGS) >= 2
    return "EUR" if is_euro else ""


def _currency_shown(columns: Sequence[Column], sample: Sequence[Sequence[str]]) -> str:
    """The currency of the price column's heading or cells; other headings' (``tax(£)``) only after those."""
    prices = [column for column in columns if column.field == "price"]
    for column in prices:
        if column.currency:
            return column.currency
    shown = [
        code for column in prices for cells in sample
        if column.index < len(cells) and (code := quantities.currency_in(cells[column.index]))
    ]  # fmt: skip
    shown = shown or [
        code for column in columns if column.field == "currency" for cells in sample
        if column.index < len(cells) and (code := quantities.currency_in(cells[column.index]))
    ]  # fmt: skip
    if shown:
        return max(set(shown), key=shown.count)
    return next((column.currency for column in columns if column.currency), "")


def _distance_unit(columns: Sequence[Column], currency: str, market_distance: str = "") -> tuple[str, str]:
    """(unit, what was assumed): miles where the file also counts miles per gallon, else by the currency's market.

    ``market_distance``: "mi" or "km" where the file's market is our own; '' elsewhere.
    """
    unmarked = [column for column in columns if column.field == "mileage" and not column.unit]
    miles = any(column.field == "consumption" and column.unit.startswith("mpg") for column in columns)
    custom = "mi" if currency in MILES_MARKETS else "km"
    unit = "mi" if miles else market_distance or custom
    if not unmarked:
        return unit, ""
    why = f"the custom where prices are in {currency}" if unit == custom else "the unit of this marketplace"
    why = "the file counts miles per gallon" if miles else why
    other = "km" if unit == "mi" else "mi"
    words = {"mi": "miles", "km": "kilometres"}
    return unit, (
        f"“{unmarked[0].heading}” names no unit: read as {words[unit]} ({why}); "
        f"say --distance-unit {other} if it is {words[other]}"
    )


# --- Single values ---------------------------------------------------------------------------------------------------
class Shortened(str):
    """A text that was cut to what its column holds."""

    __slots__ = ()


_TAG = re.compile(r"<(?:/?[a-z][^<>]{0,2000}|!--.*?--)>", re.IGNORECASE | re.DOTALL)
_KNOWN_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|body|br|center|div|em|font|h[1-6]|head|hr|html|i|iframe|img|li|link|meta|object|ol|p|pre|"
    r"script|small|span|strong|style|sub|sup|svg|table|tbody|td|th|thead|title|tr|u|ul)\b[^<>]{0,2000}>",
    re.IGNORECASE,
)
_NOT_TEXT = re.compile(r"<(script|style|head|iframe|object|svg)\b[^>]*>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_LINE_END = re.compile(r"<\s*(?:br|/?p|/?li|/?div|/?tr|/?h[1-6]|/?ul|/?ol|hr)\b[^<>]*>", re.IGNORECASE)
_BARE_NUMBER = re.compile(r"[\d.,]+")
_SIGNS_OF_A_FORMULA = ("=", "+", "-", "@")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def clean_text(text: str) -> str:
    """Without control characters, mark-up and entities; spaces tidied within each line."""
    text = _CONTROL.sub("", text)
    if text[:1] == "'" and text[1:2] in _SIGNS_OF_A_FORMULA:
        text = text[1:]  # what exports, ours among them, put before a text that a spreadsheet would calculate
    if "<" in text:
        text = _without_markup(_CDATA.sub(r"\1", text), _TAG)
    if "&" in text:
        text = _CONTROL.sub("", html.unescape(text))
        if "<" in text:  # mark-up that was escaped; "<3yr>" is not, so only tags of HTML go
            text = _without_markup(text, _KNOWN_TAG)
    lines = (" ".join(quantities.plain_spaces(line).split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _without_markup(text: str, tag: re.Pattern[str]) -> str:
    return tag.sub("", _LINE_END.sub("\n", _NOT_TEXT.sub(" ", text)))


def _read_text(length: int, text: str) -> str:
    cleaned = clean_text(text)
    return cleaned if len(cleaned) <= length else Shortened(cleaned[:length].rstrip())


def _read_line(length: int, text: str) -> str:
    return _read_text(length, text.replace("\n", " ").replace("\r", " "))


def _read_name(text: str) -> str:
    """Make or model; "other" names none."""
    name = tidy(clean_text(text).replace("\n", " "))
    return "" if bare(name).replace(" ", "-") in OTHER_WORDS else name


def _read_word(field: str, text: str) -> str | None:
    vocabulary = VOCABULARIES[field]
    value = vocabulary.read(text)
    if value is None and field == "body" and bare(text) in phrases_of("any_car"):
        return None
    if value is None and (apart := _CAMEL_CASE.sub(" ", text)) != text:
        value = vocabulary.read(apart)  # "EstateCar"
    if value is None and bare(text).replace(" ", "-") in OTHER_WORDS:
        return None
    if value is None:
        raise Unreadable(f"not a known {field.replace('_', ' ')}")
    return value


_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
UNKNOWN_STATUS = "not a known status, so the car is not put on sale"


def _read_status(text: str) -> str:
    """A status we do not know is refused here and becomes a draft: "not available" is not "available"."""
    value = status_of(text)
    if value is None:
        raise Unreadable(UNKNOWN_STATUS)
    return value


def _read_flag(yes: str, no: str, text: str) -> str:
    """A column of yes and no (``Sold?``, ``In stock``) -> the status it stands for; '' where it decides nothing.

    A quantity counts as yes unless it is zero; a date or a word of the status vocabulary speaks for itself.
    """
    word = bare(text)
    if word in phrases_of("no") or re.fullmatch(r"0+(?:[.,]0+)?|-\d+", text):
        return no
    if word in phrases_of("yes") or re.fullmatch(r"\d{1,4}(?:[.,]0+)?", text):
        return yes
    if status := status_of(text):
        return "" if status == "live" else status
    if yes and re.search(r"\d", text):
        return yes  # the date of sale
    raise Unreadable("neither yes nor no")


_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_VIN_LABEL = re.compile(r"^(?:VIN|FIN|CHASSIS(?:NO)?)[.:#]+")


def read_vin(text: str) -> str:
    """17 letters and digits, without I, O and Q; shorter numbers of old cars' frames stay as they are written."""
    vin = _VIN_LABEL.sub("", re.sub(r"[\s-]", "", clean_text(text)).upper())
    if len(set(vin)) < 4:
        raise Unreadable("not a vehicle identification number")
    if len(vin) == 17 and not _VIN.fullmatch(vin):
        raise Unreadable("not a vehicle identification number")
    if not re.fullmatch(r"(?=.*\d)[A-Z0-9]{5,17}", vin):
        raise Unreadable("not a vehicle identification number")
    return vin


def _read_place(text: str) -> str:
    """A town, or the town of an address that is written as JSON."""
    if text.startswith("{"):
        try:
            parts = json.loads(text)
        except ValueError:
            parts = {}
        named = {bare(str(name)): str(value) for name, value in parts.items() if isinstance(value, str | int)}
        text = next((named[name] for name in _TOWN_KEYS if named.get(name)), "")
    return _read_line(PLACE_LENGTH, text)


_TOWN_KEYS = ("city", "town", "addresslocality", "locality", "ort", "ville", "region", "state", "postal code", "zip")


def _read_id(text: str) -> str:
    identity = clean_text(text)
    if re.fullmatch(r"\d(?:[.,]\d+)?e\+?\d+", identity, re.IGNORECASE):
        raise Unreadable("an id that a spreadsheet has rounded")
    if re.fullmatch(r"\d+\.0", identity):
        identity = identity[:-2]
    if len(identity) > ID_LENGTH:
        raise Unreadable(f"an id of more than {ID_LENGTH} characters")
    return identity


def _read_tags(text: str) -> tuple[str, ...]:
    parts = re.split(r"[,;|\n]", clean_text(text).strip("[](){}"))
    tags = (" ".join(part.strip(" '\"\t*-").casefold().split())[:TAG_LENGTH].rstrip() for part in parts)
    return tuple(dict.fromkeys(tag for tag in tags if tag and not is_missing(tag)))[:MAX_TAGS]


_ADDRESS_IN_QUOTES = re.compile(r"(?:https?:)?//[^\s\"'<>\\|]+")
_BETWEEN_ADDRESSES = re.compile(r"[,;](?=(?:https?:)?//)")


def _read_addresses(at_most: int, max_length: int, text: str) -> tuple[str, ...]:
    """The valid addresses of a cell, in their order; what is none is left out."""
    text = text.strip().replace("&amp;", "&").replace("\\/", "/").replace("\\u0026", "&")  # JSON may escape them
    if "<" in text or '"' in text:  # mark-up, or JSON
        quoted = _ADDRESS_IN_QUOTES.findall(text) or [text]
        pieces = [piece for each in quoted for piece in _BETWEEN_ADDRESSES.split(each)]
    else:
        pieces = re.split(r"[\s;|]+|,(?=\s*'?(?:https?:)?//)|,\s", text)
    pieces = [piece.strip("\"'[]{}") for piece in pieces]
    addresses = [f"https:{piece}" if piece.startswith("//") else piece for piece in pieces]
    found = tuple(
        dict.fromkeys(address for address in (each.rstrip(",;") for each in addresses) if is_web_address(address))
    )
    if not found:
        raise Unreadable("not a web address")
    short = tuple(address for address in found if len(address) <= max_length)
    if not short:
        raise Unreadable(f"an address of more than {max_length} characters")
    return short[:at_most]


def _read_url(text: str) -> str:
    """The first valid address of a cell that may hold several."""
    return _read_addresses(1, URL_LENGTH, text)[0]


def _read_price(currency_of_column: str, unit: str, text: str) -> Money | None:
    """A cell's own currency goes before its column's; the row's and the file's come after both.

    ``unit`` is "minor" for a column of pence or cents and "net" for one without value added tax. Where the cell names
    a tax that comes on top, or its column is net, the amount is raised by the standard rate, as a buyer pays it.
    """
    money = quantities.read_money(text)
    if money is None:
        return None
    amount = (
        money.amount / 100 if unit == "minor" and money.amount == money.amount.to_integral_value() else money.amount
    )
    return Money(
        round(amount, 2), money.currency or currency_of_column, money.vat or ("netto" if unit == "net" else "")
    )


def _read_vat_status(text: str) -> str:
    """The word by which a column says that value added tax comes on top of the price: ``Plus VAT``, ``net``.

    A cell with an amount (``20% VAT, net £8,333``) speaks of that amount, and not of the price.
    """
    has_amount = any(not number.after.lstrip().startswith("%") for number in quantities.numbers_in(text))
    return "" if has_amount or _HOLDS_VAT.search(bare(text)) else quantities.vat_on_top(text.casefold())


_HOLDS_VAT = re.compile(  # in a price's heading or cell
    r"\b(?:inc|incl\w*|inkl\w*|gross|brutto|bruto|lordo|ttc|ivato|comprise?s?|"
    r"(?:with|mit|con|com|med|met|avec|s|z) (?:vat|mwst|ust|iva|moms|mva|btw|tva|dph))\b"
)


def _read_tax(text: str) -> Decimal | None:
    """A year's tax; unlike a price it may be nothing at all."""
    money = quantities.read_money(text)
    amount = money.amount if money else Decimal("0.00")
    if not money and not quantities.numbers_in(text):
        return None
    if amount > MAX_ANNUAL_TAX:
        raise Unreadable("too large an amount")
    return amount


def _reader_of_number(number: Number) -> Callable[[str], Any]:
    """How a number is read that has no units of its own."""
    if number.kind == "money":
        return _read_tax
    is_whole = number.kind != "fraction"
    largest = number.holds_at_most if is_whole else number.largest
    return partial(quantities.read_plain_number, is_whole=is_whole, largest=largest)


def _read_colour(text: str) -> str:
    return colour_of(clean_text(text))


def _read_currency(text: str) -> str:
    if code := quantities.currency_in(text):
        return code
    raise Unreadable("not a known currency")


def _read_mileage(unit: str, one_of_several: bool, text: str) -> int | None:
    """Where several columns claim to be the odometer, the one with decimals is something else."""
    mileage = quantities.read_distance_km(text, unit)
    if mileage is not None and one_of_several and mileage < 1_000 and quantities.has_fraction(text):
        raise Unreadable("decimals, which no odometer shows")
    return mileage


def _read_age(this_year: int, text: str) -> int:
    numbers = quantities.numbers_in(text)
    if len(numbers) != 1 or not 0 <= (years := numbers[0].value(thousands=False)) <= 100:
        raise Unreadable("not an age in years")
    return this_year - int(years)


def _read_damage_in_words(text: str) -> str:
    """Under "condition", where a number or a letter is a grade, and yes and no answer another question."""
    word = bare(text)
    is_a_grade = len(word) < 4 or word.isdecimal() or word in phrases_of("yes") | phrases_of("no")
    return "" if is_a_grade else _read_damage("", text)


def _read_damage(unit: str, text: str) -> str:
    """``unit`` is "free" for a column that says whether the car is free of it."""
    if bare(text) in phrases_of("no_damage_said"):
        return ""
    damage = damage_of(text, is_free=unit == "free")
    if damage is None:
        raise Unreadable("not a known damage")
    return damage


def _read_offer(text: str) -> str:
    return "wanted" if bare(text) in WANTED_WORDS else ""


_READERS: dict[str, Callable[[str], Any]] = {  # fields whose cells mean the same in every file
    "external_id": _read_id,
    "title": partial(_read_line, TITLE_LENGTH),
    "description": partial(_read_text, DESCRIPTION_LENGTH),
    "tags": _read_tags,
    "make": _read_name,
    "model": _read_name,
    "variant": partial(_read_line, TITLE_LENGTH),
    "vin": read_vin,
    "mileage_unit": quantities.read_distance_unit,
    "power_unit": quantities.read_power_unit,
    "is_sold": partial(_read_flag, "sold", ""),
    "is_reserved": partial(_read_flag, "reserved", ""),
    "is_for_sale": partial(_read_flag, "", "withdrawn"),
    "currency": _read_currency,
    "colour": _read_colour,
    "engine": quantities.read_engine_l,
    "doors": quantities.read_doors,
    "seats": quantities.read_seats,
    "owner_count": quantities.read_owner_count,
    "annual_tax": _read_tax,
    "vat_status": _read_vat_status,
    "url": _read_url,
    "registration_month": quantities.read_month_of_year,
    "place": _read_place,
    "latitude": partial(quantities.read_coordinate, limit=90),
    "longitude": partial(quantities.read_coordinate, limit=180),
    "seller_id": partial(_read_line, ID_LENGTH),
    "seller_name": partial(_read_line, SELLER_LENGTH),
    "seller_phone": partial(_read_line, SELLER_LENGTH),
    "seller_vat": partial(_read_line, SELLER_LENGTH),
    "seller_url": partial(_read_line, SELLER_LENGTH),
    "status": _read_status,
    "offer": _read_offer,
}


_NAME_A_ROW = ("external_id", "make", "model", "title")


# --- Rows ------------------------------------------------------------------------------------------------------------
_Read = Callable[[str], tuple[Any, str]]  # text -> (value or None, reason or '')


def _by_field(columns: Sequence[Column]) -> dict[str, list[Column]]:
    """The columns of each field, the one that is asked first at the front."""
    by_field: dict[str, list[Column]] = {}
    # A price without tax is asked last: where one with tax stands beside it, nothing has to be added.
    for column in sorted(columns, key=lambda column: (column.unit == "net", column.rank, column.index)):
        by_field.setdefault(column.field, []).append(column)
    return by_field


def _by_bare_word(words: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """What an operator taught, by the bare word; of a model by its slugs, as they are."""
    return {
        name: {word if name == "model" else bare(word): value for word, value in taught.items()}
        for name, taught in words.items()
    }


class RowReader:
    """Reads the rows of one file. Pure: the same cells give the same reading, whatever came before."""

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
        self._conventions, self._words = conventions, _by_bare_word(words or {})
        self._this_year = this_year
        self._make, self._model = make, model
        self._dates: dict[str, Any] = {"this_year": this_year, "month_first": conventions.currency == "USD"}
        self._read_moment = partial(quantities.read_moment, **self._dates)
        self._headings = [heading.strip() for heading in headings]
        self._delimiter = delimiter
        self._columns = {column.index: column for column in columns}
        self._by_field = _by_field(columns)
        self._units_apart = [
            (field, f"{field}_unit") for field in ("mileage", "power")
            if field in self._by_field and f"{field}_unit" in self._by_field
        ]  # fmt: skip
        self._families = {column.field for column in columns if column.is_repeated}
        self._readers = {column.index: self._remembering_reader_of(column) for column in columns}
        self._with_condition = [column for column in self._by_field.get("tags", ()) if says_condition(column.heading)]
        self._condition_in_tags = _remembering(partial(_read_word, "condition"))
        self._damage_in_tags = _remembering(_read_damage_in_words)
        self._with_month = [column for column in self._by_field.get("year", ()) if says_registration(column.heading)]
        self._month_in_year = _remembering(partial(quantities.read_month, **self._dates))
        self._power_in_engine = _remembering(_power_beside_engine)
        self._fuel_in_engine = _remembering(_fuel_beside_engine)
        self._by_unit: dict[tuple[str, str], _Read] = {}  # of fields whose unit stands in a column of its own
        self._pairs = HeaderReader().pairs(headings)
        self._pair_readers: dict[str, tuple[Column, _Read] | None] = {}

    def read(self, cells: Sequence[str]) -> RowReading:
        """Read one record; short ones are padded, long ones mended when it is clear how."""
        if not any(cell.strip() for cell in cells):
            return _refused("the row is empty")
        problems: list[RowProblem] = []
        recovered: list[str] = []
        if self._headings and len(cells) != len(self._headings):
            fitted = self._fit(list(cells), problems, recovered)
            if fitted is None:
                return _refused(f"{len(cells)} cells, where the header has {len(self._headings)}", self._whole(cells))
            cells = fitted
        if self._headings and [cell.strip() for cell in cells] == self._headings:
            return _refused("the header again", self._whole(cells))
        values = self._values(cells, problems, recovered)
        if values.get("offer") == "wanted":
            return _refused("an advert asking for a car, not offering one", self._whole(cells))
        if reason := self._why_no_car(cells, values):
            return _refused(reason, self._whole(cells))
        return self._finish(cells, values, problems, recovered)

    # -- values
    def _values(self, cells: Sequence[str], problems: list[RowProblem], recovered: list[str]) -> dict[str, Any]:
        """Every field's value, by the columns that claim it; what could not be read is put right or reported."""
        values: dict[str, Any] = {}
        failures: list[tuple[Column, str, str]] = []
        n_cells = len(cells)
        for columns in self._by_field.values():
            for column in columns:
                if column.index >= n_cells:
                    continue
                text = cells[column.index]
                value, reason = self._readers[column.index](text)
                if reason:
                    failures.append((column, text, reason))
                if has_content(value):
                    self._keep(column, text, value, values, problems)
        self._read_with_units(cells, values, failures)
        self._read_pairs(cells, values)
        if failures:
            self._mend(failures, cells, values, problems, recovered)
        if "engine" in self._by_field:
            self._read_beside_engine(cells, values)
        self._read_beside_condition(cells, values)
        self._read_month(cells, values)
        if "vat_status" in values and self._price_holds_vat(cells):
            del values["vat_status"]
        return values

    def _price_holds_vat(self, cells: Sequence[str]) -> bool:
        """Whether the heading or the cell of the price says that value added tax is in it."""
        for column in self._by_field.get("price", ()):
            if column.index < len(cells) and has_content(self._readers[column.index](cells[column.index])[0]):
                return bool(_HOLDS_VAT.search(f"{split_words(column.heading)} {bare(cells[column.index])}"))
        return False

    def _read_with_units(
        self, cells: Sequence[str], values: dict[str, Any], failures: list[tuple[Column, str, str]]
    ) -> None:
        """Read a distance or power again by the unit that the row names in another column; one in the cell wins."""
        for field, unit_field in self._units_apart:
            unit = values.get(unit_field)
            for column in self._by_field[field]:
                if not unit or column.index >= len(cells) or any(failed is column for failed, *_ in failures):
                    continue
                key = (field, unit)
                if key not in self._by_unit:
                    self._by_unit[key] = _remembering(self._reader_of(replace(column, unit=unit)))
                value, _ = self._by_unit[key](cells[column.index])
                if has_content(value):
                    values[field] = value
                    break

    def _read_pairs(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        for name_index, value_index in self._pairs:
            if max(name_index, value_index) < len(cells):
                self._read_pair(cells[name_index], cells[value_index], values)

    def _read_pair(self, name: str, text: str, values: dict[str, Any]) -> None:
        """A cell whose meaning stands in the cell beside it; it fills only what no column of its own says."""
        if name not in self._pair_readers:
            column = recognise(name) if name.strip() and len(self._pair_readers) < CACHE_SIZE else None
            self._pair_readers[name] = (column, _remembering(self._reader_of(column))) if column else None
        found = self._pair_readers[name]
        if found:
            value, _ = found[1](text)
            if has_content(value):
                values.setdefault(found[0].field, value)

    def _why_no_car(self, cells: Sequence[str], values: dict[str, Any]) -> str:
        """Why the row offers no car: a motorbike, caravan or part by its category or title, or a sum; '' if it may."""
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
        return "a sum, not a car" if self._is_sum(cells, values) else ""

    def _is_sum(self, cells: Sequence[str], values: dict[str, Any]) -> bool:
        """Whether a word for a sum stands where the car would be named; under "damage" or "seller" it is none."""
        totals = phrases_of("totals")
        names = ("make", "title", "vin", "model") if self._make else ("make", "title", "vin")
        if any(name and bare(name) not in totals for name in map(values.get, names)):
            return False
        naming = [column.index for field in _NAME_A_ROW for column in self._by_field.get(field, ())]
        named_by = [cells[index] for index in naming if index < len(cells)]
        return any(bare(cell) in totals for cell in (next((cell for cell in cells if cell.strip()), ""), *named_by))

    def _mend(
        self,
        failures: Sequence[tuple[Column, str, str]],
        cells: Sequence[str],
        values: dict[str, Any],
        problems: list[RowProblem],
        recovered: list[str],
    ) -> None:
        """Find values that stand in the wrong column where they belong; report the others."""
        found_elsewhere: dict[str, Column] = {}
        for column, text, reason in failures:
            if reason.startswith(CUT):
                problems.append(RowProblem(column.heading, text.strip()[:255], reason))
            elif stray := self._recover(column, text, values):
                values[stray[0]] = stray[1]
                found_elsewhere[stray[0]] = column
                recovered.append(f"{column.heading} → {stray[0]}")
        for column, text, reason in failures:
            if column not in found_elsewhere.values() and self._is_worth_reporting(
                column, reason, values, found_elsewhere
            ):
                problems.append(RowProblem(column.heading, text.strip()[:255], reason))
        self._drop_between(found_elsewhere, cells, values, problems)

    def _is_worth_reporting(
        self, column: Column, reason: str, values: dict[str, Any], found_elsewhere: dict[str, Column]
    ) -> bool:
        """A value that was not understood is silent only where another column of its own said the same better."""
        if reason.startswith(CUT):
            return False  # said already
        field = column.field
        return field not in values or field in self._families or field in found_elsewhere

    def _drop_between(
        self,
        found_elsewhere: dict[str, Column],
        cells: Sequence[str],
        values: dict[str, Any],
        problems: list[RowProblem],
    ) -> None:
        """Where two words have left their columns the row is shifted, and bare numbers between mean something else."""
        moved = {field: column for field, column in found_elsewhere.items() if field in VOCABULARIES}
        if len(moved) < 2:
            return
        places = [column.index for column in moved.values()]
        places += [home.index for field in moved for home in self._by_field.get(field, [])]
        for index in range(min(places), max(places) + 1):
            column = self._columns.get(index)
            text = cells[index].strip() if index < len(cells) else ""
            if column and column.field in values and column.field not in moved and _BARE_NUMBER.fullmatch(text):
                del values[column.field]
                problems.append(RowProblem(column.heading, text, "the row is shifted here"))

    def _read_beside_engine(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """``2.0 TDI 150 PS`` under "engine" says the power and the fuel too, where no column of theirs does."""
        beside = (("power", self._power_in_engine), ("fuel", self._fuel_in_engine))
        for column in self._by_field["engine"]:
            for field, read in beside:
                if field in values or field in self._by_field or column.index >= len(cells):
                    continue
                value, _ = read(cells[column.index])
                if value:
                    values[field] = value

    def _read_beside_condition(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """``Used, accident-free`` under "condition" is kept as tags, and says more; a title may say damage too."""
        for column in self._with_condition:
            for field, read in (("condition", self._condition_in_tags), ("damage", self._damage_in_tags)):
                if field not in values and column.index < len(cells) and (value := read(cells[column.index])[0]):
                    values[field] = value
        if "damage" not in values and (damage := damage_in_title(values.get("title", ""))):
            values["damage"] = damage

    def _read_month(self, cells: Sequence[str], values: dict[str, Any]) -> None:
        """The month of the first registration: beside its year, or in a column of its own."""
        if "first_registration" in values:
            return
        for column in self._with_month:
            if column.index < len(cells) and (month := self._month_in_year(cells[column.index])[0]):
                values["first_registration"] = month
                return
        if (year := values.get("year")) and (number := values.get("registration_month")):
            values["first_registration"] = 100 * year + number

    def _keep(self, column: Column, text: str, value: Any, values: dict[str, Any], problems: list[RowProblem]) -> None:
        """The first value of a field is kept; tags add up; twin columns that disagree are reported."""
        field = column.field
        if field not in values:
            values[field] = value
        elif field in ADD_UP:
            values[field] = tuple(dict.fromkeys(values[field] + value))[: ADD_UP[field]]
        elif field in self._families and values[field] != value:
            problems.append(RowProblem(column.heading, text.strip()[:255], f"differs from the other {field}; not used"))

    def _reader_of(self, column: Column) -> Callable[[str], Any]:
        """How a column's cells are read; returns None or '' for unknown, raises Unreadable."""
        read = self._untaught_reader_of(column)
        taught = self._words.get(column.field, {})
        return partial(_read_taught, taught, read) if taught and column.field != "model" else read

    def _remembering_reader_of(self, column: Column) -> _Read:
        return _remembering(
            self._reader_of(column),
            is_text=column.field in TEXT_FIELDS,
            status_of_cell=self._status_of_cell if column.field == "status" else None,
        )

    def _status_of_cell(self, text: str) -> str | None:
        """The status that a whole cell names: what an operator taught, '' for nothing, goes before what we know."""
        taught = self._words.get("status", {}).get(bare(text)) if bare(text) else None
        return STATUS.exact(text) if taught is None else taught

    def _untaught_reader_of(self, column: Column) -> Callable[[str], Any]:
        if read := _READERS.get(column.field) or self._readers_in_units(column).get(column.field):
            return read
        attribute = BY_NAME.get(column.field)
        match attribute:
            case Number(kind="month"):
                return partial(quantities.read_month, **self._dates)
            case Number():
                return _reader_of_number(attribute)
            case Moment():
                return self._read_moment
            case Addresses():
                return partial(_read_addresses, attribute.at_most, attribute.max_length)
        return partial(_read_word, column.field)

    def _readers_in_units(self, column: Column) -> dict[str, Callable[[str], Any]]:
        """By field, how cells are read that the column, the market or the year gives a meaning."""
        habits = self._conventions
        return {
            "year": partial(quantities.read_year, this_year=self._this_year),
            "age_years": partial(_read_age, self._this_year),
            "price": partial(_read_price, column.currency, column.unit),
            "mileage": partial(_read_mileage, column.unit or habits.distance_unit, "mileage" in self._families),
            "damage": partial(_read_damage, column.unit),
            "power": partial(quantities.read_power_kw, unit=column.unit or habits.power_unit),
            "consumption": partial(quantities.read_consumption_l_100km, unit=self._consumption_unit(column.unit)),
        }

    def _consumption_unit(self, unit: str) -> str:
        """A bare "mpg" means the gallon of the market."""
        habit = self._conventions.consumption_unit
        return habit if unit == "mpg" and habit == "mpg_us" else unit or habit

    # -- values in the wrong column
    def _recover(self, column: Column, text: str, values: dict[str, Any]) -> tuple[str, Any] | None:
        """(field, value) of a value that stands in the wrong column and can only be one thing."""
        if len(text) > LONGEST_VALUE:
            return None
        for field, read in self._unmistakable(column, text, values):
            if field in values:
                continue
            try:
                value = read(text)
            except Unreadable:
                continue
            if value is not None:
                return field, value
        return None

    def _unmistakable(
        self, column: Column, text: str, values: dict[str, Any]
    ) -> Iterable[tuple[str, Callable[[str], Any]]]:
        habits = self._conventions
        if quantities.is_marked_as_money(text):
            if "price" not in values:
                yield "price", partial(_read_price, "", "")
            elif (money := _money_or_none(text)) is None or money.amount <= STRAY_TAX_UP_TO:
                yield "annual_tax", _read_tax
        yield from self._under_type(column, text)
        if word_field := "body" if column.field == "vin" else field_of_word(text):  # "chassi" is the body in Sweden
            yield word_field, partial(_read_word, word_field)
        if quantities.has_consumption_unit(text):
            yield "consumption", partial(quantities.read_consumption_l_100km, unit=self._consumption_unit("mpg"))
        if quantities.has_distance_unit(text):
            yield "mileage", quantities.read_distance_km
        if quantities.has_power_unit(text):
            yield "power", quantities.read_power_kw
        if quantities.has_engine_unit(text):
            yield "engine", quantities.read_engine_l
        if column.field == "mileage" and column.is_repeated and "consumption" not in self._by_field:
            yield "consumption", partial(quantities.read_consumption_l_100km, unit=habits.consumption_unit)

    def _under_type(self, column: Column, text: str) -> Iterable[tuple[str, Callable[[str], Any]]]:
        """What "type" and "status" head too: the condition, and in the Netherlands the trim."""
        of_column = {"body": VOCABULARIES["condition"].exact, "status": _condition_under_status}.get(column.field)
        if of_column and of_column(text):
            yield "condition", partial(_read_word, "condition")
        if column.field == "body" and _ENGINE_FIRST.match(text) and "variant" not in self._by_field:
            yield "variant", partial(_read_line, TITLE_LENGTH)

    # -- records of the wrong length
    def _fit(self, cells: list[str], problems: list[RowProblem], recovered: list[str]) -> list[str] | None:
        """Bring a record to the header's length; None when it is not clear how."""
        n_columns = len(self._headings)
        while len(cells) > n_columns and not cells[-1].strip():
            cells.pop()
        if len(cells) < n_columns:
            problems.append(RowProblem("", "", f"only {len(cells)} of {n_columns} cells"))
            return cells + [""] * (n_columns - len(cells))
        if len(cells) == n_columns:
            return cells
        joined = self._joined(cells, len(cells) - n_columns + 1)
        if joined:
            heading, mended = joined
            recovered.append(f"{heading} held a separator")
            return mended
        return None

    def _joined(self, cells: list[str], n_pieces: int) -> tuple[str, list[str]] | None:
        """Join the pieces of the one cell that held an unquoted separator, if only one way leaves no bad value."""
        found: list[tuple[Column, list[str]]] = []
        for index, column in self._columns.items():
            pieces = cells[index : index + n_pieces]
            if len(pieces) == n_pieces and _belong_together(column.field, pieces):
                mended = [*cells[:index], self._delimiter.join(pieces), *cells[index + n_pieces :]]
                problems: list[RowProblem] = []
                self._values(mended, problems, [])
                if not problems:
                    found.append((column, mended))
        if len(found) > 1:
            found = [pair for pair in found if pair[0].field in FREE_TEXT]
        return (found[0][0].heading, found[0][1]) if len(found) == 1 else None

    # -- the row as a whole
    def _finish(
        self, cells: Sequence[str], values: dict[str, Any], problems: list[RowProblem], recovered: list[str]
    ) -> RowReading:
        name = self._named(values)
        row = self._row(name, values, problems, recovered)
        if (status := self._status(cells, values, row)) != row.status:
            row = replace(row, status=status)
        if "make or title" in row.missing_for_sale and row.price is None:
            return _refused("neither make, model nor title, and no price", self._whole(cells), problems)
        if not any(has_content(getattr(row, field)) for field in _FACTS):
            return _refused("nothing but a name: not an advertisement", self._whole(cells), problems)
        for missing in row.missing_for_sale:
            heading = next((c.heading for c in self._by_field.get(missing.split(" ")[0], [])), missing)
            problems.append(RowProblem(heading, "", f"no {missing}: a new listing waits as a draft"))
        return RowReading(row, tuple(problems), tuple(recovered))

    def _named(self, values: dict[str, Any]) -> CarName:
        """The car's name, with a model that an operator said is another one; its trim stays."""
        title = values.get("title", "")
        name = name_car(values.get("make", "") or self._make, values.get("model", "") or self._model, title)
        taught = self._words.get("model", {}).get(f"{name.make_slug}/{name.model_slug}")
        if taught is None:
            return name
        other = name_car(name.make, taught)
        return replace(other, variant=" ".join(filter(None, (other.variant, name.variant))), year=name.year)

    def _status(self, cells: Sequence[str], values: dict[str, Any], row: ListingRow) -> str:
        """What ends a listing wins, wherever the row says it; a status we do not know is a draft."""
        said = {values.get(field, "") for field in ("status", "is_sold", "is_reserved", "is_for_sale")}
        said |= {
            status for column in self._by_field.get("price", ())
            if column.index < len(cells) and (status := _status_in_price(cells[column.index]))
        }  # fmt: skip
        for status in ("sold", "withdrawn", "expired", "reserved"):
            if status in said:
                return status
        is_unknown = "status" not in values and any(
            column.index < len(cells)
            and not is_missing(quantities.plain_spaces(cells[column.index]))
            and bare(cells[column.index]) not in self._words.get("status", {})
            and not _condition_under_status(cells[column.index])
            for column in self._by_field.get("status", ())
        )
        return "draft" if is_unknown else values.get("status", "")

    def _row(
        self, name: CarName, values: dict[str, Any], problems: list[RowProblem], recovered: list[str]
    ) -> ListingRow:
        money = self._priced(values, problems, recovered)
        variant = values.get("variant", "")
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
            **{each.column: values.get(each.name, UNKNOWN[type(each)][1]) for each in ATTRIBUTES},
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
        """The price with its currency: its own, else the row's, else the file's; with the tax that comes on top."""
        money: Money | None = values.get("price")
        if money is None:
            return None
        candidates = [code for code in (values.get("currency"), self._conventions.currency) if code]
        try:
            currency = quantities.settle_currency(money.currency or candidates[0], candidates)
            if not money.vat and (vat := values.get("vat_status")):
                money = replace(money, vat=vat)
            return Money(self._with_vat(money, currency, problems, recovered), currency)
        except Unreadable as reason:
            heading = next((column.heading for column in self._by_field.get("price", [])), "price")
            problems.append(RowProblem(heading, str(money.amount), str(reason)))
            return None

    def _with_vat(self, money: Money, currency: str, problems: list[RowProblem], recovered: list[str]) -> Decimal:
        """The amount as a buyer pays it. Where the rate is not known the amount stays, with a note."""
        vat = {"gross": "", "net": money.vat or "netto"}.get(self._conventions.vat, money.vat)
        if not vat:
            return money.amount
        rate = quantities.vat_rate(vat, currency)
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
        """Both or neither; 0 and 0 stand for coordinates that were not filled in."""
        latitude, longitude = values.get("latitude"), values.get("longitude")
        if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
            return None, None
        return latitude, longitude

    def _whole(self, cells: Sequence[str]) -> str:
        return self._delimiter.join(cell.strip() for cell in cells)[:255]


def _remembering(
    read: Callable[[str], Any], *, is_text: bool = False, status_of_cell: Callable[[str], str | None] | None = None
) -> _Read:
    """Cells repeat: remember what each text meant. Bounded, so that a column of prose does not fill the memory.

    ``status_of_cell`` is asked first: "not available" says what has become of a car, and not that nothing is known.
    """
    known: dict[str, tuple[Any, str]] = {}

    def remembered(text: str) -> tuple[Any, str]:
        result = known.get(text)
        if result is None and status_of_cell and (status := status_of_cell(text)) is not None:
            result = status or None, ""
        elif result is None:
            result = _attempt(read, text) if is_text or len(text) <= LONGEST_VALUE else (None, "too long to be a value")
            if len(text) <= 100:
                if len(known) >= CACHE_SIZE:
                    known.clear()
                known[text] = result
        return result

    return remembered


def _attempt(read: Callable[[str], Any], text: str) -> tuple[Any, str]:
    stripped = quantities.plain_spaces(text).strip()
    if is_missing(stripped):
        return None, ""
    try:
        value = read(stripped)
    except Unreadable as reason:
        return None, str(reason)
    if isinstance(value, Shortened):
        return str(value), f"{CUT} to {len(value):,} characters"
    return value, ""


def _read_taught(taught: Mapping[str, str], read: Callable[[str], Any], text: str) -> Any:
    """A word that an operator said the meaning of means that; '' means that it says nothing."""
    value = taught.get(bare(text))
    return read(text) if value is None else value or None


def no_car_by_category(text: str) -> str:
    """Why a category's cell names no car: ``Motorrad``, ``Cars > Parts``; '' when it may."""
    levels = [bare(level) for level in re.split(r"[>/|,;]", text)[-3:]]
    if any(level in phrases_of("not_a_car") for level in levels):
        return "no car: a motorbike, caravan, trailer or boat"
    return "no car: a part" if any(level in phrases_of("parts") for level in levels) else ""


_SET_OF = re.compile(
    r"^(?:\d+ ?x |set of |pair of |satz |jeu de |juego de )?(?:\d+ )?(?:(?:inch|zoll|pouces|pollici|pulgadas|tum) )?"
)
_ENGINE_FIRST = re.compile(r"\s*\d[.,]\d\b")


def no_car_by_title(title: str) -> str:
    """Why a heading offers no car, by its first words: ``Wohnwagen Hobby``, ``4 x alloy wheels``; '' when it may."""
    if bare(title).partition(" ")[0] in WANTED_WORDS:
        return "an advert asking for a car, not offering one"
    words = _SET_OF.sub("", bare(title)).split()
    for n_words in (3, 2, 1):
        start = " ".join(words[:n_words])
        if start in phrases_of("not_a_car") and start not in _ALSO_A_MODEL:
            return "no car: a motorbike, caravan, trailer or boat"
        if start in phrases_of("parts"):
            return "no car: a part"
    return ""


def _condition_under_status(text: str) -> str:
    """``used`` or ``demo``, which a car for sale is; "new" may mean that it was just entered, a letter anything."""
    condition = VOCABULARIES["condition"].exact(text) if len(bare(text)) > 1 else ""
    return condition if condition in ("used", "demo") else ""


_ALSO_A_MODEL = frozenset(["caravan", "scooter", "roller", "moto", "quad", "mc", "bus coach"])
_AFTER_THE_PRICE = re.compile(r"[\d£$€.,\s]+")


def _status_in_price(text: str) -> str:
    """``SOLD``, ``£8,995 (reserved)`` -> the status; '' when a price cell names none."""
    if not any(letter.isalpha() for letter in text) or len(text) > LONGEST_VALUE:
        return ""
    status = STATUS.exact(_AFTER_THE_PRICE.sub(" ", text))
    return status if status in ("sold", "reserved") else ""


def _fuel_beside_engine(text: str) -> str | None:
    """``2.0 TDI (110 kW)`` under "engine" says the fuel too."""
    return VOCABULARIES["fuel"].read(text)


def _power_beside_engine(text: str) -> int | None:
    """``300.0HP 3.7L V6`` under "engine" says the power too."""
    says_power = quantities.has_power_unit(text) or quantities.has_polish_power(text)
    return quantities.read_power_kw(text) if says_power else None


def _money_or_none(text: str) -> Money | None:
    try:
        return quantities.read_money(text)
    except Unreadable:
        return None


def _belong_together(field: str, pieces: Sequence[str]) -> bool:
    """Whether pieces of a record can be one cell: words with words, a number with its thousands or decimals."""
    if field in ("price", "mileage", "annual_tax"):
        return bool(re.search(r"\d\s*$", pieces[0])) and all(re.match(r"\s*\d{2,3}\b", piece) for piece in pieces[1:])
    if field in ("engine", "consumption", "power"):
        return bool(re.search(r"\d\s*$", pieces[0])) and len(pieces) == 2 and bool(re.match(r"\s*\d{1,2}\b", pieces[1]))
    return field in (*FREE_TEXT, "make", "model") and all(re.search(r"[^\W\d_]", piece) for piece in pieces)


def _refused(reason: str, value: str = "", problems: Iterable[RowProblem] = ()) -> RowReading:
    return RowReading(None, (*problems, RowProblem("", value, reason, is_fatal=True)))
