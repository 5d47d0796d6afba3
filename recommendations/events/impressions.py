"""Impressions: which cars of a list were seen, stored apart from other events; and which placements are counted by
them.

Where there are impressions, choice sets use the alternatives that were seen, and frequency caps and metrics count seen
cars in the lists of a placement. An impression alone is no evidence for a preference.
"""

# ruff: noqa: S608 -- put together from constants
from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _

from recommendations import telemetry
from recommendations.events.log import IMPRESSION, Event
from recommendations.events.signals import events_recorded
from recommendations.models import Impression, Placement, Preference
from recommendations.models.bots import is_person
from web.postgres.prepared import preparing_cursor, sized

LISTS_LOOKED_AT = 100  # the newest of a placement
COUNTED_FROM_SHARE = 0.05  # of their buyers; fewer use one of several clients, or made impressions up
SENT_WITHIN = timedelta(minutes=10)  # impressions of a list come later than it
A_DAY = timedelta(days=1)
PROBLEMS_NAMED = 10  # ids of one impression that no listing has

PERSON = is_person("recommendations_servedlist.buyer_id")

# A single visitor must not change how the lists of all others are counted: a share of the buyers has to send them.
SHARE = """
SELECT coalesce(avg(sends::int), 0) AS share, coalesce(sum(n), 0) AS n FROM (
    SELECT count(*) AS n, bool_or(EXISTS (
        SELECT FROM recommendations_impression WHERE served_list_id = newest.id)) AS sends
    FROM (
        SELECT id, buyer_id FROM recommendations_servedlist
        WHERE placement_id = {placement} AND buyer_id IS NOT NULL AND {person} AND served_at BETWEEN {since} AND {until}
        ORDER BY served_at DESC LIMIT %(n)s) AS newest
    GROUP BY newest.buyer_id) AS buyers
"""
BEGIN_TO_COUNT = f"""
UPDATE recommendations_placement AS placement SET impressions_since = greatest(named.since, %(since)s)
FROM (SELECT placement_id, min(served_at) AS since FROM recommendations_servedlist WHERE id = ANY(%(lists)s) GROUP BY 1)
    AS named
WHERE placement.id = named.placement_id AND placement.impressions_since IS NULL AND (SELECT share FROM (
    {
    SHARE.format(placement="placement.id", person=PERSON, since="least(%(since)s, named.since)", until="'infinity'")
}) AS found) >= %(share)s
"""
NEWEST = SHARE.format(placement="%(placement)s", person=PERSON, since="%(since)s", until="%(until)s")
LEARNED_FROM = """
SELECT DISTINCT event.buyer_id FROM recommendations_interaction AS event
WHERE event.served_list_id = ANY(%(lists)s) AND event.buyer_id = ANY(%(buyers)s)
"""


def problems_of(event: Event, known_ids: Set[int]) -> list[tuple[str, str]]:
    """Return what is wrong with an impression, as pairs of field and reason."""
    unknown = (listing_id for listing_id in event.seen_ids if listing_id not in known_ids)
    problems = [
        ("listing_ids", _("there is no listing %(listing)s") % {"listing": listing_id})
        for listing_id in islice(unknown, PROBLEMS_NAMED)
    ]
    if event.seen_positions and event.served_list_id is None:
        problems.append(("positions", _("are those of a list; name it as list_id")))
    if not event.seen_positions and not event.seen_ids:
        problems.append(("positions", _("an impression needs positions of a list, or cars")))
    return problems


def store(impressions: Sequence[Impression]) -> None:
    """Append impressions, and update what depends on them: how placements are counted, and stale preferences."""
    if not impressions:
        return
    Impression.objects.bulk_create(impressions)
    telemetry.EVENTS.labels(IMPRESSION).inc(len(impressions))
    lists = list({row.served_list_id for row in impressions if row.served_list_id is not None})
    if not lists:
        return
    newest: dict[str, Any] = {"lists": lists, "since": impressions[0].received_at - A_DAY, "n": LISTS_LOOKED_AT}
    with preparing_cursor(connection) as cursor:
        cursor.execute(BEGIN_TO_COUNT, sized({**newest, "share": COUNTED_FROM_SHARE}))
        cursor.execute(LEARNED_FROM, sized({"lists": lists, "buyers": list({row.buyer_id for row in impressions})}))
        buyer_ids = [buyer_id for (buyer_id,) in cursor.fetchall()]
    learn_again(buyer_ids)


def learn_again(buyer_ids: Collection[int]) -> None:
    """Mark preferences as stale that used all served cars as alternatives before the impressions arrived."""
    if buyer_ids and Preference.objects.filter(buyer__in=buyer_ids).update(basis=""):
        events_recorded.send(sender=Impression, buyer_ids=sorted(buyer_ids))


def end_counting(now: datetime) -> int:
    """Count placements by served cars again where impressions no longer arrive; returns how many."""
    n_ended = 0
    for placement in Placement.objects.filter(impressions_since__lt=now - SENT_WITHIN):
        since = max(now - A_DAY, placement.impressions_since or now)
        with connection.cursor() as cursor:
            parameters: dict[str, Any] = {
                "placement": placement.pk,
                "since": since,
                "until": now - SENT_WITHIN,
                "n": LISTS_LOOKED_AT,
            }
            cursor.execute(NEWEST, parameters)
            share, n_lists = cursor.fetchone()
        if n_lists == LISTS_LOOKED_AT and share < COUNTED_FROM_SHARE:
            n_ended += Placement.objects.filter(pk=placement.pk).update(impressions_since=None)
    return n_ended
