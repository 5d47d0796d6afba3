"""Amounts in a typed search, with the words around them -> bounds of a filter; no database.

``under 15k`` is a price, ``less than 60,000 miles`` a distance, ``ab 2019`` a year, ``7 seater`` a number of seats. The
text is the one that ``plain_search`` makes: small letters without marks, each at the position of its original.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from catalog.folding import fold
from catalog.imports.dates import read_year
from catalog.imports.numbers import Unreadable, numbers_in
from catalog.imports.quantities import KM_PER_MILE, KW_PER_HP, KW_PER_METRIC_HP

FIRST_YEAR, LAST_YEAR_AHEAD = 1930, 1  # a bare number in between is a year
SMALLEST_PRICE = 300  # a smaller number behind "under" is no price
SMALLEST_BARE_PRICE = 3_000  # nor is a smaller one that stands alone
LARGEST = {"price": 9_999_999_999.0, "mileage": 2_147_483_647.0, "power": 32_767.0, "seats": 99.0, "doors": 9.0}
ABOUT = {"price": 0.15, "mileage": 0.15, "power": 0.1}

_COUNTS = (
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    ["ein", "zwei", "drei", "vier", "funf", "sechs", "sieben", "acht", "neun"],
    ["eins", "zwo", "drei", "vier", "fuenf", "sechs", "sieben", "acht", "neun"],
)
COUNT_WORDS = {word: number for words in _COUNTS for number, word in enumerate(words, start=1)}
THOUSANDS = COUNT_WORDS | {  # that are written out before "thousand"
    "ten": 10, "eleven": 11, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "eighty": 80, "hundred": 100, "zehn": 10, "zwolf": 12, "funfzehn": 15, "zwanzig": 20, "dreissig": 30,
    "vierzig": 40, "funfzig": 50, "sechzig": 60, "achtzig": 80, "hundert": 100,
}  # fmt: skip
_UNITS = {  # what is measured -> the words for its units, longest first where one begins another
    "price": r"£|€|\$|euros?|eur|gbp|pounds?|quid|dollars?|usd|chf|franken",
    "miles": r"miles?|mls|mi|meilen?",
    "km": r"kilomet(?:er|re)[ns]?|kms?",
    "tkm": r"tkm",
    "ps": r"ps|pferdestarken?|cv|ch",
    "hp": r"bhp|hp|horsepower",
    "kw": r"kw|kilowatt",
    "seats": r"seater?s?|seats?|sitzplatze?n?|sitzer|sitzig|sitzen?|sitz|platze",
    "doors": r"doors?|drs?|turer|turig|turen?|tur",
    "people": r"people|persons?|personen|passengers?",
    "old": r"years?[ -]old|yrs?[ -]old|y/?o|jahre?[ -]alt",
    "age": r"years?|yrs?|jahren?|jahre?",
    "engine": r"litres?|liters?|ltrs?|l|ccm|cc",
    "plate": r"plate|reg",
}
_UNIT = "|".join(f"(?P<{name}>{words})" for name, words in _UNITS.items())
_AMOUNT = re.compile(
    rf"""
    (?<![^\W_])(?:(?<![^\W\d_][-.])|(?<=\dk-)|(?<=eur-)|(?<=euro-)|(?<=km-)|(?<=ps-))(?<!\d[.,])(?<!l/)(?<!l/\ )
    (?P<sign>[£€$]|(?:eur|gbp|usd|chf)(?=\s?\d))?\s?
    (?P<digits>
        \d{{1,3}}(?:[.,']\d{{3}})+(?!\d)
        | \d{{1,3}}(?:\ 000)+(?!\d)
        | \d{{2,3}}\ \d00(?=\s?(?:£|€|eur|km|miles?))
        | \d{{1,9}}(?:[.,]\d{{1,3}})?(?!\d)
        | (?:{"|".join(sorted(THOUSANDS, key=len, reverse=True))})(?=\s?(?:thousand|grand|tausend)(?![^\W_]))
        | (?:{"|".join(COUNT_WORDS)})(?=[\s-]?(?:{_UNITS["seats"]}|{_UNITS["doors"]}|{_UNITS["people"]})(?![^\W_]))
    )
    (?:[\s.]?(?P<times>k|tsd\.?|tausend|thousand|grand)(?![^\W_]))?
    (?P<plus>\+)?
    (?:[\s-]?(?:{_UNIT})(?![^\W_]))?
    (?P<also>\+)?
    (?![^\W_])
    """,
    re.VERBOSE,
)

MAX, MIN, LESS, MORE, ABOUT_IT, WITHIN = "max", "min", "less", "more", "about", "within"
_BEFORE = {
    MORE: "newer than|younger than|more recent than|after|later than|post|neuer als|junger als|nach",
    LESS: "older than|before|earlier than|pre|alter als|vor|prior to",
    MIN: "from|since|at least|min|minimum|minimal|starting(?: at| from)?|over|above|more than|greater than|>=|>|=>|"
    "ab|seit|von|mindestens|uber|ueber|mehr als|not under|no less than|not less than|"
    "more expensive than|dearer than|teurer als",
    MAX: "under|below|less than|fewer than|lower than|cheaper than|no more than|not more than|not over|up to|upto|"
    "until|till|to|max|maximum|maximal|at most|at max|<=|<|=<|bis(?: zu| maximal| max)?|unter|hochstens|hoechstens|"
    "weniger als|nicht mehr als|nicht uber|gunstiger als|billiger als|within|budget(?: of| is|:)?|not older than|"
    "no older than|nicht alter als|less|nicht teurer als|(?:no|not) more expensive than|(?:no|not) dearer than",
    ABOUT_IT: "around|about|approx|approximately|roughly|circa|ca|etwa|ungefahr|rund|um die|~",
}  # fmt: skip
_NOT_OLDER = re.compile(r"(?:not|no|nicht) (?:older|alter|aelter) (?:than|als)\W*$")
_NEWER = re.compile(r"(?:newer|younger|neuer|junger|juenger) (?:than|als)\W*$")
_AFTER = {
    MIN: "(?:or|and|oder|und) (?:newer|later|younger|above|more|over|up|upwards|neuer|junger|juenger|spater|"
    "mehr|hoher|daruber)|onwards?|upwards?|aufwarts|plus|min(?:imum)?|mindestens",
    MAX: "(?:or|and|oder|und) (?:older|earlier|less|under|below|cheaper|fewer|lower|alter|aelter|"
    "fruher|weniger|darunter|gunstiger)|max(?:imum)?|maximal|hochstens|tops|at most",
}  # fmt: skip
_SIDE_BEFORE = {
    name: re.compile(rf"(?<![^\W_])(?:{words})[.:]?\s*(?:the |a |an |dem |das )?$") for name, words in _BEFORE.items()
}
_SIDE_AFTER = {name: re.compile(rf"\s*(?:{words})(?![^\W_])\.?(?!\s*[£€$]?\d)") for name, words in _AFTER.items()}
_LABELS = {
    "price": r"price[ds]?|preis|budget|cost(?:ing|s)?|kosten|kaufpreis",
    "mileage": r"mileage|miles|laufleistung|kilometerstand|km[- ]stand|tachostand|odometer|kilometer|km",
    "year": r"years?|baujahr|bj|ez|erstzulassung|reg|registered|registration|model year|modelljahr|jahrgang|built|my",
    "power": r"power|leistung",
    "seats": r"seats|sitze|sitzplatze",
    "people": r"(?<=family )of|(?<=families )of|(?<=familie )(?:mit|von)|(?:room|space|seating|platz) (?:for|fur)",
    "doors": r"doors|turen",
}
_LABEL = re.compile(
    "(?<![^\\W_])(?:"
    + "|".join(f"(?P<{name}>{words})" for name, words in _LABELS.items())
    + r")[.:]?\s*(?:of|is|von|in)?\s*$"
)
_OF_THE_YEAR = re.compile(r"von\s")  # "von 2018" is that year; "von 2015 bis 2018" is a range
_JOINT = re.compile(r"\s*(?:-|to|bis|and|und|until|&)\s*")
_BETWEEN = re.compile(r"(?<![^\W_])(?:between|zwischen|from|von|ab)\s*$")
_BY_THE_MONTH = re.compile(
    r"\s*(?:(?:a|per|each|every|pro|im|/) ?(?:month|week)|pcm|p/?m|/month|monthly|monatlich|mtl|im monat)(?![^\W_])"
)
_CHARGE = r"(?:road |car )?tax|ved|insurance|steuern?|kfz-?steuer|versicherung|deposit|anzahlung"
_OF_A_CHARGE = re.compile(rf"\s*(?:a year |per year |of |im jahr )?(?:{_CHARGE})(?![^\W_])")
_CHARGE_OF = re.compile(rf"(?<![^\W_])(?:{_CHARGE}|rate|leasing(?:rate)?|finance|pcp|pch)[.:]?\s*(?:of|is|von)?\s*$")
LARGEST_CHARGE = 1_000  # "low tax under 10000" is about the price
_OF_A_RANGE = re.compile(
    r"\s*(?:of |an |wltp |electric |battery |ev )*"
    r"(?:range(?! rover)|reichweite|wltp|nedc|(?:on|per|a) (?:a |one )?charge)(?![^\W_])"
)
_RANGE_OF = re.compile(  # a Long Range is a trim
    r"(?<![^\W_])(?<!long )(?<!extended )(?<!standard )(?:range|reichweite|wltp)[.:]?\s*(?:of|is|von)?\s*$"
)
_FEW = re.compile(r"(?<![^\W_])(?:low|lowest|lower|few|little|wenige?|geringe[rm]?|niedrige[rm]?)\s+$")
_ON_THE_CLOCK = re.compile(r"\s*(?:on the clock|gelaufen|mileage|driven)(?![^\W_])")


@dataclass(frozen=True)
class Bound:
    """A condition on a number: ``field`` is a parameter of the search, and the value is in its unit."""

    field: str
    value: float | str


@dataclass(frozen=True)
class FoundAmount:
    """Bounds that stand from ``start`` to ``end`` of a text. A weak one has neither unit nor words that explain it."""

    start: int
    end: int
    bounds: tuple[Bound, ...]
    is_weak: bool = False


@dataclass(frozen=True)
class _Amount:
    start: int
    end: int
    number: float
    unit: str  # a name of ``_UNITS``; '' without one
    has_plus: bool
    is_multiplied: bool
    written: str


def plain_search(text: str) -> str:
    """Small letters without marks, as many as there are letters in the text (composed, ``NFC``)."""
    folded = fold(text).translate({0x2013: "-", 0x2014: "-", 0x2212: "-", 0xA0: " ", 0x2019: "'"})
    return "".join(letter.lower() if len(letter.lower()) == 1 else letter for letter in folded)


def composed(text: str) -> str:
    """The form of a text whose letters stand where those of ``plain_search`` do."""
    return unicodedata.normalize("NFC", text)


def amounts_in(plain: str, this_year: int, *, in_miles: bool) -> list[FoundAmount]:
    """Every amount of a search that means something, in order; none overlaps another.

    Args:
        plain: As ``plain_search`` makes it.
        this_year: Ages and plates are counted from it.
        in_miles: Whether a distance without a unit is in miles.
    """
    found: list[FoundAmount] = []
    amounts = [amount for match in _AMOUNT.finditer(plain) if (amount := _amount_of(match))]
    at = 0
    while at < len(amounts):
        ranged = _range_of(plain, amounts, at, this_year, in_miles)
        read_until = found[-1].end if found else 0
        one = ranged or _single(plain, amounts[at], read_until, this_year, in_miles)
        at += 2 if ranged else 1
        if one and (not found or one.start >= found[-1].end):
            found.append(one)
    return found


def _amount_of(match: re.Match[str]) -> _Amount | None:
    unit = next((name for name in _UNITS if match[name]), "")
    if match["sign"]:
        unit = "price" if unit in ("", "price") else unit
    number = _number(match["digits"])
    if number is None:
        return None
    times = 1000 if match["times"] or unit == "tkm" else 1
    has_plus = bool(match["plus"] or match["also"])
    return _Amount(
        match.start(), match.end(), number * times, unit, has_plus, bool(match["times"]), match["digits"]
    )  # fmt: skip


def _number(digits: str) -> float | None:
    if digits in THOUSANDS:
        return float(THOUSANDS[digits])
    try:
        numbers = numbers_in(digits)
        return float(numbers[0].value(thousands=True)) if len(numbers) == 1 else None
    except Unreadable:
        return None


def _range_of(plain: str, amounts: list[_Amount], at: int, this_year: int, in_miles: bool) -> FoundAmount | None:
    """``10k to 15k``, ``5000-8000 euro``, ``zwischen 2015 und 2018``; None where the next amount does not end one."""
    if at + 1 >= len(amounts):
        return None
    low, high = amounts[at], amounts[at + 1]
    joint = plain[low.end : high.start]
    if not _JOINT.fullmatch(joint) or low.has_plus or not _are_alike(low, high, this_year):
        return None
    between = _BETWEEN.search(plain, 0, low.start)
    if joint.strip() in ("and", "und", "&") and not between:
        return None
    start = between.start() if between else low.start
    label, start = _label_before(plain, start, amounts[at - 1].end if at else 0)
    if high.is_multiplied and not low.is_multiplied and low.number < high.number / 100:
        low = _Amount(low.start, low.end, low.number * 1000, low.unit, False, True, low.written)
    unit = high.unit or low.unit
    kind = _kind(high, unit, label, MAX if between else "", this_year)
    if not kind or low.number > high.number:
        return None
    bounds = (*_bounds(kind, low.number, unit, MIN, this_year, in_miles),
              *_bounds(kind, high.number, unit, MAX, this_year, in_miles))  # fmt: skip
    return FoundAmount(start, high.end, bounds) if bounds else None


def _are_alike(low: _Amount, high: _Amount, this_year: int) -> bool:
    """Whether two amounts can be the ends of one range; ``ab 2016 bis 10000 €`` is a year and a price."""
    if low.unit and high.unit and low.unit != high.unit:
        return False
    is_year_and_more = _is_year(low, this_year) and not _is_year(high, this_year) and low.number % 100
    return bool(low.unit) or not is_year_and_more


def _single(plain: str, amount: _Amount, read_until: int, this_year: int, in_miles: bool) -> FoundAmount | None:
    side, start, end = _side_of(plain, amount)
    if _is_of_something_else(plain, amount, start):
        return None
    label, start = _label_before(plain, start, read_until)
    if label and not side:  # "ab Baujahr 2018"
        side, start = _side_before(plain, start)
    if clock := _ON_THE_CLOCK.match(plain, end):
        label, end = "mileage", clock.end()
    is_weak = not (side or label or amount.unit or amount.is_multiplied)
    kind = _kind(amount, amount.unit, label, side, this_year)
    if not kind:
        return None
    if kind == "year" and _OF_THE_YEAR.match(plain, start, amount.start):
        side = ""
    if kind == "year" and amount.unit == "plate":
        return _plate(amount, side, start, end, this_year)
    if _NOT_OLDER.search(plain, 0, amount.start):
        side = MAX if kind == "age" else MIN
    elif kind == "age" and _NEWER.search(plain, 0, amount.start):
        side = MAX
    bounds = _bounds(kind, amount.number, amount.unit, side, this_year, in_miles)
    return FoundAmount(start, end, bounds, is_weak) if bounds else None


def _is_of_something_else(plain: str, amount: _Amount, start: int) -> bool:
    """Whether an amount is neither the price of the car nor a distance that it was driven: what is paid each month or
    besides, and how far a battery reaches. ``start``: of the words before that belong to it."""
    if amount.unit in ("miles", "km"):
        return bool(_OF_A_RANGE.match(plain, amount.end) or _RANGE_OF.search(plain, 0, start))
    if amount.unit not in ("", "price"):
        return False
    is_charge = _OF_A_CHARGE.match(plain, amount.end) or _CHARGE_OF.search(plain, 0, start)
    return bool(_BY_THE_MONTH.match(plain, amount.end) or (is_charge and amount.number < LARGEST_CHARGE))


def _side_of(plain: str, amount: _Amount) -> tuple[str, int, int]:
    """Which side of the amount is meant, and from where to where the words for it reach."""
    end = amount.end
    side, start = _side_before(plain, amount.start)
    if amount.has_plus:
        return MIN, start, end
    if not side or side == MIN:
        for name, pattern in _SIDE_AFTER.items():
            if match := pattern.match(plain, end):
                return name, start, match.end()
    return side, start, end


def _side_before(plain: str, start: int) -> tuple[str, int]:
    """The side that the words before say, of several the longest, and where they begin."""
    best: re.Match[str] | None = None
    side = ""
    for name, pattern in _SIDE_BEFORE.items():
        if (match := pattern.search(plain, 0, start)) and (best is None or match.start() < best.start()):
            best, side = match, name
    return side, best.start() if best else start


def _label_before(plain: str, start: int, read_until: int) -> tuple[str, int]:
    """The word for what is measured that stands before, and where it begins; not the end of ``low mileage``."""
    match = _LABEL.search(plain, read_until, start)
    if match is None or _FEW.search(plain, 0, match.start()):
        return "", start
    return match.lastgroup or "", match.start()


KIND_OF_UNIT = {
    "price": "price", "miles": "mileage", "km": "mileage", "tkm": "mileage", "ps": "power", "hp": "power",
    "kw": "power", "seats": "seats", "people": "people", "doors": "doors", "old": "age", "engine": "engine",
    "plate": "year",
}  # fmt: skip


def _kind(amount: _Amount, unit: str, label: str, side: str, this_year: int) -> str:
    """The kind of an amount; '' if it is not clear."""
    if unit == "age":
        return "age" if side in (MAX, MORE, LESS) or label == "year" else ""
    if unit:
        return KIND_OF_UNIT[unit]
    if label:
        return label if label != "year" or _is_year(amount, this_year) else ""
    if _is_year(amount, this_year) and not (side == MAX and amount.number % 100 == 0):  # under 2000 is a price
        return "year"
    if amount.is_multiplied:
        return "price" if amount.number >= SMALLEST_PRICE else ""
    smallest = SMALLEST_PRICE if side in (MAX, MIN, ABOUT_IT, LESS, MORE) else SMALLEST_BARE_PRICE
    return "price" if amount.number >= smallest else ""


def _is_year(amount: _Amount, this_year: int) -> bool:
    is_plain = amount.written.isdecimal() and len(amount.written) == 4 and not amount.is_multiplied
    return is_plain and FIRST_YEAR <= amount.number <= this_year + LAST_YEAR_AHEAD


def _plate(amount: _Amount, side: str, start: int, end: int, this_year: int) -> FoundAmount | None:
    """``68 plate``: the year in which a British plate was issued; ``2018 reg`` is the year itself."""
    try:
        year = read_year(amount.written if len(amount.written) == 4 else f"{amount.written} plate", this_year)
    except Unreadable:
        return None
    return FoundAmount(start, end, _bounds("year", year, "", side, this_year, False))


def _bounds(kind: str, number: float, unit: str, side: str, this_year: int, in_miles: bool) -> tuple[Bound, ...]:
    if kind == "engine":
        litres = number / 1000 if number >= 100 else number
        return (Bound("engine", f"{litres:.1f}"),) if 0.5 <= litres <= 9 else ()
    if kind == "people":  # as many at least
        return _counted("seats", number, side or MIN)
    if kind in ("seats", "doors"):
        return _counted(kind, number, side)
    if kind == "age":
        return _aged(number, side, this_year)
    if kind == "year":
        return _dated(int(number), side)
    return _measured(kind, in_unit(kind, number, unit, in_miles), side)


def in_unit(kind: str, number: float, unit: str, in_miles: bool) -> float:
    """The amount in the unit of the search's parameter: kilometres, kilowatts, the market's currency."""
    if kind == "mileage":
        is_miles = unit == "miles" or (not unit and in_miles)
        return number * KM_PER_MILE if is_miles else number
    if kind == "power":
        return number * {"kw": 1.0, "hp": KW_PER_HP}.get(unit, KW_PER_METRIC_HP)
    return number


def _measured(kind: str, value: float, side: str) -> tuple[Bound, ...]:
    if not 0 < value <= LARGEST[kind]:
        return ()
    rounded = (lambda number: round(number, 2)) if kind == "price" else round
    if side == ABOUT_IT:
        away = ABOUT[kind] * value
        return Bound(f"min_{kind}", rounded(value - away)), Bound(f"max_{kind}", rounded(value + away))
    is_min = side in (MIN, MORE) or (kind == "power" and not side)
    return (Bound(f"{'min' if is_min else 'max'}_{kind}", rounded(value)),)


def _counted(kind: str, number: float, side: str) -> tuple[Bound, ...]:
    if number != int(number) or not 1 <= number <= LARGEST[kind]:
        return ()
    if side in (MIN, MORE):
        return (Bound(f"min_{kind}", int(number)),)
    return (Bound(f"max_{kind}" if side in (MAX, LESS) else kind, int(number)),)


def _aged(years: float, side: str, this_year: int) -> tuple[Bound, ...]:
    if not 0 <= years <= 90 or years != int(years):
        return ()
    is_older = side in (MIN, LESS)  # over five years, older than five years
    return (Bound("max_year" if is_older else "min_year", this_year - int(years)),)


def _dated(year: int, side: str) -> tuple[Bound, ...]:
    if side == ABOUT_IT:
        return Bound("min_year", year - 1), Bound("max_year", year + 1)
    if side in (MIN, MORE):
        return (Bound("min_year", year + (side == MORE)),)
    if side in (MAX, LESS):
        return (Bound("max_year", year - (side == LESS)),)
    return (Bound("year", year),)


def distances_in(plain: str) -> Iterator[tuple[int, int, float]]:
    """Distances with their unit: where they begin and end, and the kilometres."""
    for match in _AMOUNT.finditer(plain):
        amount = _amount_of(match)
        if amount and KIND_OF_UNIT.get(amount.unit) == "mileage":
            yield amount.start, amount.end, in_unit("mileage", amount.number, amount.unit, False)
