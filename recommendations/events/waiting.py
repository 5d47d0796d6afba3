"""Events that came before their listing: stored apart, moved to the log when the listing comes, removed after days.

After its commit, whatever stores a listing looks for events that wait for it, and whatever stores a waiting event looks
for its listing; the one that commits last finds the other. A beat job does what a process could not finish.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from psycopg.errors import UniqueViolation

from catalog.models import Listing
from catalog.querysets import ListingReference
from recommendations import telemetry
from recommendations.events.attribution import attribute
from recommendations.events.log import OF_BUYERS, OF_KEYS, Event, announce, as_interaction
from recommendations.models import Interaction, WaitingEvent

RELEASED_AT_ONCE = 1_000  # events; and listings looked at in one statement


def room_for_more(sender: str) -> int:
    """How many more events may wait: EVENTS_WAITING_AT_MOST for each API key, and for all buyers together."""
    if not settings.EVENTS_WAITING_AT_MOST:
        return 0
    of_sender = {"sender": sender} if sender.startswith(OF_KEYS) else {"sender__startswith": OF_BUYERS}
    return max(settings.EVENTS_WAITING_AT_MOST - WaitingEvent.objects.filter(**of_sender).count(), 0)


def store(events: Collection[WaitingEvent]) -> None:
    """Store events that wait, and look after the commit whether their listings have come meanwhile."""
    if not events:
        return
    WaitingEvent.objects.bulk_create(events)
    telemetry.EVENTS_WAITED.inc(len(events))
    keys = [event.pk for event in events]
    transaction.on_commit(lambda: release(WaitingEvent.objects.filter(pk__in=keys)), robust=True)


def release_for(listing_ids: Collection[int]) -> int:
    """Move the events that wait for some listings to the log; returns how many."""
    if not WaitingEvent.objects.exists():
        return 0
    n_released, keys = 0, list(listing_ids)
    for start in range(0, len(keys), RELEASED_AT_ONCE):
        some = Listing.objects.filter(pk__in=keys[start : start + RELEASED_AT_ONCE], external_id__isnull=False)
        named = list(some.order_by().values_list("source", "external_id"))
        sources, external_ids = ({each[place] for each in named} for place in (0, 1))
        n_released += release(WaitingEvent.objects.filter(source__in=sources, external_id__in=external_ids))
    return n_released


def release_all() -> int:
    """Move the events whose listings have come to the log; returns how many."""
    come = Listing.objects.filter(source=OuterRef("source"), external_id=OuterRef("external_id"))
    return release(WaitingEvent.objects.filter(Exists(come)))


def release(events: QuerySet[WaitingEvent]) -> int:
    """Move those of the events whose listing is there to the log; returns how many.

    Safe to run twice and at the same time: a row that another process has locked is left to that process.
    """
    n_released, last = 0, 0
    while True:
        with transaction.atomic():
            some = events.filter(pk__gt=last).order_by("pk").select_for_update(of=("self",), skip_locked=True)
            batch = list(some.select_related("buyer")[:RELEASED_AT_ONCE])
            n_released += _put_in_log(batch)
        if len(batch) < RELEASED_AT_ONCE:
            return n_released
        last = batch[-1].pk


def _put_in_log(events: Collection[WaitingEvent]) -> int:
    known = Listing.objects.ids_by_reference({(event.source, event.external_id) for event in events})
    ready = [event for event in events if (event.source, event.external_id) in known]
    if not ready:
        return 0
    rows = without_repeats(as_logged(event, known, timezone.now()) for event in ready)
    attribute(rows)
    if not insert(rows):
        rows = [row for row in rows if insert([row])]
    WaitingEvent.objects.filter(pk__in=[event.pk for event in ready]).delete()
    announce(rows)
    telemetry.EVENTS_RELEASED.inc(len(rows))
    return len(rows)


def insert(rows: Collection[Interaction]) -> bool:
    """Write rows to the log, without those that another process has just written; returns whether it worked.

    False, and nothing is written, where a row has an id that was written in another month: that violates a constraint
    for which ON CONFLICT leaves no row out.
    """
    try:
        with transaction.atomic():
            Interaction.objects.bulk_create(rows, ignore_conflicts=True)
    except IntegrityError as error:
        if not isinstance(error.__cause__, UniqueViolation):
            raise
        return False
    return True


def as_logged(waiting: WaitingEvent, known: Mapping[ListingReference, int], now: datetime) -> Interaction:
    """The row of the log, as if the event had named the listing's id. It enters the log now."""
    event = Event(
        kind=waiting.kind_id,
        event_id=waiting.event_id,
        listing_id=known[waiting.source, waiting.external_id],
        query=waiting.query,
        occurred_at=waiting.occurred_at,
        served_list_id=waiting.served_list_id,
        position=waiting.position,
        dwell_seconds=waiting.dwell_seconds,
        value=waiting.value,
    )
    row = as_interaction(waiting.buyer, event, waiting.received_at, waiting.sender)
    row.received_at = now
    return row


def without_repeats(rows: Iterable[Interaction]) -> list[Interaction]:
    """The rows that the log does not have yet; it has those that were sent again after their listing had come."""
    rows = list(rows)
    stored = Interaction.objects.filter(
        event_id__in={row.event_id for row in rows}, sender__in={row.sender for row in rows}
    )
    known = set(stored.order_by().values_list("event_id", "sender"))
    return [row for row in rows if (row.event_id, row.sender) not in known]


def sweep(now: datetime) -> int:
    """Remove events that have waited for EVENTS_WAITING_DAYS; returns how many."""
    oldest = now - timedelta(days=settings.EVENTS_WAITING_DAYS)
    n_removed, _ = WaitingEvent.objects.filter(received_at__lt=oldest).delete()
    telemetry.EVENTS_WAITED_IN_VAIN.inc(n_removed)
    return n_removed
