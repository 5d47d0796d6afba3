"""Check whether an event came from the list that it names: the list exists, was shown to this buyer, and holds the car.

A list is written off the hot path, so an event may arrive before it. Such an event is pending (``PENDING``) until the
list is stored, or until it should have been stored long ago. An event that names a wrong list is kept without the list
and counted: otherwise any client could record a list that was never shown.
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
    """Set the attribution of each unsaved event that names a list, and remove a wrong list from it."""
    named = [event for event in events if event.served_list_id is not None]
    if named:
        _judge(named, lists_named(named))


def settle(now: datetime) -> int:
    """Check the pending events again; returns how many were settled."""
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
    """Mark preferences as stale that were computed before the list was stored, and so without it."""
    if Preference.objects.filter(buyer__in=buyer_ids).update(basis=""):
        events_recorded.send(sender=Buyer, buyer_ids=sorted(buyer_ids))


def lists_named(events: Iterable[Interaction]) -> dict[object, ServedList]:
    """Return the named lists by id. Recent months are searched first, since nearly all lists are recent."""
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
    """Return the attribution of an event. Any buyer may name a list made for no buyer: guests become buyers with
    their first event."""
    if served.buyer is not None and event.buyer_id not in (served.buyer_id, served.buyer.merged_into_id):
        return Attribution.OTHER_BUYER
    is_outside = event.position is not None and event.position > len(served.listing_ids)
    is_absent = event.listing_id is not None and event.listing_id not in served.listing_ids
    return Attribution.OUTSIDE if is_outside or is_absent else Attribution.CHECKED


def _take_away(event: Interaction, reason: Attribution) -> None:
    event.attribution, event.served_list_id, event.position = reason, None, None


def count_wrong(events: Iterable[Interaction]) -> None:
    """Count wrong events once they are stored, so that a repeat is not counted again."""
    for event in events:
        if event.attribution in Attribution.wrong():
            telemetry.EVENTS_UNATTRIBUTED.labels(event.attribution).inc()
