"""Append what buyers did to the event log: all or none, or each event that is right.

An event id belongs to its sender, an API key or a buyer: the same id with the same content is a repeat, which changes
nothing; with other content it is a conflict.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Exists, Manager, OuterRef
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg.errors import DeadlockDetected

from accounts.models import ApiKey, Buyer
from catalog.models import Listing
from recommendations import telemetry
from recommendations.events.attribution import attribute, count_wrong
from recommendations.events.signals import events_recorded
from recommendations.exceptions import EventProblem, EventsConflict, EventsRefused
from recommendations.models import (
    BuyerSeller,
    EventKind,
    Interaction,
    Preference,
    SavedSearch,
    ServedList,
    ShownAgain,
)

SEARCH = "search"  # the kind of event that may be about a query instead of a listing

CLOCK_SKEW = timedelta(minutes=5)  # how far ahead of ours a client's clock may be
ATTEMPTS = 5  # another request of the same sender may write the same ids between our look and our insert
NOT_NOTED = ""  # the sender of events that an earlier release recorded


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


class Outcome(StrEnum):
    """What became of one event."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    REFUSED = "refused"


@dataclass
class Result:
    """Of one event: under which id, what became of it, and why it was not recorded, as (field, reason)."""

    event_id: str
    outcome: Outcome = Outcome.RECORDED
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether the event is in the log, now or since it was sent before."""
        return self.outcome in (Outcome.RECORDED, Outcome.REPEATED)


@dataclass(frozen=True)
class Recorded:
    """In the order of the events."""

    results: list[Result]

    @property
    def n_recorded(self) -> int:
        return sum(result.outcome == Outcome.RECORDED for result in self.results)

    @property
    def n_repeated(self) -> int:
        return sum(result.outcome == Outcome.REPEATED for result in self.results)


def record_interactions(*, buyer: Buyer, events: Sequence[Event]) -> Recorded:
    """Append events of one buyer to the log, all or none; raises EventsRefused with every problem found."""
    with transaction.atomic():
        return record_interactions_of_many(events_by_buyer=[(buyer, event) for event in events])


def record_interactions_of_many(
    *, events_by_buyer: Sequence[tuple[Buyer, Event]], key: ApiKey | None = None, is_partial: bool = False
) -> Recorded:
    """Append events of any buyers to the log. Call it in a transaction, together with what makes new buyers.

    Args:
        events_by_buyer: Whose events, and which.
        key: Who sent them; each buyer for themselves when None.
        is_partial: Record what can be recorded; otherwise all or none.

    Raises:
        EventsRefused: Some are not as they must be, and ``is_partial`` is false.
        EventsConflict: Some have the id of another event of the same sender, and ``is_partial`` is false.
    """
    now = timezone.now()
    problems = problems_by_index([event for _, event in events_by_buyer], now)
    if problems and not is_partial:
        raise EventsRefused([EventProblem(index, *problem) for index, found in problems.items() for problem in found])
    rows = [as_interaction(buyer, event, now, key) for buyer, event in events_by_buyer]
    results = [
        Result(row.event_id, Outcome.REFUSED, problems[index]) if index in problems else Result(row.event_id)
        for index, row in enumerate(rows)
    ]
    named = {row.event_id for row, (_, event) in zip(rows, events_by_buyer, strict=True) if event.event_id}
    fresh = _insert(rows, results, named, key, is_partial)
    _announce(fresh, results)
    return Recorded(results)


def _insert(
    rows: Sequence[Interaction], results: Sequence[Result], named: set[str], key: ApiKey | None, is_partial: bool
) -> list[Interaction]:
    """Write what is new, and note of the others what became of them; returns the rows that were written."""
    for attempt in range(1, ATTEMPTS + 1):
        fresh = _compare(rows, results, KnownEvents(rows, named, key))
        if not is_partial:
            _refuse_conflicts(results)
        attribute(fresh)
        try:
            with transaction.atomic():
                Interaction.objects.bulk_create(fresh)
        except (IntegrityError, OperationalError) as error:  # another request was writing the same events just now
            is_race = isinstance(error, IntegrityError) or isinstance(error.__cause__, DeadlockDetected)
            if not is_race or attempt == ATTEMPTS:
                raise
        else:
            return fresh
    raise AssertionError("unreachable")


def _compare(rows: Sequence[Interaction], results: Sequence[Result], known: KnownEvents) -> list[Interaction]:
    """The rows that are new; the results of the others say whether they are repeats or conflicts."""
    fresh = []
    for row, result in zip(rows, results, strict=True):
        if result.outcome == Outcome.REFUSED:
            continue
        result.outcome, result.problems = Outcome.RECORDED, []
        if earlier := known.event_like(row):
            is_same = earlier.content_digest == row.content_digest
            result.outcome = Outcome.REPEATED if is_same else Outcome.CONFLICT
            result.problems = [] if is_same else [("event_id", conflict_between(earlier, row))]
        else:
            known.add(row)
            fresh.append(row)
    return fresh


def _refuse_conflicts(results: Sequence[Result]) -> None:
    conflicts = [
        EventProblem(index, *problem)
        for index, result in enumerate(results)
        if result.outcome == Outcome.CONFLICT
        for problem in result.problems
    ]
    if conflicts:
        raise EventsConflict(conflicts)


def _announce(fresh: Sequence[Interaction], results: Sequence[Result]) -> None:
    if fresh:
        events_recorded.send(sender=Interaction, buyer_ids=sorted({row.buyer_id for row in fresh}))
    count_wrong(fresh)
    for kind, n in Counter(row.kind_id for row in fresh).items():
        telemetry.EVENTS.labels(kind).inc(n)
    telemetry.EVENTS_REPEATED.inc(sum(result.outcome == Outcome.REPEATED for result in results))
    telemetry.EVENTS_IN_CONFLICT.inc(sum(result.outcome == Outcome.CONFLICT for result in results))


class KnownEvents:
    """The events that a request may repeat: those of its sender under the ids it names.

    A buyer's own are also those that the guests sent whom the buyer has been. Where an earlier release noted no sender,
    an event of the same buyer with the same content is a repeat, and any other one is another sender's.
    """

    def __init__(self, rows: Sequence[Interaction], named: set[str], key: ApiKey | None) -> None:
        self._by_id: dict[tuple[str, str], Interaction] = {}
        self._guests: dict[str, list[str]] = {}
        self._named = named
        if not named:
            return
        if key is None:
            self._guests = guests_of({row.buyer_id for row in rows})
        senders = {NOT_NOTED, *(row.sender for row in rows), *(each for own in self._guests.values() for each in own)}
        stored = Interaction.objects.filter(event_id__in=named, sender__in=senders).select_related("buyer")
        for earlier in stored.order_by():
            self.add(earlier)

    def add(self, row: Interaction) -> None:
        if row.event_id in self._named:
            self._by_id[row.event_id, row.sender] = row

    def event_like(self, row: Interaction) -> Interaction | None:
        """The event of the same sender and id; else one without a sender, or of a guest, that says the same."""
        if own := self._by_id.get((row.event_id, row.sender)):
            return own
        of_guests = [self._by_id.get((row.event_id, sender)) for sender in self._guests.get(row.sender, ())]
        same = next((each for each in of_guests if each and each.content_digest == row.content_digest), None)
        if same:
            return same
        old = self._by_id.get((row.event_id, NOT_NOTED))
        if old is None or not says_the_same(old, row):
            return None
        old.content_digest = row.content_digest
        return old


def guests_of(buyer_ids: Iterable[int]) -> dict[str, list[str]]:
    """The senders whom buyers have been before they logged in, by the sender they are now."""
    senders: dict[str, list[str]] = {}
    for guest in Buyer.objects.filter(merged_into__in=buyer_ids).order_by("pk").only("merged_into"):
        senders.setdefault(f"buyer:{guest.merged_into_id}", []).append(buyer_as_sender(guest.pk))
    return senders


def says_the_same(earlier: Interaction, row: Interaction) -> bool:
    """Of an event whose digest is not known. Its moment may be that of its arrival, so it does not count."""
    names = ("buyer_id", "kind_id", "listing_id", "query")
    return all(getattr(earlier, name) == getattr(row, name) for name in names)


def conflict_between(earlier: Interaction, row: Interaction) -> str:
    return _("“%(id)s” is the id of another event of yours: %(earlier)s. What came now is %(now)s.") % {
        "id": row.event_id,
        "earlier": in_short(earlier),
        "now": in_short(row),
    }


def in_short(row: Interaction) -> str:
    """The content of an event on one line."""
    buyer = row.buyer.external_id
    said = {
        "kind": row.kind_id,
        "listing_id": row.listing_id,
        "query": row.query,
        "occurred_at": row.occurred_at.astimezone(UTC).isoformat(timespec="seconds"),
        "list_id": row.served_list_id and str(row.served_list_id),
        "position": row.position,
        "buyer": buyer,
    }
    return json.dumps({name: value for name, value in said.items() if value is not None}, ensure_ascii=False)


def buyer_as_sender(buyer_id: int) -> str:
    return f"buyer:{buyer_id}"


def as_interaction(buyer: Buyer, event: Event, now: datetime, key: ApiKey | None = None) -> Interaction:
    return Interaction(
        event_id=event.event_id or uuid.uuid4().hex,
        sender=f"key:{key.pk}" if key else buyer_as_sender(buyer.pk),
        content_digest=content_digest(event, buyer.pk if key else 0),
        buyer=buyer,
        kind_id=event.kind,
        listing_id=event.listing_id,
        query=event.query,
        occurred_at=min(event.occurred_at or now, now),  # a clock that runs ahead must not make events of the future
        received_at=now,
        served_list_id=event.served_list_id,
        position=event.position,
    )


def content_digest(event: Event, buyer_id: int) -> int:
    """A number for everything an event says but its id, signed 64 bits, never 0; ``buyer_id`` where the sender has
    several."""
    said: Mapping[str, Any] = {
        "buyer": buyer_id,
        "kind": event.kind,
        "listing": event.listing_id,
        "query": event.query,
        "occurred_at": event.occurred_at and event.occurred_at.timestamp(),
        "list": event.served_list_id and str(event.served_list_id),
        "position": event.position,
    }
    digest = hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True) or 1


def problems_by_index(events: Sequence[Event], now: datetime) -> dict[int, list[tuple[str, str]]]:
    """What is wrong with which event; cheap checks in memory, two queries for the rest."""
    kinds = set(EventKind.objects.values_list("slug", flat=True))
    listing_ids = {event.listing_id for event in events if event.listing_id is not None}
    known_ids = set(Listing.objects.filter(pk__in=listing_ids).values_list("pk", flat=True))
    found = {index: problems_of(event, kinds, known_ids, now) for index, event in enumerate(events)}
    return {index: problems for index, problems in found.items() if problems}


def problems_of(event: Event, kinds: set[str], known_ids: set[int], now: datetime) -> list[tuple[str, str]]:
    """What is wrong with one event, as pairs of field and reason."""
    problems = []
    if event.kind not in kinds:
        problems.append(
            (
                "kind",
                _("unknown kind “%(kind)s”; known are %(known)s")
                % {"kind": event.kind, "known": ", ".join(sorted(kinds))},
            )
        )
    if event.listing_id is not None and event.listing_id not in known_ids:
        problems.append(("listing_id", _("there is no listing %(listing)s") % {"listing": event.listing_id}))
    if event.listing_id is None and not (event.kind == SEARCH and event.query):
        problems.append(("listing_id", _("an event needs a listing; only a search may have a query instead")))
    if event.occurred_at and event.occurred_at > now + CLOCK_SKEW:
        problems.append(("occurred_at", _("%(moment)s lies in the future") % {"moment": event.occurred_at.isoformat()}))
    if event.position is not None and not 1 <= event.position <= 32_767:
        problems.append(("position", _("must be between 1, the top of the list, and %(most)s") % {"most": 32_767}))
    if len(event.event_id) > 64:
        problems.append(("event_id", _("has more than %(most)s characters") % {"most": 64}))
    return problems


@transaction.atomic
def take_over_history(*, guest: Buyer, into: Buyer) -> None:
    """Give a guest's log to the buyer the guest turned out to be; what was learned of the guest is learned anew.

    Events keep their sender, so that ids which the guest and the buyer have both used stay apart.
    """
    for rows in (Interaction.objects, ServedList.objects, SavedSearch.objects):
        rows.filter(buyer=guest).update(buyer=into)
    _take_over(BuyerSeller.objects, guest, into, "relation", "seller_external_id")
    _take_over(ShownAgain.objects, guest, into, "listing_id")
    Preference.objects.filter(buyer=guest).delete()


def _take_over(rows: Manager, guest: Buyer, into: Buyer, *names: str) -> None:
    """Rows of which a buyer has one for each value of ``names``; those that the buyer has already win."""
    own = rows.filter(buyer=into, **{name: OuterRef(name) for name in names})
    rows.filter(Exists(own), buyer=guest).delete()
    rows.filter(buyer=guest).update(buyer=into)
