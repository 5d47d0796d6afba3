"""Count the demand of days whose events are about to be removed, as ``DemandDay`` rows."""

# ruff: noqa: S608 -- put together from constants
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from django.db import connection
from django.db.models import Max

from catalog.querysets import ITEMS
from recommendations.models import DemandDay
from recommendations.models.bots import is_person

A_DAY = timedelta(days=1)
COUNT = f"""
INSERT INTO recommendations_demandday (day, car_model_id, kind_id, n_events, n_buyers)
SELECT (event.received_at AT TIME ZONE 'UTC')::date, listing.car_model_id, event.kind_id, count(*),
    count(DISTINCT event.buyer_id)
FROM recommendations_interaction AS event JOIN catalog_listing AS listing ON listing.id = event.listing_id
WHERE event.received_at >= %(since)s AND event.received_at < %(until)s AND listing.source <> %(items)s
    AND listing.car_model_id IS NOT NULL AND {is_person("event.buyer_id")}
GROUP BY 1, 2, 3
"""


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def count_demand(before: datetime) -> int:
    """Count the days whose events before a time are about to be removed; returns how many rows were made.

    Days are counted as a whole and once, also the day that contains ``before``, whose other events are removed the next
    night.
    """
    counted = DemandDay.objects.aggregate(newest=Max("day"))["newest"]
    since = "-infinity" if counted is None else midnight(counted) + A_DAY
    until = midnight(before.astimezone(UTC).date()) + A_DAY
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"since": since, "until": until, "items": ITEMS})
        return int(cursor.rowcount)
