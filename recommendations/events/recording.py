"""Append what buyers did to the event log, all or none."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import Buyer
from catalog.models import Listing
from recommendations import telemetry
from recommendations.events.signals import events_recorded
from recommendations.exceptions import EventProblem, EventsRefused
from recommendations.models import (
    EventKind,
    Interaction,
    Preference,
    SavedSearch,
    ServedList,
)

SEARCH = "search"  # the kind of event that may be about a query instead of a listing

CLOCK_SKEW = timedelta(minutes=5)  # how far ahead of ours a client's clock may be


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something a buyer did. Without an ``event_id`` it cannot be recognised when it is sent again."""

    kind: str
    event_id: str = ""
    listing_id: int | None = None
    query: dict | None = None
    occurred_at: datetime | None = None
    served_list_id: uuid.UUID | None = None
    position: int | None = None


@dataclass(frozen=True)
class Recorded:
    n_recorded: int
    n_repeated: int


def record_interactions(*, buyer: Buyer, events: Sequence[Event]) -> Recorded:
    """Append events of one buyer to the log, all or none; raises EventsRefused with every problem found."""
    return record_interactions_of_many(events_by_buyer=[(buyer, event) for event in events])


@transaction.atomic
def record_interactions_of_many(*, events_by_buyer: Sequence[tuple[Buyer, Event]]) -> Recorded:
    """Append events of any buyers to the log, all or none; an event id that is known already counts as repeated."""
    now = timezone.now()
    refuse_problems([event for _, event in events_by_buyer], now)
    rows = [as_interaction(buyer, event, now) for buyer, event in events_by_buyer]
    known = set(
        Interaction.objects.filter(event_id__in=[row.event_id for row in rows]).values_list("event_id", flat=True)
    )
    fresh = list({row.event_id: row for row in reversed(rows) if row.event_id not in known}.values())[::-1]
    # ignore_conflicts: another request may be writing the same events right now, and one of us must win quietly
    Interaction.objects.bulk_create(fresh, ignore_conflicts=True)
    if fresh:
        events_recorded.send(sender=Interaction, buyer_ids=sorted({row.buyer_id for row in fresh}))
    for kind, n in Counter(row.kind_id for row in fresh).items():
        telemetry.EVENTS.labels(kind).inc(n)
    telemetry.EVENTS_REPEATED.inc(len(rows) - len(fresh))
    return Recorded(n_recorded=len(fresh), n_repeated=len(rows) - len(fresh))


def as_interaction(buyer: Buyer, event: Event, now: datetime) -> Interaction:
    return Interaction(
        event_id=event.event_id or uuid.uuid4().hex,
        buyer=buyer,
        kind_id=event.kind,
        listing_id=event.listing_id,
        query=event.query,
        occurred_at=min(event.occurred_at or now, now),  # a clock that runs ahead must not make events of the future
        received_at=now,
        served_list_id=event.served_list_id,
        position=event.position,
    )


def refuse_problems(events: Sequence[Event], now: datetime) -> None:
    """Raise EventsRefused with everything that is wrong; cheap checks in memory, two queries for the rest."""
    kinds = set(EventKind.objects.values_list("slug", flat=True))
    listing_ids = {event.listing_id for event in events if event.listing_id is not None}
    known_ids = set(Listing.objects.filter(pk__in=listing_ids).values_list("pk", flat=True))
    problems = [
        EventProblem(index, field, reason)
        for index, event in enumerate(events)
        for field, reason in problems_of(event, kinds, known_ids, now)
    ]
    if problems:
        raise EventsRefused(problems)


def problems_of(event: Event, kinds: set[str], known_ids: set[int], now: datetime) -> list[tuple[str, str]]:
    """What is wrong with one event, as pairs of field and reason."""
    problems = []
    if event.kind not in kinds:
        problems.append(("kind", f"unknown kind “{event.kind}”; known are {', '.join(sorted(kinds))}"))
    if event.listing_id is not None and event.listing_id not in known_ids:
        problems.append(("listing_id", f"there is no listing {event.listing_id}"))
    if event.listing_id is None and not (event.kind == SEARCH and event.query):
        problems.append(("listing_id", "an event needs a listing; only a search may have a query instead"))
    if event.occurred_at and event.occurred_at > now + CLOCK_SKEW:
        problems.append(("occurred_at", f"{event.occurred_at.isoformat()} lies in the future"))
    if event.position is not None and not 1 <= event.position <= 32_767:
        problems.append(("position", "must be between 1, the top of the list, and 32767"))
    if len(event.event_id) > 64:
        problems.append(("event_id", "has more than 64 characters"))
    return problems


@transaction.atomic
def take_over_history(*, guest: Buyer, into: Buyer) -> None:
    """Give a guest's log to the buyer the guest turned out to be; what was learned of the guest is learned anew."""
    for rows in (Interaction.objects, ServedList.objects, SavedSearch.objects):
        rows.filter(buyer=guest).update(buyer=into)
    Preference.objects.filter(buyer=guest).delete()
