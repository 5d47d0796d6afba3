"""Read distances, engine sizes, power, consumption and counts into our units; no database.

Each ``read_*`` takes the text of one cell and returns its value, or None when the cell says that it is unknown (``0
CC``). Other texts raise ``Unreadable``, whose message is shown to an operator. A unit in the cell takes precedence over
the ``unit`` argument, which comes from the header or the operator.
"""

from __future__ import annotations

import re

from catalog.imports.money import refuse_money
from catalog.imports.numbers import (
    Number,
    Unreadable,
    multiplier_of,
    numbers_in,
    plain_text,
    unit_after,
    whole_number,
    words_in,
)
from catalog.imports.vocabulary import PLAIN_WORDS, WORDS_BY_MEANING, bare

KM_PER_MILE = 1.609344
KM_PER_MIL = 10  # the Scandinavian mile
KW_PER_METRIC_HP = 0.73549875  # PS, CV, ch, pk
KW_PER_HP = 0.745699872  # hp, bhp
IMPERIAL_GALLON_L = 4.54609
US_GALLON_L = 3.785411784
MAX_MILEAGE_KM = 2_000_000
MAX_POWER_KW = 1_600
ENGINE_L = (0.04, 30.0)  # from a moped's to a lorry's
LITRES_END_AT = 15  # an engine size below is in litres, above in cubic centimetres
CONSUMPTION_L_100KM = (0.1, 50.0)
_DISTANCE_UNITS = {
    "km": "km", "kms": "km", "kilometer": "km", "kilometers": "km", "kilometre": "km", "kilometres": "km", "klm": "km",
    "kilometern": "km", "tkm": "km", "kilometros": "km", "chilometri": "km", "kilometres.": "km",
    "mi": "mi", "mile": "mi", "miles": "mi", "mls": "mi", "meilen": "mi", "milles": "mi", "millas": "mi",
    "miglia": "mi", "kmi": "mi", "км": "km", "smi": "mi", "kmt": "km", "миль": "mi", "mill": "mi", "quilometros": "km",
    "quilómetros": "km", "kilómetros": "km", "kilometrów": "km", "milhas": "mi", "mijl": "mi", "χλμ": "km",
}  # fmt: skip
_DISTANCE_WORDS = PLAIN_WORDS["around_a_distance"] | set(_DISTANCE_UNITS)


def _by_word(name: str) -> dict[str, int]:
    """The words of a list of numbers in ``words.toml``: ``zweite`` -> 2."""
    return {word: int(number) for number, words in WORDS_BY_MEANING[name].items() for word in bare(words).split()}


def read_distance_unit(text: str) -> str:
    """Read ``km``, ``mi`` or ``mil`` (ten kilometres) from a cell with only a unit: ``MI``, ``SMI``."""
    words = words_in(plain_text(text).casefold())
    if words & {"kmt", "smi", "mil"}:
        return {"kmt": "km", "smi": "mi", "mil": "mil"}[next(iter(words & {"kmt", "smi", "mil"}))]
    units = {_DISTANCE_UNITS[word] for word in words if word in _DISTANCE_UNITS} or {
        {"k": "km", "m": "mi"}[word] for word in words if word in ("k", "m")
    }
    if len(units) != 1:
        raise Unreadable("not a known unit of distance")
    return units.pop()


def read_power_unit(text: str) -> str:
    """Read ``kw``, ``hp`` or ``ps`` from a cell with only a unit."""
    match = _POWER.match(plain_text(text).casefold())
    if match is None and plain_text(text).casefold() not in ("kwt", "bhp"):
        raise Unreadable("not a known unit of power")
    word = match[1].replace(".", "") if match else "kwt"
    return "kw" if word in ("kw", "kwt", "квт") else "hp" if word in ("hp", "bhp") else "ps"


def read_distance_km(text: str, unit: str = "km") -> int:
    """Read ``150,000km``, ``38.852 mi``, ``45k miles``; ``unit`` is km, mi or mil (ten km). Zero is a new car's."""
    if text.isdecimal():  # nearly every cell of a tidy file
        return _in_km(float(text), unit)
    refuse_money(text)
    numbers = numbers_in(text)
    if not numbers:
        raise Unreadable("no number in it")
    words = words_in(plain_text(text).casefold())
    if not words <= _DISTANCE_WORDS and words != {"m"}:
        raise Unreadable("not a distance")
    number = numbers[0]
    if len(numbers) > 1 and not (unit_after(number, _DISTANCE_UNITS) and unit_after(numbers[1], _DISTANCE_UNITS)):
        raise Unreadable("more than one number")
    if number.is_negative:
        raise Unreadable("a negative distance")
    distance = float(number.value(thousands=True))
    named = unit_after(number, _DISTANCE_UNITS) or next(
        (_DISTANCE_UNITS[word] for word in words if word in _DISTANCE_UNITS), ""
    )
    if words == {"m"}:
        named = "mi"  # "45000m" of British dealers
    if "mil" in words and not named and (unit == "mil" or distance >= 1_000):
        return _in_km(distance, "mil")  # "mil" also means a thousand, but then the distance would be too large
    return _in_km(distance * multiplier_of(number.after), named or unit)


def _in_km(distance: float, unit: str) -> int:
    kilometres = distance * {"mi": KM_PER_MILE, "mil": KM_PER_MIL}.get(unit, 1)
    if kilometres > MAX_MILEAGE_KM:
        raise Unreadable("further than any car goes")
    return round(kilometres)


_LITRES = re.compile(
    r"^\s?-?(л(?!\.? ?с)|l|lt|ltr|ltrs|liter|liters|litre|litres|litri|litros)\b(?!\s?(?:/|per|pro|auf))"
)
_CUBIC = re.compile(r"^\s?-?(см3|куб|cc|ccm|cm3|cm|cmc|kubik|c\.c\.?|cubic)\b")
_NOT_A_SIZE = re.compile(
    r"^\s?-?(л\.? ?с|квт|pk|hk|km\b|ci|cid|cu\.? ?in|cubic in|cyl|zyl|gear|"
    r"speed|gang|hp|ps|kw|bhp|cv|ch|nm|kwh|valve|door|t[uü]r(?:en|ig)?\b)|^v\b"
)
_ELECTRIC = re.compile(r"\b[ée]le[ck]tr", re.IGNORECASE)


def read_engine_l(text: str, unit: str = "") -> float | None:
    """Read ``1248 CC``, ``1.6``, ``1,6 l``, ``2.0 TDI``, ``4 cyl, 2.2 L`` as litres; None for zero (unknown or
    electric)."""
    refuse_money(text)
    numbers = numbers_in(text)
    chosen = next((number for number in numbers if _LITRES.match(number.after) or _CUBIC.match(number.after)), None)
    if chosen is None:
        could = [number for number in numbers if _could_be_a_size(number)]
        chosen = next((number for number in could if re.search(r"[.,]\d", number.digits)), could[0] if could else None)
    if chosen is None:
        if _ELECTRIC.search(text) or any(re.match(r"\s?kwh?\b", number.after) for number in numbers):
            return None
        raise Unreadable("no engine size in it")
    if chosen.is_negative:
        raise Unreadable("a negative engine size")
    size = float(chosen.value(thousands=False))
    if size == 0:
        return None
    litres = size if size < LITRES_END_AT else size / 1000
    if not ENGINE_L[0] <= litres <= ENGINE_L[1]:
        raise Unreadable("no engine is of that size")
    return round(litres, 3)


def _could_be_a_size(number: Number) -> bool:
    """Whether a number is neither a count of cylinders or gears nor part of a name (``V6``, ``K20``, ``E85``)."""
    if _NOT_A_SIZE.match(number.after) or re.search(r"[^\W\d_]-?$", number.before):
        return False
    if re.search(r"[.,]\d", number.digits):
        return True
    if re.match(r"[^\W\d_]", number.after):
        return False  # 320d, 45e
    return len(number.digits) == 4 or not (number.before.strip() or number.after.strip())


_POWER = re.compile(
    r"^\s?-?(л\.? ?с|к\.? ?с|квт|koni|koní|hv|cavalos|kuc|le|hk|kw|ps|bhp|cp|hv|ks|"
    r"b\.h\.p\.?|hp|h\.p\.?|cv|ch|pk|km|cavalli|caballos|chevaux|pferdestarken|hk|hp@)\b"
)
_TWO_POWERS = re.compile(r"\d{2,4}\s?(?:/|\|)\s?\d{2,4}|\d{2,4}\s?\(\d{2,4}\)")
_POWER_IN_KW = {"kw": 1.0, "квт": 1.0, "bhp": KW_PER_HP, "hp": KW_PER_HP}


def read_power_kw(text: str, unit: str = "") -> int | None:
    """Read ``110 kW (150 PS)``, ``81,4 bhp``, ``150 PS`` as kilowatts; ``unit`` is kw, hp or ps (metric)."""
    refuse_money(text)
    numbers = numbers_in(text)
    if not numbers:
        if _POWER.match(plain_text(text).casefold().removeprefix("null")):
            return None  # "bhp" with no number before it
        raise Unreadable("no number in it")
    marked = [
        (number, match[1].replace(".", "").replace(" ", ""))
        for number in numbers
        if (match := _POWER.match(number.after))
    ]
    if not marked and _TWO_POWERS.fullmatch(text.strip()):
        numbers = numbers[:1]  # of a column "kW/PS" the first
    if not marked and (len(numbers) > 1 or words_in(plain_text(text).casefold()) - {"e"}):
        raise Unreadable("not a power")
    number, found = next(
        (pair for pair in marked if pair[1] in ("kw", "квт")), marked[0] if marked else (numbers[0], unit)
    )
    if number.is_negative:
        raise Unreadable("a negative power")
    factor = _POWER_IN_KW.get(found, KW_PER_METRIC_HP)
    power = float(number.value(thousands=False)) * factor
    if 0 < power < 3 and re.search(r"[.,]\d{3}$", number.digits):
        power *= 1000  # 1.001 PS
    if power == 0:
        return None
    if not 0.5 <= power <= MAX_POWER_KW:
        raise Unreadable("no car has that power")
    return max(1, round(power))


_CONSUMPTION_UNITS = (
    (
        "l_100km",
        re.compile(r"^\s?(?:l|lt|ltr|liter|litre|litres|litri|litros)\s?(?:/|per|pro|auf|aux|a|por)?\s?(?=100|$)"),
    ),
    ("mpg_us", re.compile(r"^\s?mpg\s?\(?us")),
    ("mpg", re.compile(r"^\s?(?:mpg|m\.p\.g|miles per gallon|mi ?/ ?gal)")),
    ("kmpl", re.compile(r"^\s?(?:kmpl|km ?/ ?(?:l|lt|ltr|liter|litre)\b|kpl\b|km pro l)")),
    ("per_kg", re.compile(r"^\s?(?:km ?/ ?kg|kg ?/ ?100)")),
    ("kwh", re.compile(r"^\s?(?:kwh|wh ?/ ?km|mi ?/ ?kwh|mpge)")),
    ("co2", re.compile(r"^\s?g ?(?:co2)? ?/ ?(?:km|mi)")),
)
_NO_FIGURE = re.compile(r"^-? ?\((?:l ?/ ?100 ?km|g ?/ ?km)\)$", re.IGNORECASE)


def read_consumption_l_100km(text: str, unit: str = "l_100km") -> float | None:
    """Read ``18.9 kmpl``, ``45.6 mpg``, ``5,4 l/100km`` as litres per 100 km; None for zero.

    ``unit`` is l_100km, kmpl, mpg (imperial gallons) or mpg_us.
    """
    refuse_money(text)
    text = _NO_FIGURE.sub("", plain_text(text))
    numbers = numbers_in(text)
    if not numbers:
        if text.strip(" -()") == "":
            return None  # "- (l/100 km)"
        raise Unreadable("no number in it")
    number, found = next(
        ((number, name) for number in numbers for name, pattern in _CONSUMPTION_UNITS if pattern.match(number.after)),
        (numbers[0], ""),
    )
    if found == "mpg" and unit == "mpg_us":
        found = "mpg_us"
    if not found and (len(numbers) > 1 or words_in(plain_text(text).casefold()) - {"l", "e"}):
        raise Unreadable("not a consumption")
    value = float(number.value(thousands=False))
    if value == 0:
        return None
    litres = _litres_per_100km(value, found or unit)
    if number.is_negative or not CONSUMPTION_L_100KM[0] <= litres <= CONSUMPTION_L_100KM[1]:
        raise Unreadable("no car burns that much or that little")
    return round(litres, 2)


def has_consumption_unit(text: str) -> bool:
    return any(pattern.match(number.after) for number in numbers_in(text) for _, pattern in _CONSUMPTION_UNITS[:4])


def _litres_per_100km(value: float, unit: str) -> float:
    if unit == "per_kg":
        raise Unreadable("measured in kilograms of gas, not in litres")
    if unit == "kwh":
        raise Unreadable("measured in electricity, not in litres")
    if unit == "co2":
        raise Unreadable("grams of CO2, not litres")
    if unit == "kmpl":
        return 100 / value
    if unit in ("mpg", "mpg_us"):
        gallon = US_GALLON_L if unit == "mpg_us" else IMPERIAL_GALLON_L
        return 100 * gallon / (value * KM_PER_MILE)
    return value


def has_distance_unit(text: str) -> bool:
    return any(unit_after(number, _DISTANCE_UNITS) for number in numbers_in(text)) and not has_consumption_unit(text)


def has_power_unit(text: str) -> bool:
    return any((match := _POWER.match(number.after)) and match[1] != "km" for number in numbers_in(text))


_POLISH_POWER = re.compile(r"(?<![\d.,])[3-9]\d ?KM\b|(?<![\d.,])[1-9]\d\d ?KM\b")


def has_polish_power(text: str) -> bool:
    """Whether a text has ``140 KM``, metric horsepower in capitals; beside an engine it is no distance."""
    return bool(_POLISH_POWER.search(text))


def has_engine_unit(text: str) -> bool:
    """Whether a text has cubic centimetres, or litres with one decimal: ``2.0 L`` (``50 l`` is a tank)."""
    return any(
        _CUBIC.match(number.after) or (_LITRES.match(number.after) and re.fullmatch(r"\d[.,]\d", number.digits))
        for number in numbers_in(text)
    )


_ORDINALS = _by_word("ordinals")


def read_owner_count(text: str, unit: str = "") -> int | None:
    """Read ``1st owner``, ``Second Owner``, ``1. Hand``, ``Fourth & Above Owner``, ``Test Drive Car`` (0)."""
    numbers = numbers_in(text)
    if numbers:
        return whole_number(numbers[0], 0, 99, "owners")
    count = next((_ORDINALS[word] for word in bare(text).split() if word in _ORDINALS), None)
    if count is None:
        raise Unreadable("no number of owners in it")
    return count


_NUMBER_WORDS = _by_word("cardinals")


_SEATS_BEHIND_SEATS = re.compile(r"\d ?\+ ?\d(?: ?\+ ?\d)?")  # 2+2, 5+2


def _numbers_in_words(text: str) -> list[int]:
    return [_NUMBER_WORDS[word] for word in bare(text).split() if word in _NUMBER_WORDS]


def read_doors(text: str, unit: str = "") -> int | None:
    """Read ``5``, ``4/5``, ``4 Doors``, ``>5``; of two numbers the larger. Excel makes ``4/5`` into ``04-May``."""
    plain = plain_text(text).casefold()
    if match := re.fullmatch(r"0?([2-6])[-/ .](mar|may|jul|mrz|mai|märz)[a-z]*", plain):
        return {"mar": 3, "mrz": 3, "mär": 3, "may": 5, "mai": 5, "jul": 7}[match[2][:3]]
    numbers = numbers_in(plain)
    if not numbers and (named := _numbers_in_words(text)):
        return max(named)  # FOUR_OR_FIVE
    if not numbers:
        raise Unreadable("no number in it")
    return max((whole_number(number, 0, 9, "doors") for number in numbers), default=0) or None


def read_seats(text: str, unit: str = "") -> int | None:
    """Read ``5``, ``5 seats``, ``7.0``, ``seven``, ``2+2``; None for zero."""
    numbers = numbers_in(text)
    if not numbers and (named := _numbers_in_words(text)):
        return max(named)
    if not numbers:
        raise Unreadable("no number in it")
    if _SEATS_BEHIND_SEATS.fullmatch(plain_text(text)):
        return sum(whole_number(number, 0, 9, "seats") for number in numbers)
    return max(whole_number(number, 0, 99, "seats") for number in numbers) or None


def read_coordinate(text: str, limit: float) -> float:
    """Read degrees between ``-limit`` and ``limit``, with a point or a comma."""
    try:
        degrees = float(plain_text(text).replace(",", "."))
    except ValueError:
        raise Unreadable("not degrees") from None
    if not -limit <= degrees <= limit:
        raise Unreadable("not on Earth")
    return degrees
