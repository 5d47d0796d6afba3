"""Read amounts of money: currency, value added tax, prices on request; no database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from catalog.imports.numbers import Unreadable, multiplier_of, numbers_in, plain_text, words_in
from catalog.imports.vocabulary import PLAIN_WORDS

MAX_PRICE = Decimal("9999999999.99")  # what the column holds
CURRENCY_BY_MARK = {
    "u$s": "USD", "u$d": "USD",
    "us$": "USD", "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "r$": "BRL", "hk$": "HKD",
    "s$": "SGD", "mx$": "MXN", "£": "GBP", "€": "EUR", "₹": "INR", "¥": "JPY", "₽": "RUB", "₺": "TRY", "₴": "UAH",
    "₩": "KRW", "원": "KRW", "円": "JPY",
    "zł": "PLN", "kč": "CZK", "$": "USD",
}  # fmt: skip
PESOS = frozenset(["ARS", "CLP", "COP", "MXN", "UYU"])  # they are written "$", too
DOLLARS = frozenset(["USD", "AUD", "CAD", "NZD", "SGD", "HKD"]) | PESOS
CROWNS = frozenset(["SEK", "NOK", "DKK", "ISK", "CZK"])
CURRENCIES = frozenset(code.upper() for code in PLAIN_WORDS["currencies"]) | DOLLARS | CROWNS
CURRENCY_BY_WORD = {code.casefold(): code for code in CURRENCIES} | {
    "euro": "EUR", "euros": "EUR", "pound": "GBP", "pounds": "GBP", "dollar": "USD", "dollars": "USD",
    "rs": "INR", "rupees": "INR", "rupee": "INR", "sfr": "CHF", "fr": "CHF", "tl": "TRY", "zl": "PLN", "kc": "CZK",
    "руб": "RUB", "рублей": "RUB", "рубль": "RUB", "р": "RUB", "грн": "UAH", "lei": "RON", "ft": "HUF", "лв": "BGN",
    "евро": "EUR", "долл": "USD", "тенге": "KZT", "тг": "KZT", "tkr": "SEK", "zloty": "PLN", "zlotych": "PLN",
    "rmb": "CNY", "rur": "RUB", "yuan": "CNY", "yen": "JPY", "rub": "RUB", "pkr": "PKR", "dhs": "AED", "dh": "AED",
}  # fmt: skip
_SAYS_WHICH_DOLLAR = re.compile(rf"\b(?:{'|'.join(sorted(DOLLARS))})\b", re.IGNORECASE)  # "$12,995 CAD"
_UNITED_STATES = re.compile(r"us|u\$[sd]")  # "US$", "USD", "U$S"
_PARAGRAPH = re.compile(r"§+ ?\d+ ?[a-z]?\b(?: ?ustg\b)?")  # "§25a UStG" is a law, no amount
_FEE = re.compile(  # "£8,995 + £99 admin fee", "9.990 € zzgl. 790 € Überführung"
    r"(?<=\d)[\s€£$]*(?:\+|plus|zzgl\.?|und|and)\s?[€£$]?\s?\d[\d.,]*\s?[€£$]?\s?(?:eur|gbp|usd)?\s?"
    r"(?:\w+\s)?(?:fees?|admin\w*|delivery|prep|otr|doc\w*|überführung\w*|zulassung\w*|nebenkosten|frais\w*|spese|gastos)\b.*$"
)
_RAND = re.compile(r"^r\s?\d[\d\s.,]*$")  # South African: "R 459 900"
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
    """Return the word by which a text says that VAT is not included; "" when it does not say so."""
    found = _ON_TOP.search(text)
    if not found:
        return ""
    if found["escl"]:
        return "iva escl" if found["escl"].startswith("escl") else "iva no"
    word = found["word"] or ("netto" if found["netto"] else "ht")
    return "más iva" if word == "iva" and "m" in found[0] and "s" in found[0] else word


def vat_rate(word: str, currency: str) -> Decimal | None:
    """Return the standard rate in percent, by currency where that is of one country, else by the word; None if
    unknown."""
    rate = _VAT_BY_CURRENCY.get(currency) or (_VAT_RATES.get(word) if currency in ("", "EUR") else None)
    return None if rate is None else Decimal(str(rate))


def currency_in(text: str) -> str:
    """Return the currency that a text names by sign, code or word; "" when none."""
    text = plain_text(text).casefold()
    for mark, code in CURRENCY_BY_MARK.items():
        if mark in text:
            said = _SAYS_WHICH_DOLLAR.search(text) if mark == "$" else None
            return said[0].upper() if said else code
    if _RAND.match(text):
        return "ZAR"
    return next((CURRENCY_BY_WORD[word] for word in re.findall(r"[^\W\d_]+", text) if word in CURRENCY_BY_WORD), "")


def currency_or_family(text: str) -> str:
    """Return the currency that a text names, but ``$`` and ``kr`` unchanged: several countries write theirs so."""
    code = currency_in(text)
    if "tkr" in words_in(text):
        return "kr"
    if code == "USD" and not _UNITED_STATES.search(text):
        return "$"
    return code or ("kr" if "kr" in words_in(text) else "")


def settle_currency(mark: str, candidates: Iterable[str]) -> str:
    """Return the first candidate of a family (``$``, ``kr``). Raises Unreadable for ``kr`` without a candidate."""
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
    """Read ``£8,000``, ``12.500,00 €``, ``€ 9 990,-``, ``3.5 lakh``, ``12.500 € VB``; None for on request, or zero."""
    if text.isdecimal() and len(text) < 10:
        amount = Decimal(f"{text}.00")
        return Money(amount, "") if amount and not is_placeholder(amount) else None
    plain = _FEE.sub(" ", _PARAGRAPH.sub(" ", plain_text(text).casefold()))
    numbers = [number for number in numbers_in(plain) if not number.after.lstrip().startswith("%")]
    if not numbers:
        if _ON_REQUEST.search(plain) or words_in(plain) <= _PRICE_WORDS or currency_in(plain):
            return None
        raise Unreadable("no amount in it")
    currency = currency_or_family(plain)
    if _BY_THE_MONTH.search(plain):
        raise Unreadable("an amount by the month, not a price")
    if not currency and not words_in(plain) <= _PRICE_WORDS | {"e"}:
        raise Unreadable("not a price")
    if len(numbers) > 1:
        raise Unreadable("more than one amount")
    if numbers[0].is_negative:
        raise Unreadable("a negative amount")
    exact = numbers[0].value(thousands=True) * multiplier_of(numbers[0].after)
    if exact > MAX_PRICE:  # before it is rounded, which Decimal refuses for numbers of very many digits
        raise Unreadable("too large an amount")
    amount = round(exact, 2)
    return Money(amount, currency, vat_on_top(plain)) if amount and not is_placeholder(amount) else None


def is_placeholder(amount: Decimal) -> bool:
    """Whether an amount only fills a form: 1, 111111, 9999999; a car may cost 99,999."""
    digits = f"{amount.normalize():f}"
    return digits == "1" or (set(digits) == {"1"} and len(digits) >= 6) or (set(digits) == {"9"} and len(digits) >= 7)


def is_marked_as_money(text: str) -> bool:
    """Whether a sign marks a number as money, in whatever column: ``£145``."""
    return any(sign in text for sign in "£€₹$") and bool(numbers_in(text))


def refuse_money(text: str) -> None:
    if is_marked_as_money(text):
        raise Unreadable("an amount of money")
