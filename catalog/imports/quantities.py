"""Numbers as people write them -> numbers in our units; no database.

Each ``read_*`` takes one cell's text and returns its value, or None when the cell only says that it is not known
(``POA``, ``0 CC``). What it cannot read it refuses with ``Unreadable``, whose message is the reason an operator sees.
A unit in the cell always wins over the ``unit`` argument, which is what the header or the operator said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from catalog.imports.vocabulary import PLAIN_WORDS, bare

KM_PER_MILE = 1.609344
KM_PER_MIL = 10  # the Scandinavian mile
KW_PER_METRIC_HP = 0.73549875  # PS, CV, ch, pk
KW_PER_HP = 0.745699872  # hp, bhp
IMPERIAL_GALLON_L = 4.54609
US_GALLON_L = 3.785411784

MAX_PRICE = Decimal("9999999999.99")  # what the column holds
MAX_MILEAGE_KM = 2_000_000
MAX_POWER_KW = 1_600
ENGINE_L = (0.04, 30.0)  # from a moped's to a lorry's
LITRES_END_AT = 15  # an engine size below is in litres, above in cubic centimetres
CONSUMPTION_L_100KM = (0.1, 50.0)
FIRST_CAR_YEAR = 1885


class Unreadable(ValueError):
    """A value that cannot be understood; the message says why, fit to stand after ``column: value:``."""


# --- Numbers ---------------------------------------------------------------------------------------------------------
_NUMBER = re.compile(
    r"""
    \d+(?:[.,]\d+)?e[+-]?\d+                      # 1e4, 1,5E+05
    | \d{1,3}(?:[ ']\d{3})+(?:[.,]\d+)?(?!\d)     # 9 990 and 12'500.50
    | \d+(?:[.,]\d+)*                             # 12.500,00 and 1,5
    | [.,]\d+                                     # .5
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SPACES = re.compile(r"[\s\u00a0\u2007\u2009\u200a\u202f\u205f\u3000]+")
_ODD_SPACES = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"))
_ALIKE = str.maketrans({"−": "-", "–": "-", "—": "-", "’": "'", "`": "'", "´": "'", "‘": "'", "³": "3", "ℓ": "l",
                        "万": " wan ", "萬": " wan ", "元": " yuan ", "円": " yen "})  # fmt: skip


@dataclass(frozen=True)
class Number:
    """A number found in a text, and the lower-case text up to the next one (where its unit stands)."""

    digits: str
    before: str
    after: str

    @property
    def is_negative(self) -> bool:
        return bool(re.search(r"(^|[^\w)])-\s?[^\w\s]?\s?$", self.before))

    def value(self, *, thousands: bool) -> Decimal:
        """The number itself; with ``thousands``, ``12.500`` and ``12,500`` are twelve thousand five hundred."""
        return _decimal(self.digits, thousands)


def plain_text(text: str) -> str:
    """One kind of space, of dash and of apostrophe; nothing invisible."""
    if text.isascii():
        return " ".join(text.replace("`", "'").split())
    return _SPACES.sub(" ", text.translate(_INVISIBLE).translate(_ALIKE).replace("公里", " km ")).strip()


def plain_spaces(text: str) -> str:
    """No-break, thin and other odd spaces as plain ones; invisible characters gone. Lines stay lines."""
    if text.isascii():
        return text
    return _ODD_SPACES.sub(" ", text.translate(_INVISIBLE))


@lru_cache(maxsize=4096)
def numbers_in(text: str) -> tuple[Number, ...]:
    """Every number of a text, each with what stands around it; () when there is none."""
    text = plain_text(text).casefold()
    found = list(_NUMBER.finditer(text))
    if not found:
        return ()
    ends = [match.start() for match in found[1:]] + [len(text)]
    starts = [0] + [match.end() for match in found[:-1]]
    return tuple(
        Number(match[0], text[start : match.start()], text[match.end() : end])
        for match, start, end in zip(found, starts, ends, strict=True)
    )


def _decimal(digits: str, thousands: bool) -> Decimal:
    digits = digits.replace(" ", "").replace("'", "")
    points, commas = digits.count("."), digits.count(",")
    if points and commas:
        decimal_mark = max(".,", key=digits.rfind)
        digits = digits.replace("," if decimal_mark == "." else ".", "")
        if digits.count(decimal_mark) > 1:
            raise Unreadable("not a number")
        return _plain_decimal(digits.replace(decimal_mark, "."))
    mark = "." if points else ","
    if points + commas > 1:
        if not re.fullmatch(rf"\d{{1,3}}(?:\{mark}\d{{2,3}})*\{mark}\d{{3}}", digits):  # India groups by two: 4,50,000
            raise Unreadable("not a number")
        return _plain_decimal(digits.replace(mark, ""))
    if thousands and re.fullmatch(rf"[1-9]\d{{0,2}}\{mark}\d{{3}}", digits):
        return _plain_decimal(digits.replace(mark, ""))
    return _plain_decimal(digits.replace(",", "."))


def _plain_decimal(digits: str) -> Decimal:
    try:
        value = Decimal(digits)
    except InvalidOperation:
        raise Unreadable("not a number") from None
    if not value.is_finite() or abs(value.adjusted()) > 30:  # 1e999999 would be asked for all its digits
        raise Unreadable("too large a number")
    return value


_TIMES = {
    "k": 1_000, "tsd": 1_000, "tausend": 1_000, "thousand": 1_000, "mil": 1_000, "tys": 1_000,
    "lakh": 100_000, "lakhs": 100_000, "lac": 100_000, "lacs": 100_000,
    "cr": 10_000_000, "crore": 10_000_000, "crores": 10_000_000,
    "만": 10_000, "만원": 10_000,
    "wan": 10_000, "тыс": 1_000, "тысяч": 1_000, "tis": 1_000, "tkr": 1_000, "млн": 1_000_000,
    "mio": 1_000_000, "mln": 1_000_000, "million": 1_000_000, "millions": 1_000_000, "millionen": 1_000_000,
}  # fmt: skip


def _times(after: str) -> int:
    """What a word behind a number multiplies it by: ``15k``, ``12,5 Tsd.``, ``3.5 lakh``."""
    match = re.match(r"\s?([^\W\d_]+)", after)
    if not match:
        return 1
    word = match[1]
    return 1_000 if word in ("tkm", "kmi") else _TIMES.get(word, 1)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text))


# --- Money -----------------------------------------------------------------------------------------------------------
CURRENCY_BY_MARK = {
    "us$": "USD", "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "r$": "BRL", "hk$": "HKD",
    "s$": "SGD", "mx$": "MXN", "£": "GBP", "€": "EUR", "₹": "INR", "¥": "JPY", "₽": "RUB", "₺": "TRY", "₴": "UAH",
    "₩": "KRW", "원": "KRW", "円": "JPY",
    "zł": "PLN", "kč": "CZK", "$": "USD",
}  # fmt: skip
DOLLARS = frozenset(["USD", "AUD", "CAD", "NZD", "SGD", "HKD", "MXN"])
CROWNS = frozenset(["SEK", "NOK", "DKK", "ISK", "CZK"])
CURRENCIES = frozenset(code.upper() for code in PLAIN_WORDS["currencies"]) | DOLLARS | CROWNS
CURRENCY_BY_WORD = {code.casefold(): code for code in CURRENCIES} | {
    "euro": "EUR", "euros": "EUR", "pound": "GBP", "pounds": "GBP", "dollar": "USD", "dollars": "USD",
    "rs": "INR", "rupees": "INR", "rupee": "INR", "sfr": "CHF", "fr": "CHF", "tl": "TRY", "zl": "PLN", "kc": "CZK",
    "руб": "RUB", "рублей": "RUB", "рубль": "RUB", "р": "RUB", "грн": "UAH", "lei": "RON", "ft": "HUF", "лв": "BGN",
    "евро": "EUR", "долл": "USD", "тенге": "KZT", "тг": "KZT", "tkr": "SEK", "zloty": "PLN", "zlotych": "PLN",
    "rmb": "CNY", "yuan": "CNY", "yen": "JPY", "rub": "RUB", "pkr": "PKR", "dhs": "AED", "dh": "AED",
}  # fmt: skip
_ON_REQUEST = re.compile(
    r"\b(poa|p\.o\.a|on (?:request|application)|auf anfrage|anfrage|sur demande|a consultar|consultar|su richiesta|"
    r"trattativa|call|contact|ask|enquire|please|negotiable only|sold|verkauft|n\.?o\.?t\.?k|op aanvraag|free|"
    r"zu verschenken|swap|tausch)\b"
)
_BY_THE_MONTH = re.compile(
    r"\b(per month|pcm|p/m|pm|/ ?mo(?:nth)?|monthly|mtl|monatlich|monat|par mois|mensuel|al mes|al mese|a month|pw|"
    r"per week|per day|leasing|rate)\b|/ ?(?:month|mo|monat|mois|mes|mese)\b"
)
_PRICE_WORDS = PLAIN_WORDS["around_a_price"]


@dataclass(frozen=True)
class Money:
    amount: Decimal
    currency: str  # a code; '' where the text names none; "$" or "kr" where it names a family
    vat: str = ""  # word by which the text says that value added tax comes on top: "vat", "mwst", "ht"


# Standard rates of value added tax in percent, by the word for it; where several countries share the word, by currency.
_VAT_RATES = {
    "mwst": 19, "ust": 19, "netto": 19, "ht": 20, "tva": 20, "btw": 21, "dph": 21, "vat": 20, "moms": 25, "mva": 25,
    "ндс": 20, "más iva": 21, "mas iva": 21, "iva no": 21, "iva esclus": 22, "iva escl": 22, "acresce": 23,
}  # fmt: skip
_VAT_BY_CURRENCY: dict[str, float] = {
    "GBP": 20, "PLN": 23, "CZK": 21, "SEK": 25, "NOK": 25, "DKK": 25, "HUF": 27, "RON": 19, "RUB": 20, "CHF": 8.1,
}  # fmt: skip
_ON_TOP = re.compile(
    r"""
    (?:\+ | \b(?:plus|ex|exc|excl|excluding|exclusive|exkl|zzgl|zuzüglich|ohne|bez|uden|utan|eks|ekskl|без|sem|senza
        |más|mas|acresce))\.?\ ?(?:\d+(?:[.,]\d+)?\ ?%\ ?)?(?:of\ |de\ |der\ |van\ |el\ )?
        (?P<word>vat|mwst|ust|btw|dph|moms|mva|iva|tva|ндс)\b
    | \b(?P<ht>ht)\b | \bh\.t\. | \bhors\ taxes?\b
    | \biva\ (?P<escl>esclusa|escl|no\ incluido|não\ incluído|excluido|excluída)\b
    | \b(?P<netto>netto|net)\b
    """,
    re.VERBOSE,
)


def vat_on_top(text: str) -> str:
    """The word by which a text says that value added tax is not in its amount; '' when it does not say so."""
    found = _ON_TOP.search(text)
    if not found:
        return ""
    if found["escl"]:
        return "iva escl" if found["escl"].startswith("escl") else "iva no"
    word = found["word"] or ("netto" if found["netto"] else "ht")
    return "más iva" if word == "iva" and "m" in found[0] and "s" in found[0] else word


def vat_rate(word: str, currency: str) -> Decimal | None:
    """The standard rate in percent, by currency where that names one country, else by the word; None: not known."""
    rate = _VAT_BY_CURRENCY.get(currency) or (_VAT_RATES.get(word) if currency in ("", "EUR") else None)
    return None if rate is None else Decimal(str(rate))


def currency_in(text: str) -> str:
    """The currency a text names by sign, code or word; '' when none."""
    text = plain_text(text).casefold()
    for mark, code in CURRENCY_BY_MARK.items():
        if mark in text:
            return code
    return next((CURRENCY_BY_WORD[word] for word in re.findall(r"[^\W\d_]+", text) if word in CURRENCY_BY_WORD), "")


def _currency_or_family(text: str) -> str:
    """As ``currency_in``, but ``$`` and ``kr`` stay what they are: several countries' money is called so."""
    code = currency_in(text)
    if "tkr" in _words(text):
        return "kr"
    if code == "USD" and "us" not in text:
        return "$"
    return code or ("kr" if "kr" in _words(text) else "")


def settle_currency(mark: str, candidates: Iterable[str]) -> str:
    """The code of a family name (``$``, ``kr``): the first candidate of that family. Raises Unreadable for ``kr``."""
    family = {"$": DOLLARS, "kr": CROWNS}.get(mark)
    if family is None:
        return mark
    for code in candidates:
        if code in family:
            return code
    if mark == "kr":
        raise Unreadable("“kr” may be Swedish, Norwegian or Danish: say --currency")
    return "USD"


def read_money(text: str, unit: str = "") -> Money | None:
    """``£8,000``, ``12.500,00 €``, ``€ 9 990,-``, ``3.5 lakh``, ``12.500 € VB``. None: on request, or zero."""
    if text.isdecimal() and len(text) < 10:
        return Money(Decimal(f"{text}.00"), "") if int(text) else None
    plain = plain_text(text).casefold()
    numbers = [number for number in numbers_in(plain) if not number.after.lstrip().startswith("%")]
    if not numbers:
        if _ON_REQUEST.search(plain) or _words(plain) <= _PRICE_WORDS or currency_in(plain):
            return None
        raise Unreadable("no amount in it")
    currency = _currency_or_family(plain)
    if _BY_THE_MONTH.search(plain):
        raise Unreadable("an amount by the month, not a price")
    if not currency and not _words(plain) <= _PRICE_WORDS | {"e"}:
        raise Unreadable("not a price")
    if len(numbers) > 1:
        raise Unreadable("more than one amount")
    if numbers[0].is_negative:
        raise Unreadable("a negative amount")
    exact = numbers[0].value(thousands=True) * _times(numbers[0].after)
    if exact > MAX_PRICE:  # before it is rounded, which Decimal refuses for numbers of very many digits
        raise Unreadable("too large an amount")
    amount = round(exact, 2)
    return Money(amount, currency, vat_on_top(plain)) if amount else None


def is_marked_as_money(text: str) -> bool:
    """Whether a sign makes a number an amount of money, whatever column it stands in: ``£145``."""
    return any(sign in text for sign in "£€₹$") and bool(numbers_in(text))


def _refuse_money(text: str) -> None:
    if is_marked_as_money(text):
        raise Unreadable("an amount of money")


# --- Distance --------------------------------------------------------------------------------------------------------
_DISTANCE_UNITS = {
    "km": "km", "kms": "km", "kilometer": "km", "kilometers": "km", "kilometre": "km", "kilometres": "km", "klm": "km",
    "kilometern": "km", "tkm": "km", "kilometros": "km", "chilometri": "km", "kilometres.": "km",
    "mi": "mi", "mile": "mi", "miles": "mi", "mls": "mi", "meilen": "mi", "milles": "mi", "millas": "mi",
    "miglia": "mi", "kmi": "mi", "км": "km", "smi": "mi", "kmt": "km", "миль": "mi", "mill": "mi", "quilometros": "km",
    "quilómetros": "km", "kilómetros": "km", "kilometrów": "km", "milhas": "mi", "mijl": "mi", "χλμ": "km",
}  # fmt: skip
_DISTANCE_WORDS = PLAIN_WORDS["around_a_distance"] | set(_DISTANCE_UNITS)


def read_distance_unit(text: str) -> str:
    """``km``, ``mi`` or ``mil`` (ten kilometres) of a cell that names the unit only: ``MI``, ``SMI``."""
    words = _words(plain_text(text).casefold())
    if words & {"kmt", "smi", "mil"}:
        return {"kmt": "km", "smi": "mi", "mil": "mil"}[next(iter(words & {"kmt", "smi", "mil"}))]
    units = {_DISTANCE_UNITS[word] for word in words if word in _DISTANCE_UNITS} or {
        {"k": "km", "m": "mi"}[word] for word in words if word in ("k", "m")
    }
    if len(units) != 1:
        raise Unreadable("not a known unit of distance")
    return units.pop()


def read_power_unit(text: str) -> str:
    """``kw``, ``hp`` or ``ps`` of a cell that names only the unit."""
    match = _POWER.match(plain_text(text).casefold())
    if match is None and plain_text(text).casefold() not in ("kwt", "bhp"):
        raise Unreadable("not a known unit of power")
    word = match[1].replace(".", "") if match else "kwt"
    return "kw" if word in ("kw", "kwt", "квт") else "hp" if word in ("hp", "bhp") else "ps"


def read_distance_km(text: str, unit: str = "km") -> int:
    """``150,000km``, ``38.852 mi``, ``45k miles``; ``unit`` is km, mi or mil (ten km). Zero is a new car's."""
    if text.isdecimal():  # nearly every cell of a tidy file
        return _in_km(float(text), unit)
    _refuse_money(text)
    numbers = numbers_in(text)
    if not numbers:
        raise Unreadable("no number in it")
    words = _words(plain_text(text).casefold())
    if not words <= _DISTANCE_WORDS:
        raise Unreadable("not a distance")
    number = numbers[0]
    if len(numbers) > 1 and not (_unit_after(number, _DISTANCE_UNITS) and _unit_after(numbers[1], _DISTANCE_UNITS)):
        raise Unreadable("more than one number")
    if number.is_negative:
        raise Unreadable("a negative distance")
    distance = float(number.value(thousands=True))
    named = _unit_after(number, _DISTANCE_UNITS) or next(
        (_DISTANCE_UNITS[word] for word in words if word in _DISTANCE_UNITS), ""
    )
    if "mil" in words and not named and (unit == "mil" or distance >= 1_000):
        return _in_km(distance, "mil")  # elsewhere "mil" is a thousand, which no car has driven a thousand times
    return _in_km(distance * _times(number.after), named or unit)


def _in_km(distance: float, unit: str) -> int:
    kilometres = distance * {"mi": KM_PER_MILE, "mil": KM_PER_MIL}.get(unit, 1)
    if kilometres > MAX_MILEAGE_KM:
        raise Unreadable("further than any car goes")
    return round(kilometres)


def has_fraction(text: str) -> bool:
    """Whether the only number of a cell has decimals that are not zero, which no odometer shows."""
    numbers = numbers_in(text)
    if len(numbers) != 1:
        return False
    try:
        value = numbers[0].value(thousands=True)
    except Unreadable:
        return False
    return value != value.to_integral_value()


def _unit_after(number: Number, units: dict[str, str]) -> str:
    match = re.match(r"[\s,.*-]*(?:k\s|tsd\.?\s|thousand\s)?\s*([^\W\d_]+)", number.after)
    return units.get(match[1], "") if match else ""


# --- Engine, power, consumption --------------------------------------------------------------------------------------
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
    """``1248 CC``, ``1.6``, ``1,6 l``, ``2.0 TDI``, ``4 cyl, 2.2 L`` -> litres; None for zero (unknown or electric)."""
    _refuse_money(text)
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
    """Neither a count of cylinders or gears nor the digits of a name (``V6``, ``K20``, ``E85``)."""
    if _NOT_A_SIZE.match(number.after) or re.search(r"[^\W\d_]-?$", number.before):
        return False
    if re.search(r"[.,]\d", number.digits):
        return True
    if re.match(r"[^\W\d_]", number.after):
        return False  # 320d, 45e
    return len(number.digits) == 4 or not (number.before.strip() or number.after.strip())


_POWER = re.compile(
    r"^\s?-?(л\.? ?с|к\.? ?с|квт|koni|koní|hv|cavalos|kuc|le|hk|kw|ps|bhp|"
    r"b\.h\.p\.?|hp|h\.p\.?|cv|ch|pk|km|cavalli|caballos|chevaux|pferdestarken|hk|hp@)\b"
)
_TWO_POWERS = re.compile(r"\d{2,4}\s?(?:/|\|)\s?\d{2,4}|\d{2,4}\s?\(\d{2,4}\)")
_POWER_IN_KW = {"kw": 1.0, "квт": 1.0, "bhp": KW_PER_HP, "hp": KW_PER_HP}


def read_power_kw(text: str, unit: str = "") -> int | None:
    """``110 kW (150 PS)``, ``81,4 bhp``, ``150 PS`` -> kilowatts; ``unit`` is kw, hp or ps (metric)."""
    _refuse_money(text)
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
    if not marked and (len(numbers) > 1 or _words(plain_text(text).casefold()) - {"e"}):
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
    """``18.9 kmpl``, ``45.6 mpg``, ``5,4 l/100km`` -> litres per 100 km; None for zero.

    ``unit`` is l_100km, kmpl, mpg (imperial gallons) or mpg_us.
    """
    _refuse_money(text)
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
    if not found and (len(numbers) > 1 or _words(plain_text(text).casefold()) - {"l", "e"}):
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
    return any(_unit_after(number, _DISTANCE_UNITS) for number in numbers_in(text)) and not has_consumption_unit(text)


def has_power_unit(text: str) -> bool:
    return any((match := _POWER.match(number.after)) and match[1] != "km" for number in numbers_in(text))


_POLISH_POWER = re.compile(r"(?<![\d.,])[3-9]\d ?KM\b|(?<![\d.,])[1-9]\d\d ?KM\b")


def has_polish_power(text: str) -> bool:
    """``2.0 TDI 140 KM``: metric horsepower in capitals, as no one writes a distance beside an engine."""
    return bool(_POLISH_POWER.search(text))


def has_engine_unit(text: str) -> bool:
    """Cubic centimetres, or litres to one place: ``2.0 L`` (``50 l`` is a tank)."""
    return any(
        _CUBIC.match(number.after) or (_LITRES.match(number.after) and re.fullmatch(r"\d[.,]\d", number.digits))
        for number in numbers_in(text)
    )


# --- Years, counts, places -------------------------------------------------------------------------------------------
_LONG_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|2\d\d\d)(?:(?:0[1-9]|1[0-2])\d\d)?(?!\d)")  # 2018, and 20180301
_MONTH_AND_YEAR = re.compile(r"^(?:\d{1,2}[./-])?(?:\d{1,2}|[^\W\d_]{3,9}\.?)[./ '-](\d\d)$")


def read_year(text: str, this_year: int) -> int:
    """``2018``, ``03/2018``, ``2018-03-01``, ``Mar-18``, ``2018.0`` -> the year, up to the next one."""
    plain = plain_text(text)
    years = {int(year) for year in _LONG_YEAR.findall(plain)}
    if not years and re.fullmatch(r"[12][.,]\d{3}", plain):
        years = {int(re.sub(r"\D", "", plain))}
    if not years and (short := _MONTH_AND_YEAR.match(plain)):
        year = int(short[1]) + 2000
        years = {year if year <= this_year + 1 else year - 100}
    if not years and (two_digits := _TWO_DIGITS.fullmatch(plain)):
        year = int(two_digits[1]) + 2000
        years = {year if year <= this_year + 1 else year - 100}
    if not years and (year_of_plate := _year_of_plate(plain, this_year) or _year_of_serial(plain, this_year)):
        years = {year_of_plate}
    if not years:
        raise Unreadable("no year in it")
    if len(years) > 1 and max(years) - min(years) > 1:
        raise Unreadable("more than one year")
    year = min(years)  # 2018/2019: built, and sold as
    if year > this_year + 1:
        raise Unreadable("a year in the future")
    if year < FIRST_CAR_YEAR:
        raise Unreadable("before the first car")
    return year


_TWO_DIGITS = re.compile(r"['\u2019](\d\d)")  # without an apostrophe 68 is 1968 or a plate of 2018, and 18 anything


_PLATE = re.compile(r"^[a-z]{2} ?(\d\d) ?[a-z]{3}$", re.IGNORECASE)
_OLD_PLATE = re.compile(r"^([a-hj-npr-tv-y]) ?\d{1,3} ?[a-z]{3}$", re.IGNORECASE)
_PLATE_CODE = re.compile(r"^\(?(\d\d)\)?[ -]?(?:plate|reg(?:istration)?)\b|^(?:plate|reg)\W{1,2}(\d\d)$", re.IGNORECASE)
_PREFIX_LETTERS = "abcdefghjklmnprstvwxy"  # of British plates: a year each from August 1983
_SERIAL_DAYS = range(20_000, 73_000)  # a spreadsheet's count of days since 1899-12-30: 1954 to 2099
_DAY_ZERO = date(1899, 12, 30)


def _year_of_plate(text: str, this_year: int) -> int | None:
    """``AB18 CDE``, ``18 plate``, ``68-reg`` -> the year of a British plate (51 to 99: issued in September)."""
    if match := _PLATE.match(text) or _PLATE_CODE.match(text):
        code = int(match[1] or match[match.lastindex or 1])
        year = 2000 + code % 50
        return year if 2001 <= year <= this_year + 1 else None
    if match := _OLD_PLATE.match(text):
        year = 1983 + _PREFIX_LETTERS.index(match[1].casefold())
        return min(year, 2001)
    return None


def _year_of_serial(text: str, this_year: int) -> int | None:
    """``43160``, which is a date that a spreadsheet has written as its number of days."""
    digits = text.removesuffix(".0")
    if not (digits.isdecimal() and len(digits) == 5 and int(digits) in _SERIAL_DAYS):
        return None
    year = (_DAY_ZERO + timedelta(days=int(digits))).year
    return year if year <= this_year + 1 else None


_MONTHS = (  # beginnings of the names of each month, in their bare form; of two that fit the longer one counts
    "jan janv ene gen sty led янв",
    "feb fev fevr lut uno фев",
    "mar maa mrt mrz brez мар",
    "apr avr abr kwi dub апр",
    "may mai mag maj mei kve май мая",
    "jun juin giu cze cerven июн",
    "jul juil lug lip cervenec июл",
    "aug aou ago sie srp авг",
    "sep set wrz zar сен",
    "oct okt ott out paz rij окт",
    "nov lis ноя",
    "dec dez dic des gru pro дек",
)
_NUMERIC_MONTH = (  # year and month as groups of those names
    re.compile(r"(?P<year>[12]\d{3})[-/.](?P<month>\d{1,2})(?:[-/.]\d{1,2})?(?!\d)"),  # 2018-03, 2018-03-12
    re.compile(r"(?P<year>[12]\d{3})(?P<month>0[1-9]|1[0-2])(?:[0-3]\d)?"),  # 201803, 20180312
    re.compile(r"(?P<month>\d{1,2})[-/.](?P<year>[12]\d{3})"),  # 03/2018
    re.compile(r"(?P<month>\d{1,2})[-/.](?P<year>\d{2})"),  # 03/18
)
_DAY_MONTH_YEAR = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.]([12]\d{3}|\d{2})")
_NAMED_MONTH = re.compile(r"(?:\d{1,2}\W{1,2})?([^\W\d_]{3,12})\W{0,3}(?:de |of )?'?([12]\d{3}|\d{2})")


def read_month(text: str, this_year: int = 9999, *, month_first: bool = False) -> int | None:
    """``03/2018``, ``2018-03-12``, ``Mar-18``, ``März 2018``, ``43171`` -> 201803; None where no month is said.

    Of two numbers before a year the day is the one that can be no month; where both can, the month stands second, and
    with ``month_first`` first, as in the United States.
    """
    plain = plain_text(text).removesuffix(" 00:00:00").strip()
    plain = re.sub(r"(?<=\d)[T ]\d{1,2}:\d{2}.*$", "", plain)
    found = _numeric_month(plain, month_first) or _named_month(plain) or _month_of_serial(plain)
    if found is None:
        return None
    year, month = found
    if year < 100:
        year += 2000 if year + 2000 <= min(this_year, 2099) + 1 else 1900
    if not (FIRST_CAR_YEAR <= year <= this_year + 1 and 1 <= month <= 12):
        return None
    return 100 * year + month


def _numeric_month(text: str, month_first: bool) -> tuple[int, int] | None:
    for pattern in _NUMERIC_MONTH:
        if match := pattern.fullmatch(text):
            return int(match["year"]), int(match["month"])
    if match := _DAY_MONTH_YEAR.fullmatch(text):
        first, second, year = (int(group) for group in match.groups())
        return year, day_and_month(first, second, month_first)[1]
    return None


def day_and_month(first: int, second: int, month_first: bool) -> tuple[int, int]:
    """Two numbers before a year: what can be no month is the day."""
    if (month_first and first <= 12) or second > 12:
        return second, first
    return first, second


def _named_month(text: str) -> tuple[int, int] | None:
    match = _NAMED_MONTH.fullmatch(text.casefold())
    number = month_named(match[1]) if match else None
    return (int(match[2]), number) if match and number else None


def month_named(word: str) -> int | None:
    """``Mar``, ``März``, ``kwiecień`` -> its number; None for a word that names no month."""
    plain = bare(word)
    names = ((name, number) for number, names in enumerate(_MONTHS, start=1) for name in names.split())
    fitting = [(len(name), number) for name, number in names if plain.startswith(name)]
    return max(fitting)[1] if fitting else None


def _month_of_serial(text: str) -> tuple[int, int] | None:
    digits = text.removesuffix(".0")
    if not (digits.isdecimal() and len(digits) == 5 and int(digits) in _SERIAL_DAYS):
        return None
    day = _DAY_ZERO + timedelta(days=int(digits))
    return day.year, day.month


def read_month_of_year(text: str) -> int | None:
    """``3``, ``03``, ``März`` -> 3; None for 0, with which some forms say that it is not known."""
    if (number := month_named(text)) is not None:
        return number
    plain = plain_text(text).removesuffix(".0")
    if not plain.isdecimal() or int(plain) > 12:
        raise Unreadable("not a month")
    return int(plain) or None


_EARLIEST_POST = 1995  # before it there was no web to post on


def read_moment(text: str, this_year: int = 9998, *, month_first: bool = False) -> datetime:
    """``2026-11-20T10:00:00Z``, ``20.11.2026 10:00``, ``46346``, Unix seconds -> the time, in UTC without a zone.

    ``month_first``: of 3/4/2026 the first number is the month, as in the United States.
    """
    plain = plain_text(text)
    moment = _iso_moment(plain) or _written_moment(plain, month_first) or _counted_moment(plain)
    if moment is None:
        raise Unreadable("not a date")
    if not _EARLIEST_POST <= moment.year <= this_year + 1:
        raise Unreadable("a date on which nothing was posted")
    return moment


def _iso_moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if text.isdecimal() and len(text) != len("20261120"):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_WRITTEN = re.compile(
    r"(\d{1,2})[./-](\d{1,2})[./-]([12]\d{3})(?:[ ,T]+(?:um )?(\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?(am|pm))?)?.{0,12}",
    re.IGNORECASE,
)


def _written_moment(text: str, month_first: bool) -> datetime | None:
    if not (match := _WRITTEN.fullmatch(text)):
        return None
    first, second, year, hour, minute, second_of = (int(group or 0) for group in match.groups()[:6])
    day, month = day_and_month(first, second, month_first)
    hour = hour % 12 + 12 * (match[7].casefold() == "pm") if match[7] else hour
    try:
        return datetime(year, month, day, hour, minute, second_of, tzinfo=UTC)
    except ValueError:
        return None


def _counted_moment(text: str) -> datetime | None:
    """A spreadsheet's count of days, or a computer's of seconds or milliseconds."""
    digits = text.split(".", maxsplit=1)[0]
    if not digits.isdecimal():
        return None
    if len(digits) == 5 and int(digits) in _SERIAL_DAYS:
        return datetime.combine(_DAY_ZERO + timedelta(days=int(digits)), time(), UTC)
    if len(digits) in (10, 13):
        return datetime.fromtimestamp(int(digits[:10]), UTC)
    return None


_ORDINALS = {
    "first": 1, "erste": 1, "erster": 1, "one": 1, "single": 1, "premiere": 1, "primera": 1, "prima": 1, "unico": 1,
    "second": 2, "zweite": 2, "zweiter": 2, "two": 2, "deuxieme": 2, "segunda": 2, "third": 3, "dritte": 3,
    "three": 3, "troisieme": 3, "fourth": 4, "vierte": 4, "four": 4, "fifth": 5, "five": 5, "test": 0,
    "unregistered": 0, "zero": 0, "none": 0, "no": 0,
}  # fmt: skip


def read_owner_count(text: str, unit: str = "") -> int | None:
    """``1st owner``, ``Second Owner``, ``1. Hand``, ``Fourth & Above Owner``, ``Test Drive Car`` (none yet)."""
    numbers = numbers_in(text)
    if numbers:
        return _whole(numbers[0], 0, 99, "owners")
    words = re.findall(r"[^\W\d_]+", plain_text(text).casefold())
    count = next((_ORDINALS[word] for word in words if word in _ORDINALS), None)
    if count is None:
        raise Unreadable("no number of owners in it")
    return count


_NUMBER_WORDS = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}


def read_doors(text: str, unit: str = "") -> int | None:
    """``5``, ``4/5``, ``4 Doors``, ``>5``; of two numbers the larger. Excel makes ``4/5`` into ``04-May``."""
    plain = plain_text(text).casefold()
    if match := re.fullmatch(r"0?([2-6])[-/ .](mar|may|jul|mrz|mai|märz)[a-z]*", plain):
        return {"mar": 3, "mrz": 3, "mär": 3, "may": 5, "mai": 5, "jul": 7}[match[2][:3]]
    numbers = numbers_in(plain)
    if not numbers and (
        named := [_NUMBER_WORDS[word] for word in _words(plain.replace("_", " ")) if word in _NUMBER_WORDS]
    ):
        return max(named)  # FOUR_OR_FIVE
    if not numbers:
        raise Unreadable("no number in it")
    return max((_whole(number, 0, 9, "doors") for number in numbers), default=0) or None


def read_seats(text: str, unit: str = "") -> int | None:
    """``5``, ``5 seats``, ``7.0``; None for zero."""
    numbers = numbers_in(text)
    if not numbers:
        raise Unreadable("no number in it")
    return max(_whole(number, 0, 99, "seats") for number in numbers) or None


def read_plain_number(text: str, *, is_whole: bool, largest: float) -> float | int:
    """``420``, ``420 km``, ``4,5``: the one number of a cell, from 0 to ``largest``; its unit is taken for granted."""
    numbers = numbers_in(text)
    if len(numbers) != 1 or numbers[0].is_negative:
        raise Unreadable("not one number" if len(numbers) != 1 else "a negative number")
    value = numbers[0].value(thousands=is_whole)
    if value > Decimal(largest):
        raise Unreadable("too large a number")
    return round(value) if is_whole else float(value)


def _whole(number: Number, low: int, high: int, of_what: str) -> int:
    value = number.value(thousands=False)
    if value != value.to_integral_value() or not low <= value <= high or number.is_negative:
        raise Unreadable(f"not a number of {of_what}")
    return int(value)


def read_coordinate(text: str, limit: float) -> float:
    """Degrees between ``-limit`` and ``limit``, with a point or a comma."""
    try:
        degrees = float(plain_text(text).replace(",", "."))
    except ValueError:
        raise Unreadable("not degrees") from None
    if not -limit <= degrees <= limit:
        raise Unreadable("not on Earth")
    return degrees
