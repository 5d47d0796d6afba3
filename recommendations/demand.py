"""Which cars are wanted right now: decayed events per listing, from the log."""

from __future__ import annotations

import threading
import time

from django.db import connection

HALF_LIFE_DAYS = 3.0
LOOKBACK_DAYS = 14
FRESH_FOR_SECONDS = 20.0

_lock = threading.Lock()
_demand: dict[int, float] = {}
_read_at = float("-inf")


def recent_demand() -> dict[int, float]:
    """Decayed, weighted number of favourable events of the last two weeks by listing id; at most 20 s old.

    An event counts by the weight of its kind and halves every three days. Listings nobody looked at are absent.
    """
    global _demand, _read_at
    with _lock:
        if time.monotonic() - _read_at > FRESH_FOR_SECONDS:
            _demand, _read_at = read_demand(), time.monotonic()
        return _demand


def forget_demand() -> None:
    """Read anew at the next call."""
    global _read_at
    with _lock:
        _read_at = float("-inf")


def read_demand() -> dict[int, float]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.listing_id, sum(k.weight * exp(-ln(2) * extract(epoch FROM now() - i.occurred_at) / 86400 / %s)) "
            "FROM recommendations_interaction i JOIN recommendations_eventkind k ON k.slug = i.kind_id "
            "WHERE i.occurred_at > now() - make_interval(days => %s) AND i.listing_id IS NOT NULL AND k.weight > 0 "
            "GROUP BY i.listing_id",
            [HALF_LIFE_DAYS, LOOKBACK_DAYS],
        )
        return {listing_id: float(demand) for listing_id, demand in cursor.fetchall()}
