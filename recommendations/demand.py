"""Which cars are wanted right now: decayed events per listing, from the log.

Demand is read as of the last full ten minutes, so that every process of the site sees the same, and a list does not
move under one buyer because another looked at a car.
"""

from __future__ import annotations

import threading
import time

from django.db import connection

HALF_LIFE_DAYS = 3.0
LOOKBACK_DAYS = 14
STEP_SECONDS = 600

_lock = threading.Lock()
_demand: dict[int, float] = {}
_as_of: int | None = None


def recent_demand() -> dict[int, float]:
    """Decayed, weighted number of favourable events of the last two weeks by listing id.

    An event counts by the weight of its kind and halves every three days. Listings nobody looked at are absent.
    """
    global _demand, _as_of
    now = int(time.time())
    step = now - now % STEP_SECONDS
    with _lock:
        if _as_of != step:
            _demand, _as_of = read_demand(step), step
        return _demand


def forget_demand() -> None:
    """Read anew at the next call."""
    global _as_of
    with _lock:
        _as_of = None


def read_demand(as_of: int) -> dict[int, float]:
    """Demand at a moment, in epoch seconds, from the events before it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.listing_id, sum(k.weight * power(2, -extract(epoch FROM moment - i.occurred_at) / 86400 / %s)) "
            "FROM recommendations_interaction i JOIN recommendations_eventkind k ON k.slug = i.kind_id, "
            "to_timestamp(%s) AS moment "
            "WHERE i.occurred_at BETWEEN moment - make_interval(days => %s) AND moment "
            "AND i.listing_id IS NOT NULL AND k.weight > 0 GROUP BY i.listing_id",
            [HALF_LIFE_DAYS, as_of, LOOKBACK_DAYS],
        )
        return {listing_id: float(demand) for listing_id, demand in cursor.fetchall()}
