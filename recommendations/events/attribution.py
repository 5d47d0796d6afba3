"""Whether an event came from the list that it names: the list exists, was shown to this buyer, and holds the car.

A list is written off the hot path, and so an event may arrive before it. Such an event waits (``PENDING``) until the
list is there, or until it would have been written long since. An event that names a list wrongly is kept without it and
counted: any client could otherwise teach the recommender what was never shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import Buyer
from recommendations import telemetry
from recommendations.events.signals import events_recorded
from recommendations.models import Attribution, Interaction, Preference, ServedList

LISTS_ARE_WRITTEN_WITHIN = timedelta(minutes=10)  # the writer gives up on a list after some seconds
SETTLED_AT_ONCE = 5_000  # events


def attribute(events: Iterable[Interaction]) -> None:
    """Say of each unsaved event that names a list whether it came from there, and take the list away where not."""
    named = [event for event in events if event.served_list_id is not None]
    if named:
        _judge(named, lists_named(named))


def settle(now: datetime) -> int:
    """Judge the events whose list was not there yet when they arrived; returns how many were judged."""
    n_settled = 0
    waiting = Interaction.objects.filter(attribution=Attribution.PENDING).order_by("pk")
    last = 0
    while events := list(waiting.filter(pk__gt=last)[:SETTLED_AT_ONCE]):
        last = events[-1].pk
        n_settled += _settle(events, now)
    return n_settled


@transaction.atomic
def _settle(events: Sequence[Interaction], now: datetime) -> int:
    lists = lists_named(events)
    is_over = {event.pk for event in events if event.received_at < now - LISTS_ARE_WRITTEN_WITHIN}
    judged = [event for event in events if event.served_list_id in lists or event.pk in is_over]
    _judge(judged, lists)
    for event in judged:
        if event.attribution == Attribution.PENDING:
            _take_away(event, Attribution.UNKNOWN_LIST)
    Interaction.objects.bulk_update(judged, ["served_list", "position", "attribution"], batch_size=1_000)
    count_wrong(judged)
    _learn_again({event.buyer_id for event in judged if event.attribution == Attribution.CHECKED})
    return len(judged)


def _learn_again(buyer_ids: Collection[int]) -> None:
    """A preference that was computed before the list was there took the event for one from no list."""
    if Preference.objects.filter(buyer__in=buyer_ids).update(basis=""):
        events_recorded.send(sender=Buyer, buyer_ids=sorted(buyer_ids))


def lists_named(events: Iterable[Interaction]) -> dict[object, ServedList]:
    """By id. Nearly all are of lately, so that is where they are looked for first, rather than in every month."""
    lists = ServedList.objects.only("listing_ids", "buyer__merged_into").select_related("buyer")
    named = {event.served_list_id for event in events if event.served_list_id is not None}
    found: dict[object, ServedList] = {served.pk: served for served in lists.lately().filter(pk__in=named)}
    if missing := named - found.keys():
        found |= {served.pk: served for served in lists.filter(pk__in=missing)}
    return found


def _judge(events: Iterable[Interaction], lists: dict[object, ServedList]) -> None:
    for event in events:
        served = lists.get(event.served_list_id)
        verdict = Attribution.PENDING if served is None else verdict_on(event, served)
        if verdict in Attribution.wrong():
            _take_away(event, verdict)
            continue
        event.attribution = verdict
        if served is not None and event.listing_id is not None:
            event.position = served.listing_ids.index(event.listing_id) + 1  # the list knows best where it stood


def verdict_on(event: Interaction, served: ServedList) -> Attribution:
    """A list that was made for no known buyer may be named by any: guests become buyers by their first event."""
    if served.buyer is not None and event.buyer_id not in (served.buyer_id, served.buyer.merged_into_id):
        return Attribution.OTHER_BUYER
    is_outside = event.position is not None and event.position > len(served.listing_ids)
    is_absent = event.listing_id is not None and event.listing_id not in served.listing_ids
    return Attribution.OUTSIDE if is_outside or is_absent else Attribution.CHECKED


def _take_away(event: Interaction, reason: Attribution) -> None:
    event.attribution, event.served_list_id, event.position = reason, None, None


def count_wrong(events: Iterable[Interaction]) -> None:
    """Once they are written: a repeat is not counted again."""
    for event in events:
        if event.attribution in Attribution.wrong():
            telemetry.EVENTS_UNATTRIBUTED.labels(event.attribution).inc()
