"""The time from the arrival of events to the preference that includes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from recommendations.telemetry import EVENT_TO_PREFERENCE_SECONDS
from web.postgres.prepared import preparing_cursor, sized

REPORTED_AT_ONCE = timedelta(minutes=1)  # an event reported later waited at its sender, not here

WAITED = """
SELECT i.received_at FROM recommendations_interaction i
JOIN recommendations_rankerversion v ON v.id = %(version)s AND i.received_at >= coalesce(v.promoted_at, v.created_at)
WHERE i.id = ANY(%(events)s) AND i.received_at <= i.occurred_at + %(at_once)s
AND NOT EXISTS (SELECT FROM recommendations_preference p
    WHERE p.buyer_id = i.buyer_id AND p.version_id <> v.id AND p.last_interaction_id >= i.id)
AND NOT EXISTS (SELECT FROM recommendations_preference p JOIN accounts_buyer b ON b.id = p.buyer_id
    WHERE b.merged_into_id = i.buyer_id AND p.last_interaction_id >= i.id)"""


def observe_lag(event_ids: Iterable[int], version_id: int) -> None:
    """Observe, for each event, the time from its arrival to now, when its preference has been stored."""
    now = timezone.now()
    for received_at in waited_for_the_loop(event_ids, version_id):
        EVENT_TO_PREFERENCE_SECONDS.observe(max((now - received_at).total_seconds(), 0.0))


def waited_for_the_loop(event_ids: Iterable[int], version_id: int) -> list[datetime]:
    """Return the arrival times of those of the events whose wait measures the speed of the loop, in no order.

    Left out are events that an earlier preference included (of another version, or of the guest before they logged in),
    events that arrived before the version went live, and events reported long after they happened (seeded, imported,
    sent late).
    """
    if not (events := list(event_ids)):
        return []
    parameters = {"events": events, "version": version_id, "at_once": REPORTED_AT_ONCE}
    with preparing_cursor(connection) as cursor:
        cursor.execute(WAITED, sized(parameters))
        return [received_at for (received_at,) in cursor.fetchall()]
