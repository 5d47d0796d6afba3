"""Count for each day and seller how often lists showed their cars, as ``SellerDay`` rows; beat runs
``count_exposure``."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from recommendations.evaluation.experiment_log import kinds
from recommendations.models import CountedDay, SellerDay, ServedList
from recommendations.models.bots import is_person
from recommendations.models.impressions import was_shown

logger = logging.getLogger(__name__)

DAY = timedelta(days=1)
SETTLED_AFTER = timedelta(days=8)  # after the end of a day; until then buyers may act on its lists
RECOUNT_AFTER = timedelta(hours=20)  # between two counts of a day that is not settled
SECONDS_AT_MOST = 120.0  # of one run; the next one goes on

# ruff: noqa: S608 -- put together from constants
COUNT = f"""
WITH lists AS MATERIALIZED (
    SELECT id, placement_id, buyer_id, served_at, listing_ids FROM recommendations_servedlist
    WHERE served_at >= %(since)s AND served_at < %(until)s AND variant <> 'feed'
        AND {is_person("recommendations_servedlist.buyer_id")}
),
counted AS (
    SELECT lists.placement_id, car.listing_id, count(*) AS shown, 0 AS clicked, 0 AS contacted
    FROM lists CROSS JOIN LATERAL unnest(lists.listing_ids) WITH ORDINALITY AS car (listing_id, position)
    WHERE {was_shown("lists", "car.position", "car.listing_id")} GROUP BY 1, 2
    UNION ALL
    SELECT placement_id, listing_id, 0, count(*), count(*) FILTER (WHERE contacted)
    FROM (
        SELECT lists.placement_id, event.listing_id, lists.id, bool_or(event.kind_id = ANY(%(contacts)s)) AS contacted
        FROM lists JOIN recommendations_interaction AS event ON event.served_list_id = lists.id
        WHERE event.attribution IN ('', 'checked') AND event.kind_id = ANY(%(favourable)s)
            AND event.listing_id = ANY(lists.listing_ids)
        GROUP BY 1, 2, 3
    ) AS acted GROUP BY 1, 2
)
INSERT INTO recommendations_sellerday (day, placement_id, seller_id, shown, clicked, contacted)
SELECT %(day)s, placement_id, listing.seller_id, sum(shown), sum(clicked), sum(contacted)
FROM counted JOIN catalog_listing AS listing ON listing.id = counted.listing_id
WHERE listing.seller_id IS NOT NULL
    AND (placement_id IS NULL OR EXISTS (SELECT FROM recommendations_placement WHERE id = counted.placement_id))
GROUP BY 2, 3
"""


def count_exposure(now: datetime | None = None) -> int:
    """Count the days that need it, newest first; returns how many were counted."""
    now = now or timezone.now()
    started, n_days = time.monotonic(), 0
    for day in days_to_count(now):
        if time.monotonic() - started > SECONDS_AT_MOST:
            logger.info("days before %s are counted by the next run", day)
            break
        count_day(day, now)
        n_days += 1
    return n_days


def days_to_count(now: datetime) -> Iterator[date]:
    """Yield today, the days whose lists buyers may still act on (once a day), and the days never counted."""
    first = ServedList.objects.order_by("served_at").values_list("served_at", flat=True).first()
    if first is None:
        return
    counted = dict(CountedDay.objects.values_list("day", "counted_at"))
    day, earliest = now.astimezone(UTC).date(), first.astimezone(UTC).date()
    while day >= earliest:
        if needs_counting(day, counted.get(day), now):
            yield day
        day -= DAY


def needs_counting(day: date, counted_at: datetime | None, now: datetime) -> bool:
    ends = beginning(day + DAY)
    if counted_at is None or counted_at < ends:
        return True
    return counted_at < ends + SETTLED_AFTER and now - counted_at >= RECOUNT_AFTER


@transaction.atomic
def count_day(day: date, now: datetime) -> None:
    """Replace the rows of a day."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('recommendations.seller_day'))")  # one counts at a time
        SellerDay.objects.filter(day=day).delete()
        cursor.execute(COUNT, {**kinds(), "day": day, "since": beginning(day), "until": beginning(day + DAY)})
    CountedDay.objects.update_or_create(day=day, defaults={"counted_at": now})


def beginning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
