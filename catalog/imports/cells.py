"""Read one cell into the value of one field, or raise ``Unreadable`` with the reason; no row, no file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from catalog.attributes import Number, is_web_address
from catalog.imports import quantities
from catalog.imports.colours import read_colour
from catalog.imports.dates import read_month_of_year
from catalog.imports.money import CURRENCY_BY_WORD, Money, currency_in, currency_or_family, read_money
from catalog.imports.names import tidy
from catalog.imports.numbers import Unreadable, has_fraction, numbers_in, read_plain_number
from catalog.imports.texts import clean_text, read_line, read_text
from catalog.imports.vocabulary import (
    OTHER_WORDS,
    SELLER_KIND,
    STATUS,
    VOCABULARIES,
    WANTED_WORDS,
    bare,
    damage_of,
    field_of_word,
    is_missing,
    phrases_of,
    status_of,
)

LONGEST_VALUE = 300  # characters a number, word or date may take; longer is prose in the wrong column
TITLE_LENGTH = 255
DESCRIPTION_LENGTH = 20_000  # PostgreSQL refuses to index texts of more than a megabyte
TAG_LENGTH = 80
MAX_TAGS = 50
ID_LENGTH = 255
PLACE_LENGTH = 120
SELLER_LENGTH = 200
URL_LENGTH = 1000  # of the page of an advertisement
MAX_ANNUAL_TAX = Decimal("999999.99")
UNKNOWN_STATUS = "not a known status, so the car is not put on sale"
_BEFORE_TITLE = re.compile(r"^[\W_]*([^\W\d_]+(?:\s[^\W\d_]+)?)\s*[\])!*:|–-]")
_SHOUTED_BEFORE_TITLE = re.compile(r"^[\W_]*(?!RESERVE\b|OPTION\b)([^\W\d_a-zà-ÿ]{4,})\s")
_BEHIND_TITLE = re.compile(r"[\[(*–|-]\s*([^\W\d_]+(?:\s[^\W\d_]+){0,2})[\])*!\s]*$")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_VIN = re.compile(r"[A-HJ-NPR-Z0-9]{17}")
_VIN_LABEL = re.compile(r"^(?:VIN|FIN|CHASSIS(?:NO)?)[.:#]+")
SHORTEST_POSTAL_CODE = 4  # digits
_LOOSE_PAIRS = re.compile(r"""([a-z]\w*)['"]?\s*:\s*['"]([^'"]*)['"]""", re.IGNORECASE)  # {city: 'Reno'}
_TOWN_KEYS = ("city", "town", "addresslocality", "locality", "ort", "ville", "region", "state", "postal code", "zip")
_ADDRESS_IN_QUOTES = re.compile(r"(?:https?:)?//[^\s\"'<>\\|]+")
_BETWEEN_ADDRESSES = re.compile(r"[,;](?=(?:https?:)?//)")
_AFTER_THE_PRICE = re.compile(r"[\d£$€.,\s]+")


def read_drive(unit: str, text: str) -> str | None:
    """Read the drive. ``unit`` is "all" for a yes/no column on all-wheel drive; its "no" does not say which two
    wheels."""
    if unit and bare(text) in phrases_of("yes"):
        return unit
    if bare(text) in phrases_of("two_wheels") or (unit and bare(text) in phrases_of("no")):
        return None
    return read_word("drive", text)


_NAFTA_IS_PETROL_IN = frozenset(["ARS", "UYU", "PYG"])  # in central Europe it is diesel
_GAS_IN = {"SEK": "cng", "NOK": "cng", "DKK": "cng", "EUR": "", "CHF": "", "PLN": "", "CZK": ""}


def read_fuel(currency: str, text: str) -> str | None:
    """Read the fuel by the words of the market.

    Gas is petrol in North America; elsewhere it is one that burns as a gas, in the north of Europe CNG.
    """
    if bare(text) == "gas" and currency in _GAS_IN:
        if not _GAS_IN[currency]:
            raise Unreadable("a gas, and not said which")
        return _GAS_IN[currency]
    if currency in _NAFTA_IS_PETROL_IN and bare(text).split(" ")[0] == "nafta":
        return read_word("fuel", re.sub("nafta", "petrol", text, count=1, flags=re.IGNORECASE))
    return read_word("fuel", text)


def read_owner_count(unit: str, text: str) -> int | None:
    """``unit`` is "first" for a column that says yes or no to the car's having had one owner."""
    if unit and bare(text) in phrases_of("yes") | phrases_of("no"):
        return 1 if bare(text) in phrases_of("yes") else None
    return quantities.read_owner_count(text)


def read_condition(unit: str, text: str) -> str | None:
    """Read the condition. ``unit`` is the condition that a yes/no column is about."""
    if unit and bare(text) in phrases_of("yes") | phrases_of("no"):
        return unit if bare(text) in phrases_of("yes") else None
    return read_word("condition", text)


def read_name(text: str) -> str:
    """Read a make or model; "other" is none."""
    name = tidy(clean_text(text).replace("\n", " "))
    return "" if bare(name).replace(" ", "-") in OTHER_WORDS else name


def read_word(field: str, text: str) -> str | None:
    vocabulary = VOCABULARIES[field]
    value = vocabulary.read(text)
    if value is None and field == "body" and bare(text) in phrases_of("any_car"):
        return None
    if value is None and (apart := _CAMEL_CASE.sub(" ", text)) != text:
        value = vocabulary.read(apart)  # "EstateCar"
    if value is None and bare(text).replace(" ", "-") in OTHER_WORDS:
        return None
    if value is None or _names_another_field(field, text):
        raise Unreadable(f"not a known {field.replace('_', ' ')}")
    return value


def _names_another_field(field: str, text: str) -> bool:
    """``all-wheel-auto`` under "transmission" names a drive, though there is a gearbox in its words."""
    return field_of_word(text) not in (None, field) and VOCABULARIES[field].exact(text) is None


def read_status(text: str) -> str:
    """Read the status. An unknown word is refused, and the row becomes a draft: "not available" is not "available"."""
    value = status_of(text)
    if value is None:
        raise Unreadable(UNKNOWN_STATUS)
    return value


def read_flag(yes: str, no: str, text: str) -> str:
    """Read a yes/no column (``Sold?``, ``In stock``) as a status; "" where it decides nothing.

    A quantity counts as yes unless it is zero; a date, or a word of the status vocabulary, is read as itself.
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


def read_vin(text: str) -> str:
    """Read 17 letters and digits, without I, O and Q; shorter frame numbers of old cars are kept as written."""
    vin = _VIN_LABEL.sub("", re.sub(r"[\s-]", "", clean_text(text)).upper())
    if len(set(vin)) < 4:
        raise Unreadable("not a vehicle identification number")
    if len(vin) == 17 and not _VIN.fullmatch(vin):
        raise Unreadable("not a vehicle identification number")
    if not re.fullmatch(r"(?=.*\d)[A-Z0-9]{5,17}", vin):
        raise Unreadable("not a vehicle identification number")
    return vin


def read_place(text: str) -> str:
    """Read a town, or the town of an address in JSON."""
    if text.startswith("{"):
        try:
            parts = json.loads(text)
        except ValueError:
            parts = {}
        named = {bare(str(name)): str(value) for name, value in parts.items() if isinstance(value, str | int)}
        named |= {bare(name): value for name, value in _LOOSE_PAIRS.findall(text)} if not named else {}
        text = next((named[name] for name in _TOWN_KEYS if named.get(name)), "")
    if not any(map(str.isalpha, text)) and len(text) < SHORTEST_POSTAL_CODE:
        return ""  # the number of a branch
    return read_line(PLACE_LENGTH, text)


def read_id(text: str) -> str:
    identity = clean_text(text)
    if re.fullmatch(r"\d(?:[.,]\d+)?e\+?\d+", identity, re.IGNORECASE):
        raise Unreadable("an id that a spreadsheet has rounded")
    if re.fullmatch(r"\d+\.0", identity):
        identity = identity[:-2]
    if len(identity) > ID_LENGTH:
        raise Unreadable(f"an id of more than {ID_LENGTH} characters")
    return identity


def read_tags(text: str) -> tuple[str, ...]:
    parts = [part for part in re.split(r"[,;|\n]", clean_text(text).strip("[](){}")) if "schema.org/" not in part]
    tags = (" ".join(part.strip(" '\"\t*-").casefold().split())[:TAG_LENGTH].rstrip() for part in parts)
    return tuple(dict.fromkeys(tag for tag in tags if tag and not is_missing(tag)))[:MAX_TAGS]


def read_addresses(at_most: int, max_length: int, text: str) -> tuple[str, ...]:
    """Return the valid URLs of a cell, in their order; other parts are left out."""
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


def read_url(text: str) -> str:
    """Return the first valid URL of a cell that may hold several."""
    return read_addresses(1, URL_LENGTH, text)[0]


_STATUS_AND_DASH = re.compile(r"^([^\W\d]+(?:\s[^\W\d]+)?)\s+[-–:]\s+(?=\D{0,3}\d)")
_PRICE_NOW = re.compile(
    r"\d.{0,20}?\b(?:now|jetzt|maintenant|ahora|adesso|nu|teraz)\b:?\s*(?=\D{0,4}\d)", re.IGNORECASE
)


def _asked_now(text: str) -> str:
    """Return the cell from the current price on: ``Reserved - £8,995``, where the dash is no minus; ``was £9,995 now
    £8,995``."""
    if len(text) > LONGEST_VALUE:
        return text
    if not currency_in(text) and numbers_in(text) and status_in_price(text):  # "8,995 reserved"
        return " ".join(_AFTER_THE_PRICE.findall(text))
    if (match := _STATUS_AND_DASH.match(text.strip())) and STATUS.exact(match[1]):
        return text.strip()[match.end() :]
    return text[match.end() :] if (match := _PRICE_NOW.search(text)) else text


def read_price(currency_of_column: str, unit: str, text: str, *, vat_of_column: str = "netto") -> Money | None:
    """Read a price. The currency of the cell takes precedence over the column's; the row's and the file's come last.

    ``unit`` is "minor" for a column of pence or cents, "net" for one without VAT, "minor_net" for both.
    ``vat_of_column`` is the word by which a net column names its tax, whose rate may be that of one country. Where the
    cell names a tax to be added, or its column is net, the amount is raised by the standard rate.
    """
    money = read_money(_asked_now(text))
    if money is None:
        return None
    is_minor = is_of_minor(unit) and money.amount == money.amount.to_integral_value()
    amount = money.amount / 100 if is_minor else money.amount
    vat = money.vat or (vat_of_column if is_net(unit) else "")
    return Money(round(amount, 2), money.currency or currency_of_column, vat)


def is_of_minor(unit_of_price: str) -> bool:
    return unit_of_price.startswith("minor")


def is_net(unit_of_price: str) -> bool:
    return unit_of_price.endswith("net")


def read_tax(text: str) -> Decimal | None:
    """Read a year's tax; unlike a price it may be zero."""
    money = read_money(text)
    amount = money.amount if money else Decimal("0.00")
    if not money and not numbers_in(text):
        return None
    if amount > MAX_ANNUAL_TAX:
        raise Unreadable("too large an amount")
    return amount


def reader_of_number(number: Number) -> Callable[[str], Any]:
    """Return the reader of a number that has no units of its own."""
    if number.kind == "money":
        return read_tax
    is_whole = number.kind != "fraction"
    largest = number.holds_at_most if is_whole else number.largest
    return partial(read_plain_number, is_whole=is_whole, largest=largest)


_BRITISH_MINOR_UNITS = frozenset(["pence", "penny", "pennies", "p", "gbx"])
_MINOR_UNITS = _BRITISH_MINOR_UNITS | {
    "cent", "cents", "ct", "minor", "grosze", "ore", "centimes", "centimos", "centavos",
}  # fmt: skip
_BESIDE_A_MINOR_UNIT = frozenset(["sterling", "unit", "units"])
_PENCE_OF_STOCK_EXCHANGES = "GBp"  # unlike GBP, which is pounds


def is_minor_unit(text: str) -> bool:
    """Whether a column of units says that prices are in hundredths: ``pence``, ``GBX``, ``EUR cents``."""
    return text.strip() == _PENCE_OF_STOCK_EXCHANGES or bool(_minor_units_in(text))


def _minor_units_in(text: str) -> set[str]:
    """Return words for hundredths in a cell that holds only these and a currency; empty for other cells."""
    words = set(bare(text).split())
    minor = words & _MINOR_UNITS
    others = words - minor - _BESIDE_A_MINOR_UNIT
    return minor if all(other in CURRENCY_BY_WORD for other in others) else set()


def read_currency(text: str) -> str:
    """Read a code, or a family (``$``, ``kr``) whose country the rest of the file says."""
    if code := currency_or_family(text.casefold()):
        return code
    if is_minor_unit(text):
        return "GBP" if _minor_units_in(text) & _BRITISH_MINOR_UNITS else ""
    raise Unreadable("not a known currency")


def read_mileage(unit: str, one_of_several: bool, text: str) -> int | None:
    """Read the odometer. Where several columns claim to be the odometer, one with decimals is something else."""
    mileage = quantities.read_distance_km(text, unit)
    if mileage is not None and one_of_several and mileage < 1_000 and has_fraction(text):
        raise Unreadable("decimals, which no odometer shows")
    return mileage


def read_age(this_year: int, text: str) -> int:
    numbers = numbers_in(text)
    if len(numbers) != 1 or not 0 <= (years := numbers[0].value(thousands=False)) <= 100:
        raise Unreadable("not an age in years")
    return this_year - int(years)


def read_damage_in_words(text: str) -> str:
    """Read damage in a condition column, where numbers and letters are grades, and yes and no mean something else."""
    word = bare(text)
    is_a_grade = len(word) < 4 or word.isdecimal() or word in phrases_of("yes") | phrases_of("no")
    return "" if is_a_grade else read_damage("", text)


def read_damage(unit: str, text: str) -> str:
    """Read the damage. ``unit`` is "free" for a column that says whether the car is free of it."""
    if bare(text) in phrases_of("no_damage_said"):
        return ""
    damage = damage_of(text, is_free=unit == "free")
    if damage is None:
        raise Unreadable("not a known damage")
    return damage


def read_offer(text: str) -> str:
    return "wanted" if bare(text) in WANTED_WORDS else ""


def condition_under_status(unit: str, text: str) -> str:
    """Read ``used`` or ``demo`` in a status column, which means a car for sale; single letters are ambiguous.

    "new" may mean that it was just entered, unless ``unit`` is "conditions": other cells of the column say "used".
    """
    condition = VOCABULARIES["condition"].exact(text) if len(bare(text)) > 1 else ""
    return condition if condition and (unit == "conditions" or condition in ("used", "demo")) else ""


def status_in_price(text: str) -> str:
    """Read the status in ``SOLD``, ``£8,995 (reserved)``, ``8.995 EUR verkauft``; "" when a price cell names none."""
    if not any(letter.isalpha() for letter in text) or len(text) > LONGEST_VALUE:
        return ""
    words = bare(_AFTER_THE_PRICE.sub(" ", text.replace("R$", " "))).split()
    status = STATUS.exact(" ".join(word for word in words if word not in CURRENCY_BY_WORD))
    return status if status in ("sold", "reserved") else ""


def status_before_title(title: str) -> str:
    """Read the status that ends a listing in its title: ``SOLD - 2019 Mini Hatch``, ``SOLD Mini``, ``*Reserviert* VW
    Golf``, ``Golf (reserved)``."""
    found = (_BEFORE_TITLE.match(title), _SHOUTED_BEFORE_TITLE.match(title), _BEHIND_TITLE.search(title))
    said = {STATUS.exact(match[1]) for match in found if match}
    return next((status for status in ("sold", "reserved") if status in said), "")


def fuel_beside_engine(text: str) -> str | None:
    """Read the fuel from ``2.0 TDI (110 kW)`` in an engine column."""
    return VOCABULARIES["fuel"].read(text)


def seller_beside_kind(text: str) -> str:
    """``Garage des Alpes`` under "seller", where others say only that they are dealers; '' where it is such a word."""
    words = bare(text).split()
    kinds = {word for phrase in SELLER_KIND.phrases for word in phrase.split()}
    is_name = len(words) > 1 and not set(words) <= kinds | phrases_of("legal_forms") and not is_missing(text)
    return read_line(SELLER_LENGTH, text) if is_name and len({*words} - kinds) > 1 else ""


def power_beside_engine(text: str) -> int | None:
    """Read the power from ``300.0HP 3.7L V6`` in an engine column."""
    says_power = quantities.has_power_unit(text) or quantities.has_polish_power(text)
    return quantities.read_power_kw(text) if says_power else None


def money_or_none(text: str) -> Money | None:
    try:
        return read_money(text)
    except Unreadable:
        return None


READERS: dict[str, Callable[[str], Any]] = {  # fields whose cells mean the same in every file
    "external_id": read_id,
    "title": partial(read_line, TITLE_LENGTH),
    "description": partial(read_text, DESCRIPTION_LENGTH),
    "tags": read_tags,
    "make": read_name,
    "model": read_name,
    "variant": partial(read_line, TITLE_LENGTH),
    "vin": read_vin,
    "mileage_unit": quantities.read_distance_unit,
    "power_unit": quantities.read_power_unit,
    "is_sold": partial(read_flag, "sold", ""),
    "is_reserved": partial(read_flag, "reserved", ""),
    "is_for_sale": partial(read_flag, "", "withdrawn"),
    "currency": read_currency,
    "colour": read_colour,
    "engine": quantities.read_engine_l,
    "doors": quantities.read_doors,
    "seats": quantities.read_seats,
    "annual_tax": read_tax,
    "url": read_url,
    "registration_month": read_month_of_year,
    "place": read_place,
    "latitude": partial(quantities.read_coordinate, limit=90),
    "longitude": partial(quantities.read_coordinate, limit=180),
    "seller_id": partial(read_line, ID_LENGTH),
    "seller_name": partial(read_line, SELLER_LENGTH),
    "seller_phone": partial(read_line, SELLER_LENGTH),
    "seller_vat": partial(read_line, SELLER_LENGTH),
    "seller_url": partial(read_line, SELLER_LENGTH),
    "status": read_status,
    "offer": read_offer,
}
