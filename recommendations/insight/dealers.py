"""Exposure of dealers over some days: each one's share of the cars shown in lists, beside its share of the stock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from console.dashboard.period import Period
from recommendations.insight.seller_days import beginning
from web.replicas import reading_connection

ROWS_AT_ONCE = 2_000
ORDERS = {  # what the table can be sorted by
    "shown": "shown DESC",
    "least": "shown, car_days DESC",
    "behind": "exposure_share - stock_share",
    "ahead": "stock_share - exposure_share",
    "clicked": "clicked DESC",
    "contacted": "contacted DESC",
    "cars": "car_days DESC",
    "name": "name",
}

FIGURES = """
WITH stock AS (
    SELECT seller_id, sum(extract(epoch FROM least(coalesce(ended_at, %(until)s), %(until)s)
        - greatest(published_at, %(since)s)) / 86400)::float AS car_days,
        count(*) FILTER (WHERE status = 'live') AS n_live
    FROM catalog_listing
    WHERE published_at < %(until)s AND (ended_at IS NULL OR ended_at > %(since)s) AND seller_id IS NOT NULL
    GROUP BY 1
),
exposure AS (
    SELECT seller_id, sum(shown)::bigint AS shown, sum(clicked)::bigint AS clicked,
        sum(contacted)::bigint AS contacted
    FROM recommendations_sellerday
    WHERE day >= %(first)s AND day <= %(last)s
        AND (NOT %(one_placement)s OR placement_id IS NOT DISTINCT FROM %(placement)s)
    GROUP BY 1
),
both_sides AS (
    SELECT seller_id, coalesce(car_days, 0) AS car_days, coalesce(n_live, 0) AS n_live, coalesce(shown, 0) AS shown,
        coalesce(clicked, 0) AS clicked, coalesce(contacted, 0) AS contacted
    FROM stock FULL JOIN exposure USING (seller_id)
),
dealers AS (
    SELECT seller.id, seller.name, seller.external_id, seller.kind, car_days, n_live, shown, clicked, contacted,
        coalesce(car_days / nullif(sum(car_days) OVER (), 0), 0) AS stock_share,
        coalesce(shown / nullif(sum(shown) OVER (), 0), 0)::float AS exposure_share,
        count(*) FILTER (WHERE shown = 0 AND car_days > 0) OVER () AS n_unseen
    FROM both_sides JOIN catalog_seller AS seller ON seller.id = both_sides.seller_id
)
"""

BY_PLACEMENT = """
SELECT seller.id, seller.name, seller.external_id, coalesce(placement.name, ''), sum(day.shown)::bigint,
    sum(day.clicked)::bigint, sum(day.contacted)::bigint
FROM recommendations_sellerday AS day JOIN catalog_seller AS seller ON seller.id = day.seller_id
LEFT JOIN recommendations_placement AS placement ON placement.id = day.placement_id
WHERE day.day >= %(first)s AND day.day <= %(last)s AND (%(seller)s::bigint IS NULL OR seller.id = %(seller)s)
GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 4
"""

TOTALS = """
SELECT coalesce(placement.name, ''), sum(day.shown)::bigint, sum(day.clicked)::bigint, sum(day.contacted)::bigint
FROM recommendations_sellerday AS day
LEFT JOIN recommendations_placement AS placement ON placement.id = day.placement_id
WHERE day.day >= %(first)s AND day.day <= %(last)s GROUP BY 1 ORDER BY 2 DESC
"""

TREND = """
SELECT day, sum(shown)::bigint, sum(clicked)::bigint, sum(contacted)::bigint FROM recommendations_sellerday
WHERE day >= %(first)s AND day <= %(last)s GROUP BY 1 ORDER BY 1
"""


def bounds(period: Period) -> dict[str, Any]:
    """Return the days, and the times at which they begin and end, as parameters of the SQL."""
    until = beginning(period.last + timedelta(days=1))
    return {"first": period.first, "last": period.last, "since": beginning(period.first), "until": until}


@dataclass(frozen=True)
class Rates:
    """Cars shown in lists, and how many of these led to a click and to a contact."""

    shown: int
    clicked: int
    contacted: int

    @property
    def click_rate(self) -> float:
        return self.clicked / self.shown if self.shown else 0.0

    @property
    def contact_rate(self) -> float:
        return self.contacted / self.shown if self.shown else 0.0


@dataclass(frozen=True)
class Dealer:
    """One seller over some days.

    Attributes:
        car_period: Time for which their cars were for sale, summed over cars.
        n_live: Cars for sale now.
        stock_share, exposure_share: Share of the car days of all sellers, and of the cars shown; 0 to 1.
    """

    id: int
    name: str
    external_id: str
    kind: str
    car_days: float
    n_live: int
    rates: Rates
    stock_share: float
    exposure_share: float

    @property
    def ratio(self) -> float | None:
        """Return the share of exposure divided by the share of stock; None without stock."""
        return self.exposure_share / self.stock_share if self.stock_share else None


@dataclass(frozen=True)
class DealerQuery:
    """Which dealers to read, and in what order. A placement of 0 selects lists without one; None selects all lists.

    Attributes:
        is_unseen: Only dealers with cars for sale in these days, of which no list showed one.
    """

    period: Period
    placement_id: int | None = None
    is_unseen: bool = False
    order: str = "shown"

    @property
    def parameters(self) -> dict[str, Any]:
        one = {"one_placement": self.placement_id is not None, "placement": self.placement_id or None}
        return {**bounds(self.period), **one}

    @property
    def where(self) -> str:
        return "WHERE shown = 0 AND car_days > 0" if self.is_unseen else ""


@dataclass(frozen=True)
class Found:
    """One page of dealers.

    Attributes:
        dealers: In the order requested.
        n: Number of dealers in all.
        n_unseen: Dealers with cars for sale of which no list showed one; None where the page has no dealer.
    """

    dealers: list[Dealer]
    n: int
    n_unseen: int | None


def dealers(question: DealerQuery, *, limit: int | None = None, offset: int = 0) -> Found:
    """Read some dealers by one query, because reading the stock takes longest."""
    order = ORDERS.get(question.order, ORDERS["shown"])
    sql = f"{FIGURES} SELECT *, count(*) OVER () FROM dealers {question.where} ORDER BY {order}, id"  # noqa: S608
    with reading_connection().cursor() as cursor:
        cursor.execute(f"{sql} LIMIT %(limit)s OFFSET %(offset)s",
                       {**question.parameters, "limit": limit, "offset": offset})  # fmt: skip
        rows = cursor.fetchall()
    if not rows:
        return Found([], 0, None)
    *_, n_unseen, n = rows[0]
    return Found([dealer_of(row) for row in rows], n, n_unseen)


def n_unseen(question: DealerQuery) -> int:
    """Count the dealers with cars for sale of which no list showed one."""
    sql = f"{FIGURES} SELECT count(*) FROM dealers WHERE shown = 0 AND car_days > 0"  # noqa: S608
    with reading_connection().cursor() as cursor:
        cursor.execute(sql, question.parameters)
        return int(cursor.fetchone()[0])


def dealer_of(row: Sequence[Any]) -> Dealer:
    key, name, external_id, kind, car_days, n_live, shown, clicked, contacted, stock, exposure, *_ = row
    return Dealer(
        key, name, external_id or "", kind, car_days, n_live, Rates(shown, clicked, contacted), stock, exposure
    )


def by_placement(period: Period, seller_id: int | None = None) -> Iterator[tuple[Any, ...]]:
    """Yield seller id, name, external id, placement, shown, clicked, contacted; of one seller, or of all by name."""
    with reading_connection().cursor() as cursor:
        cursor.execute(BY_PLACEMENT, {**bounds(period), "seller": seller_id})
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            yield from rows


def totals(period: Period) -> Mapping[str, Rates]:
    """Return rates over all sellers by placement, the most shown first; "" is for lists without a placement."""
    with reading_connection().cursor() as cursor:
        cursor.execute(TOTALS, bounds(period))
        return {name: Rates(*counts) for name, *counts in cursor.fetchall()}


def trend(period: Period) -> dict[date, Rates]:
    """Return rates of all lists by day; days without lists are left out."""
    with reading_connection().cursor() as cursor:
        cursor.execute(TREND, bounds(period))
        return {day: Rates(*counts) for day, *counts in cursor.fetchall()}
