"""Read numbers in texts, in any notation; no database.

A text that cannot be read is refused with ``Unreadable``, whose message is shown to an operator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache


class Unreadable(ValueError):
    """A value that cannot be read; the message is the reason, written to follow ``column: value:``."""


_NUMBER = re.compile(
    r"""
    \d+(?:[.,]\d+)?e[+-]?\d+                      # 1e4, 1,5E+05
    | (?<![^\W\d_])\d{1,3}(?:[ ']\d{3})+(?:[.,]\d+)?(?!\d)  # 9 990 and 12'500.50, but not "V8 460 hp"
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
    """A number in a text, and the lower-case text up to the next one (where its unit is)."""

    digits: str
    before: str
    after: str

    @property
    def is_negative(self) -> bool:
        return bool(re.search(r"(^|[^\w)])-\s?[^\w\s]?\s?$", self.before))

    def value(self, *, thousands: bool) -> Decimal:
        """Return the number; with ``thousands``, ``12.500`` and ``12,500`` are twelve thousand five hundred."""
        return _decimal(self.digits, thousands)


def plain_text(text: str) -> str:
    """Replace all spaces, dashes and apostrophes by one kind each; remove invisible characters."""
    if text.isascii():
        return " ".join(text.replace("`", "'").split())
    return _SPACES.sub(" ", text.translate(_INVISIBLE).translate(_ALIKE).replace("公里", " km ")).strip()


def plain_spaces(text: str) -> str:
    """Replace no-break, thin and other spaces by plain ones, and remove invisible characters; line ends stay."""
    if text.isascii():
        return text
    return _ODD_SPACES.sub(" ", text.translate(_INVISIBLE))


@lru_cache(maxsize=4096)
def numbers_in(text: str) -> tuple[Number, ...]:
    """Return every number of a text with the text around it; () when there is none."""
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
    "k": 1_000, "t": 1_000, "mila": 1_000,
    "tsd": 1_000, "tausend": 1_000, "thousand": 1_000, "mil": 1_000, "tys": 1_000,
    "lakh": 100_000, "lakhs": 100_000, "lac": 100_000, "lacs": 100_000,
    "cr": 10_000_000, "crore": 10_000_000, "crores": 10_000_000,
    "만": 10_000, "만원": 10_000,
    "wan": 10_000, "тыс": 1_000, "тысяч": 1_000, "tis": 1_000, "тис": 1_000, "tkr": 1_000, "млн": 1_000_000,
    "mio": 1_000_000, "mln": 1_000_000, "million": 1_000_000, "millions": 1_000_000, "millionen": 1_000_000,
}  # fmt: skip


def multiplier_of(after: str) -> int:
    """Return the factor that a word after a number stands for: ``15k``, ``12,5 Tsd.``, ``3.5 lakh``."""
    match = re.match(r"\s?([^\W\d_]+)", after)
    if not match:
        return 1
    word = match[1]
    return 1_000 if word in ("tkm", "kmi") else _TIMES.get(word, 1)


def words_in(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", text))


def has_fraction(text: str) -> bool:
    """Whether the only number of a cell has decimals other than zero, which no odometer shows."""
    numbers = numbers_in(text)
    if len(numbers) != 1:
        return False
    try:
        value = numbers[0].value(thousands=True)
    except Unreadable:
        return False
    return value != value.to_integral_value()


def unit_after(number: Number, units: dict[str, str]) -> str:
    match = re.match(r"[\s,.*-]*(?:k\s|tsd\.?\s|thousand\s)?\s*([^\W\d_]+)", number.after)
    return units.get(match[1], "") if match else ""


def read_plain_number(text: str, *, is_whole: bool, largest: float) -> float | int:
    """Read ``420``, ``420 km``, ``4,5``: the only number of a cell, from 0 to ``largest``; its unit is not checked."""
    numbers = numbers_in(text)
    if len(numbers) != 1 or numbers[0].is_negative:
        raise Unreadable("not one number" if len(numbers) != 1 else "a negative number")
    value = numbers[0].value(thousands=is_whole)
    if value > Decimal(largest):
        raise Unreadable("too large a number")
    return round(value) if is_whole else float(value)


def whole_number(number: Number, low: int, high: int, of_what: str) -> int:
    value = number.value(thousands=False)
    if value != value.to_integral_value() or not low <= value <= high or number.is_negative:
        raise Unreadable(f"not a number of {of_what}")
    return int(value)
