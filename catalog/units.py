"""Amounts as people read them: in the units of the market, with the separators of the reader's language.

Stored are kilometres, kilowatts and litres per 100 km. Which units a market has, the settings MARKET_DISTANCE and
MARKET_POWER say; empty, its currency does. Forms take numbers in the same units (``catalog.admin.market_fields``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from math import isclose
from typing import Any

from django.conf import settings
from django.utils.formats import number_format
from django.utils.functional import lazystr
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from catalog.attributes import Number, month_as_text
from catalog.imports.quantities import IMPERIAL_GALLON_L, KM_PER_MILE, KW_PER_HP, US_GALLON_L
from console.formats import NONE

NBSP = "\u00a0"  # keeps a number and its unit on one line
MILES, KM, HP, KW = "miles", "km", "hp", "kW"
L_100KM, MPG = "l/100 km", "mpg"
IN_MILES_AND_HORSEPOWER = frozenset(["GBP", "USD"])  # currencies of such markets
CURRENCY_SIGNS = {"GBP": "£", "EUR": "€", "USD": "$"}


def translated(text: str) -> str:
    """A label that is marked where it is declared; '' stays '', which is the catalogue's head to gettext."""
    return _(text) if text else ""


def number(value: float | Decimal, n_decimals: int = 0) -> str:
    """``12,490`` or, in German, ``12.490``."""
    exact = round(value, n_decimals) if isinstance(value, Decimal) else Decimal(f"{float(value):.{n_decimals}f}")
    return number_format(exact, n_decimals, use_l10n=True, force_grouping=True)


def money(amount: float | Decimal | None, currency: str = "", *, n_decimals: int = 0) -> str:
    """``£13,000`` or, in German, ``13.000 £``: an amount in a currency, or in the market's; a dash for None.

    The one way of writing money, in the console, the shop and e-mail alike. A currency without a usual sign stands
    by its code: ``CZK 250,000``.
    """
    if amount is None:
        return NONE
    currency = currency or settings.MARKET_CURRENCY
    if sign := CURRENCY_SIGNS.get(currency):
        return _("%(sign)s%(amount)s") % {"sign": sign, "amount": number(amount, n_decimals)}
    return _("%(currency)s %(amount)s") % {"currency": currency, "amount": number(amount, n_decimals)}


def currency_sign() -> str:
    """Of the market's currency; its code where it has no usual sign."""
    return CURRENCY_SIGNS.get(settings.MARKET_CURRENCY, settings.MARKET_CURRENCY)


# --- The market's units ----------------------------------------------------------------------------------------------


def distance_unit() -> str:
    """``miles`` or ``km``."""
    return settings.MARKET_DISTANCE or (MILES if settings.MARKET_CURRENCY in IN_MILES_AND_HORSEPOWER else KM)


def power_unit() -> str:
    """``hp`` or ``kW``."""
    return settings.MARKET_POWER or (HP if settings.MARKET_CURRENCY in IN_MILES_AND_HORSEPOWER else KW)


def distance(km: float) -> str:
    """``23,265 miles`` or ``37,442 km``."""
    if distance_unit() == KM:
        return _("%(number)s\u00a0km") % {"number": number(km)}
    miles = round(float(km) / KM_PER_MILE)
    return ngettext("%(number)s\u00a0mile", "%(number)s\u00a0miles", miles) % {"number": number(miles)}


def power(kw: float) -> str:
    """``148 hp`` or ``110 kW``."""
    if power_unit() == KW:
        return _("%(number)s\u00a0kW") % {"number": number(kw)}
    return _("%(number)s\u00a0hp") % {"number": number(float(kw) / KW_PER_HP)}


def consumption(l_100km: float) -> str:
    """``55.4 mpg``, of the market's gallon, or ``5.1 l/100 km``."""
    if distance_unit() == KM or not l_100km:
        return _("%(number)s\u00a0l/100\u00a0km") % {"number": number(l_100km, 1)}
    return _("%(number)s\u00a0mpg") % {"number": number(litres_times_mpg() / float(l_100km), 1)}


def litres_times_mpg() -> float:
    """What litres per 100 km times miles per gallon are: of the US gallon where prices are in USD, else imperial."""
    gallon = US_GALLON_L if settings.MARKET_CURRENCY == "USD" else IMPERIAL_GALLON_L
    return 100 * gallon / KM_PER_MILE


def years(n: float) -> str:
    whole = round(float(n))
    return ngettext("%(number)s\u00a0year", "%(number)s\u00a0years", whole) % {"number": number(whole)}


WRITTEN: dict[str, Callable[[float], str]] = {KM: distance, KW: power, L_100KM: consumption}


def in_words(value: float, unit: str, n_decimals: int = 0) -> str:
    """A number that is stored in ``unit``, in the market's; of another unit, or none, as it is."""
    if unit in WRITTEN:
        return WRITTEN[unit](value)
    return f"{number(value, n_decimals)}{NBSP}{unit.replace(' ', NBSP)}".strip()


def number_in_words(attribute: Number, value: Any, currency: str = "") -> str:
    """A number of a listing as people read it: money in a currency, a month, or an amount in the market's unit."""
    if attribute.kind == "money":
        return money(value, currency)
    return month_as_text(value) if attribute.kind == "month" else in_words(value, attribute.unit, attribute.n_decimals)


def lazily(text: str, write: Callable[[float], str], *amounts: float) -> Any:
    """A text whose amounts are written when it is read: the units are a setting, and modules are loaded once."""
    return lazystr(_Written(text, write, amounts))


def priced(label: str) -> Any:
    """The label of a field for amounts, with the market's currency: ``Price to (£)``."""
    return lazily(f"{label} ({{}})", lambda _: currency_sign(), 0)


@dataclass(frozen=True)
class _Written:
    text: str
    write: Callable[[float], str]
    amounts: tuple[float, ...]

    def __str__(self) -> str:
        return self.text.format(*map(self.write, self.amounts))


# --- Numbers in forms and charts -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measure:
    """A unit of the market beside the one in which numbers are stored.

    Attributes:
        unit: As it stands behind a number.
        stored_per_shown: How much of the stored unit one of the shown is.
        is_inverse: The shown is this many divided by the stored, as miles per gallon are by litres per 100 km.
    """

    unit: str
    stored_per_shown: float = 1.0
    is_inverse: bool = False

    def shown(self, stored: float, *, is_whole: bool = True) -> float:
        """The number with the fewest decimals that is read back as what is stored: fractions to a millionth."""
        for n_decimals in range(4 if is_whole else 9):
            written = round(self._converted(stored), n_decimals)
            read = self.stored(written)
            if round(read) == round(stored) if is_whole else isclose(read, stored, rel_tol=1e-6):
                return int(written) if n_decimals == 0 else written
        return self._converted(stored)

    def stored(self, shown: float) -> float:
        if self.is_inverse:
            return self._converted(shown)
        return shown * self.stored_per_shown

    def _converted(self, stored: float) -> float:
        """Nothing stays nothing: an inverse has no other number for it."""
        if self.is_inverse:
            return self.stored_per_shown / stored if stored else 0.0
        return stored / self.stored_per_shown


def measure_of(unit: str) -> Measure:
    """The market's measure for numbers that are stored in ``unit``; the same unit where there is no other."""
    if unit == KM and distance_unit() == MILES:
        return Measure(MILES, KM_PER_MILE)
    if unit == KW and power_unit() == HP:
        return Measure(HP, KW_PER_HP)
    if unit == L_100KM and distance_unit() == MILES:
        return Measure(MPG, litres_times_mpg(), is_inverse=True)
    return Measure(unit)
