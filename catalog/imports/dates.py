"""Read years, months and times: number plates, serial numbers of spreadsheets, names of months."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from catalog.imports.numbers import Unreadable, plain_text
from catalog.imports.vocabulary import bare

FIRST_CAR_YEAR = 1885
_LONG_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|2\d\d\d)(?:(?:0[1-9]|1[0-2])\d\d)?(?!\d)")  # 2018, and 20180301
_MONTH_AND_YEAR = re.compile(r"^(?:\d{1,2}[./-])?(?:\d{1,2}|[^\W\d_]{3,9}\.?)[./ '-](\d\d)$")


def read_year(text: str, this_year: int) -> int:
    """Read ``2018``, ``03/2018``, ``2018-03-01``, ``Mar-18``, ``2018.0`` as a year, at most the next one."""
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
_PLATE_CODE = re.compile(
    r"^\(?(\d\d)\)?[ -]?(?:plate|reg(?:istration)?)\b|^(?:plate|reg)\W{1,2}(\d\d)$|^\((\d\d)\)$", re.IGNORECASE
)
_PREFIX_LETTERS = "abcdefghjklmnprstvwxy"  # of British plates: a year each from August 1983
_SERIAL_DAYS = range(20_000, 73_000)  # a spreadsheet's count of days since 1899-12-30: 1954 to 2099
_DAY_ZERO = date(1899, 12, 30)


def _year_of_plate(text: str, this_year: int) -> int | None:
    """Read ``AB18 CDE``, ``18 plate``, ``68-reg``, ``(67)`` as the year of a British plate (51 to 99: of September)."""
    if match := _PLATE.match(text) or _PLATE_CODE.match(text):
        code = int(match[match.lastindex or 1])
        year = 2000 + code % 50
        return year if 2001 <= year <= this_year + 1 else None
    if match := _OLD_PLATE.match(text):
        year = 1983 + _PREFIX_LETTERS.index(match[1].casefold())
        return min(year, 2001)
    return None


def _year_of_serial(text: str, this_year: int) -> int | None:
    """Read ``43160``, a date that a spreadsheet has written as its number of days."""
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
    """Read ``03/2018``, ``2018-03-12``, ``Mar-18``, ``März 2018``, ``43171`` as 201803; None where there is no month.

    Of two numbers before a year, one above 12 is the day; where both may be the month, it is the second, or with
    ``month_first`` the first, as in the United States.
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
    """Order two numbers before a year: one above 12 is the day."""
    if (month_first and first <= 12) or second > 12:
        return second, first
    return first, second


def _named_month(text: str) -> tuple[int, int] | None:
    match = _NAMED_MONTH.fullmatch(text.casefold())
    number = month_named(match[1]) if match else None
    return (int(match[2]), number) if match and number else None


def month_named(word: str) -> int | None:
    """Return the number of ``Mar``, ``März``, ``kwiecień``; None for a word that is no month."""
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
    """Read ``3``, ``03``, ``März`` as 3; None for 0, which some forms write for unknown.

    Columns with such headings also hold months with their year: ``2018-03`` is 201803.
    """
    if (number := month_named(text)) is not None:
        return number
    plain = plain_text(text).removesuffix(".0")
    if plain.isdecimal() and int(plain) <= 12:
        return int(plain) or None
    if (month := read_month(text)) is None:
        raise Unreadable("not a month")
    return month


_EARLIEST_POST = 1995  # before it there was no web to post on


def read_moment(text: str, this_year: int = 9998, *, month_first: bool = False) -> datetime:
    """Read ``2026-11-20T10:00:00Z``, ``20.11.2026 10:00``, ``46346`` or Unix seconds as a time in UTC without a zone.

    ``month_first``: the first number of 3/4/2026 is the month, as in the United States.
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
    """Read a spreadsheet's count of days, or a count of seconds or milliseconds."""
    digits = text.split(".", maxsplit=1)[0]
    if not digits.isdecimal():
        return None
    if len(digits) == 5 and int(digits) in _SERIAL_DAYS:
        return datetime.combine(_DAY_ZERO + timedelta(days=int(digits)), time(), UTC)
    if len(digits) in (10, 13):
        return datetime.fromtimestamp(int(digits[:10]), UTC)
    return None
