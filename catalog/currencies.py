"""Money of several currencies made comparable: what a price is worth in the market's currency.

``settings.EXCHANGE_RATES`` holds what one unit of a currency is worth in ``settings.MARKET_CURRENCY``. A currency
without a rate has no known worth: such a price is in no range and comes last in any order, in memory and in SQL alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import nan

from django.conf import settings
from django.db.models import Case, DecimalField, F, FloatField, Q, Value, When
from django.db.models.functions import Cast, NullIf

ROUNDING = Decimal("1e-9")  # more than the relative error of a product of two doubles: a coarse bound keeps what is in
CENT = Decimal("0.01")


def exchange_rates() -> Mapping[str, float]:
    """What one unit of each known currency is worth in the market's; the market's own is always 1."""
    return {**settings.EXCHANGE_RATES, settings.MARKET_CURRENCY: 1.0}


def market_price() -> Case:
    """The price of a listing in the market's currency, as SQL in double precision; NULL where it has no known worth.

    The same product of the same two doubles as in memory (``recommendations.listings.rows``), so both agree on prices
    that lie exactly on a bound. NaN, which PostgreSQL takes for larger than any number, is no price.
    """
    asked = NullIf(Cast(F("price"), FloatField()), Value(nan, output_field=FloatField()))
    worth = [When(currency=currency, then=asked * Value(rate)) for currency, rate in exchange_rates().items()]
    return Case(*worth, default=None, output_field=FloatField())


def coarse_price_range(low: float | None, high: float | None) -> Q:
    """Bounds on the bare ``price`` that every listing within a range of market prices satisfies, whatever its currency.

    The exact comparison is that of ``market_price``; this one can be answered by an index on ``price``.
    """
    rates = [Decimal(rate) for rate in exchange_rates().values()]
    condition = Q()
    if low is not None:
        bound = Decimal(low) / max(rates) * (1 - ROUNDING)
        condition &= Q(price__gte=_as_sql(bound.quantize(CENT, ROUND_FLOOR)))
    if high is not None:
        bound = Decimal(high) / min(rates) * (1 + ROUNDING)
        condition &= Q(price__lte=_as_sql(bound.quantize(CENT, ROUND_CEILING)))
    return condition


def _as_sql(amount: Decimal) -> Value:
    """Wider than the column, since a bound divided by a small rate may be larger than any price."""
    return Value(amount, output_field=DecimalField(max_digits=28, decimal_places=2))


def has_no_rate() -> Q:
    """Listings with a price in a currency of unknown worth."""
    return Q(price__isnull=False) & ~Q(currency__in=list(exchange_rates()))
