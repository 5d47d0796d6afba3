"""Append what buyers did to the event log: all or none, or each event that is right.

An event id belongs to its sender, an API key or a buyer: the same id with the same content is a repeat, which changes
nothing; with other content it is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Exists, Manager, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg.errors import DeadlockDetected

from accounts.models import ApiKey, Buyer
from recommendations import telemetry
from recommendations.events import impressions, waiting
from recommendations.events.attribution import attribute
from recommendations.events.bots import take_over_mark
from recommendations.events.log import IMPRESSION, Row, announce, as_row, buyer_as_sender, in_short
from recommendations.events.log import Event as Event
from recommendations.exceptions import EventProblem, EventsConflict, EventsRefused
from recommendations.models import (
    BuyerSeller,
    Impression,
    Interaction,
    Preference,
    SavedSearch,
    ServedList,
    ShownAgain,
    WaitingEvent,
)
from web.postgres.months import beginning_of_month
from web.postgres.prepared import preparing_cursor, sized

SEARCH = "search"  # the kind of event that may be about a query instead of a listing

CLOCK_SKEW = timedelta(minutes=5)  # how far ahead of ours a client's clock may be
ATTEMPTS = 5  # another request of the same sender may write the same ids between our look and our insert
REQUESTS_TAKE = timedelta(hours=1)  # at most
NOT_NOTED = ""  # the sender of events that an earlier release recorded


class Outcome(StrEnum):
    """What became of one event."""

    RECORDED = "recorded"
    WAITING = "waiting"
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
        """Whether the event is in the log or waits for its listing, now or since it was sent before."""
        return self.outcome in (Outcome.RECORDED, Outcome.WAITING, Outcome.REPEATED)


@dataclass(frozen=True)
class Recorded:
    """In the order of the events."""

    results: list[Result]

    @property
    def n_recorded(self) -> int:
        return self._count(Outcome.RECORDED)

    @property
    def n_waiting(self) -> int:
        return self._count(Outcome.WAITING)

    @property
    def n_repeated(self) -> int:
        return self._count(Outcome.REPEATED)

    def _count(self, outcome: Outcome) -> int:
        return sum(result.outcome == outcome for result in self.results)


def record_interactions(*, buyer: Buyer, events: Sequence[Event]) -> Recorded:
    """Append events of one buyer to the log, all or none; raises EventsRefused with every problem found."""
    with transaction.atomic():
        return record_interactions_of_many(events_by_buyer=[(buyer, event) for event in events])


def record_interactions_of_many(
    *, events_by_buyer: Sequence[tuple[Buyer, Event]], key: ApiKey | None = None, is_partial: bool = False
) -> Recorded:
    """Append events of any buyers to the log. Call it in a transaction, together with what makes new buyers.

    Those that wait for their listing are kept apart until it comes (``waiting``).

    Args:
        events_by_buyer: Whose events, and which.
        key: Who sent them; each buyer for themselves when None.
        is_partial: Record what can be recorded; otherwise all or none.

    Raises:
        EventsRefused: Some are not as they must be, and ``is_partial`` is false.
        EventsConflict: Some have the id of another event of the same sender, and ``is_partial`` is false.
    """
    now = timezone.now()
    known = Known.of(events_by_buyer)
    problems = problems_by_index([event for _, event in events_by_buyer], known, now)
    if problems and not is_partial:
        raise EventsRefused([EventProblem(index, *problem) for index, found in problems.items() for problem in found])
    rows = [as_row(buyer, event, now, key) for buyer, event in events_by_buyer]
    results = [
        Result(row.event_id, Outcome.REFUSED, problems[index]) if index in problems else Result(row.event_id)
        for index, row in enumerate(rows)
    ]
    named = {row.event_id for row, (_, event) in zip(rows, events_by_buyer, strict=True) if event.event_id}
    fresh = [] if problems or known.may_be_repeats else _insert_one(rows)
    announce(fresh or _insert(rows, results, named, key, is_partial))
    telemetry.EVENTS_REPEATED.inc(sum(result.outcome == Outcome.REPEATED for result in results))
    telemetry.EVENTS_IN_CONFLICT.inc(sum(result.outcome == Outcome.CONFLICT for result in results))
    return Recorded(results)


def _insert_one(rows: Sequence[Row]) -> list[Interaction]:
    """Write a single event that was not there a moment ago, in one statement; returns it.

    Nothing is written, and [] returned, of several events, of one that waits for its listing, and of one that another
    request has just written. It needs no savepoint, because what would end a transaction is no error here; where two
    requests of one time may be of two months, it would be one.
    """
    if len(rows) != 1 or not isinstance(row := rows[0], Interaction) or is_near_a_month(row.received_at):
        return []
    attribute([row])
    fields = [field for field in Interaction._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
    values = ", ".join(["%s"] * len(fields))
    statement = ONE.format(table=Interaction._meta.db_table, columns=columns, values=values)
    with connection.cursor() as cursor:
        cursor.execute(statement, [field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields])
        written = cursor.fetchone()
    if written is None:
        return []
    [row.pk] = written
    return [row]


def is_near_a_month(moment: datetime) -> bool:
    """Whether a request may be under way that began in another month (UTC)."""
    return beginning_of_month(moment - REQUESTS_TAKE) != beginning_of_month(moment + REQUESTS_TAKE)


def _insert(
    rows: Sequence[Row], results: Sequence[Result], named: set[str], key: ApiKey | None, is_partial: bool
) -> list[Interaction]:
    """Write what is new, and note of the others what became of them; returns what was written to the log."""
    for attempt in range(1, ATTEMPTS + 1):
        new = _compare(rows, results, KnownEvents(rows, named, key))
        if not is_partial:
            _refuse_conflicts(results)
        fresh = [row for row in new if isinstance(row, Interaction)]
        early = _with_room(rows, results, is_partial)
        seen = [row for row in new if isinstance(row, Impression)]
        attribute(fresh)
        try:
            with transaction.atomic():
                Interaction.objects.bulk_create(fresh)
                waiting.store(early)
                impressions.store(seen)
        except (IntegrityError, OperationalError) as error:  # another request was writing the same events just now
            is_race = isinstance(error, IntegrityError) or isinstance(error.__cause__, DeadlockDetected)
            if not is_race or attempt == ATTEMPTS:
                raise
        else:
            return fresh
    raise AssertionError("unreachable")


def _compare(rows: Sequence[Row], results: Sequence[Result], known: KnownEvents) -> list[Row]:
    """The rows that are new; the results of the others say whether they are repeats or conflicts."""
    fresh = []
    for row, result in zip(rows, results, strict=True):
        if result.outcome == Outcome.REFUSED:
            continue
        is_early = isinstance(row, WaitingEvent)
        result.outcome, result.problems = Outcome.WAITING if is_early else Outcome.RECORDED, []
        if earlier := known.event_like(row):
            is_same = earlier.content_digest == row.content_digest
            result.outcome = Outcome.REPEATED if is_same else Outcome.CONFLICT
            result.problems = [] if is_same else [("event_id", conflict_between(earlier, row))]
        else:
            known.add(row)
            fresh.append(row)
    return fresh


def _with_room(rows: Sequence[Row], results: Sequence[Result], is_partial: bool) -> list[WaitingEvent]:
    """The first of the new events that are to wait, as many as there is room for; the others are refused.

    Requests of one time do not see each other's, so a few more may wait than are allowed.
    """
    early = [
        (index, row)
        for index, (row, result) in enumerate(zip(rows, results, strict=True))
        if isinstance(row, WaitingEvent) and result.outcome == Outcome.WAITING
    ]
    room = {sender: waiting.room_for_more(sender) for sender in {row.sender for _, row in early}}
    kept, problems = [], []
    for index, row in early:
        room[row.sender] -= 1
        if room[row.sender] >= 0:
            kept.append(row)
            continue
        problems.append(EventProblem(index, "external_id", no_room_for(row)))
        results[index].outcome, results[index].problems = Outcome.REFUSED, [("external_id", no_room_for(row))]
    telemetry.EVENTS_WITHOUT_ROOM.inc(len(problems))
    if problems and not is_partial:
        raise EventsRefused(problems)
    return kept


def no_room_for(row: WaitingEvent) -> str:
    named = {"external_id": row.external_id, "source": row.source}
    if not settings.EVENTS_WAITING_AT_MOST:
        return _("there is no listing “%(external_id)s” of “%(source)s”") % named
    return _("there is no listing “%(external_id)s” of “%(source)s”, and no more events may wait for theirs") % named


def _refuse_conflicts(results: Sequence[Result]) -> None:
    conflicts = [
        EventProblem(index, *problem)
        for index, result in enumerate(results)
        if result.outcome == Outcome.CONFLICT
        for problem in result.problems
    ]
    if conflicts:
        raise EventsConflict(conflicts)


class KnownEvents:
    """The events that a request may repeat: those of its sender under the ids it names.

    A buyer's own are also those that the guests sent whom the buyer has been. Where an earlier release noted no sender,
    an event of the same buyer with the same content is a repeat, and any other one is another sender's.
    """

    def __init__(self, rows: Sequence[Row], named: set[str], key: ApiKey | None) -> None:
        self._by_id: dict[tuple[str, str], Row] = {}
        self._guests: dict[str, list[str]] = {}
        self._named = named
        if not named:
            return
        if key is None:
            self._guests = guests_of({row.buyer_id for row in rows})
        senders = {NOT_NOTED, *(row.sender for row in rows), *(each for own in self._guests.values() for each in own)}
        early = WaitingEvent.objects.filter(event_id__in=named, sender__in=senders)
        if early.exists() and not waiting.release(early):  # those whose listing has come are events of the log by now
            self._add_all(early)
        self._add_all(Interaction.objects.filter(event_id__in=named, sender__in=senders))
        self._add_all(Impression.objects.filter(event_id__in=named, sender__in=senders))

    def _add_all(self, rows: QuerySet[Interaction] | QuerySet[WaitingEvent] | QuerySet[Impression]) -> None:
        for earlier in rows.select_related("buyer").order_by():
            self.add(earlier)

    def add(self, row: Row) -> None:
        if row.event_id in self._named:
            self._by_id[row.event_id, row.sender] = row

    def event_like(self, row: Row) -> Row | None:
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


def says_the_same(earlier: Row, row: Row) -> bool:
    """Of an event whose digest is not known. Its moment may be that of its arrival, so it does not count."""
    names = ("buyer_id", "kind_id", "listing_id", "query")
    return all(getattr(earlier, name, None) == getattr(row, name, None) for name in names)


def conflict_between(earlier: Row, row: Row) -> str:
    return _("“%(id)s” is the id of another event of yours: %(earlier)s. What came now is %(now)s.") % {
        "id": row.event_id,
        "earlier": in_short(earlier),
        "now": in_short(row),
    }


ONE = "INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING id"
KNOWN = """
SELECT ARRAY(SELECT slug FROM recommendations_eventkind),
    ARRAY(SELECT id FROM catalog_listing WHERE id = ANY(%(listings)s)),
    EXISTS (SELECT 1 FROM recommendations_interaction WHERE event_id = ANY(%(ids)s))
        OR EXISTS (SELECT 1 FROM recommendations_waitingevent WHERE event_id = ANY(%(ids)s))
        OR EXISTS (SELECT 1 FROM recommendations_impression WHERE event_id = ANY(%(ids)s))
"""


@dataclass(frozen=True)
class Known:
    """What is known before events are recorded, read in one statement.

    Attributes:
        kinds: All kinds of events.
        listing_ids: The listings of the events that exist.
        may_be_repeats: Whether there are events with the ids of these, whoever sent them.
    """

    kinds: Set[str]
    listing_ids: Set[int]
    may_be_repeats: bool

    @classmethod
    def of(cls, events_by_buyer: Sequence[tuple[Buyer, Event]]) -> Known:
        events = [event for _, event in events_by_buyer]
        of_one = {event.listing_id for event in events if event.listing_id is not None}
        listing_ids = list(of_one.union(*(event.seen_ids for event in events)))
        named = list({event.event_id for event in events if event.event_id})
        with preparing_cursor(connection) as cursor:
            cursor.execute(KNOWN, sized({"listings": listing_ids, "ids": named}))
            kinds, known_ids, may_be_repeats = cursor.fetchone()
        return cls(frozenset(kinds), frozenset(known_ids), may_be_repeats)


def problems_by_index(events: Sequence[Event], known: Known, now: datetime) -> dict[int, list[tuple[str, str]]]:
    """What is wrong with which event."""
    found = {index: problems_of(event, known.kinds, known.listing_ids, now) for index, event in enumerate(events)}
    return {index: problems for index, problems in found.items() if problems}


def problems_of(event: Event, kinds: Set[str], known_ids: Set[int], now: datetime) -> list[tuple[str, str]]:
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
    if event.kind == IMPRESSION:
        problems += impressions.problems_of(event, known_ids)
    elif event.listing_id is None and event.waits_for is None and not (event.kind == SEARCH and event.query):
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
    for model in (Interaction, WaitingEvent, Impression, ServedList, SavedSearch):
        model._default_manager.filter(buyer=guest).update(buyer=into)
    _take_over(BuyerSeller.objects, guest, into, "relation", "seller_external_id")
    _take_over(ShownAgain.objects, guest, into, "listing_id")
    Preference.objects.filter(buyer=guest).delete()
    take_over_mark(guest, into)


def _take_over(rows: Manager[Any], guest: Buyer, into: Buyer, *names: str) -> None:
    """Rows of which a buyer has one for each value of ``names``; those that the buyer has already win."""
    own = rows.filter(buyer=into, **{name: OuterRef(name) for name in names})
    rows.filter(Exists(own), buyer=guest).delete()
    rows.filter(buyer=guest).update(buyer=into)
