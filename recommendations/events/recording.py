"""Append events to the log: all or none of them, or with ``is_partial`` those without a problem.

An event id belongs to its sender, which is an API key or a buyer. The same id with the same content is a repeat and
changes nothing; with other content it is a conflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from psycopg.errors import DeadlockDetected

from accounts.models import ApiKey, Buyer
from recommendations import telemetry
from recommendations.events import impressions, waiting
from recommendations.events.attribution import attribute
from recommendations.events.log import Event as Event
from recommendations.events.log import Row, announce, as_row, sender_of
from recommendations.events.repeats import EarlierEvents, conflict_between
from recommendations.events.validation import Existing, problems_by_index
from recommendations.exceptions import EventProblem, EventsConflict, EventsRefused
from recommendations.models import Impression, Interaction, WaitingEvent
from web.postgres.months import beginning_of_month

ATTEMPTS = 5  # another request of the same sender may write the same ids between our look and our insert
REQUESTS_TAKE = timedelta(hours=1)  # at most
ONE = "INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING RETURNING id"


class Outcome(StrEnum):
    """What became of one event."""

    RECORDED = "recorded"
    WAITING = "waiting"
    REPEATED = "repeated"
    CONFLICT = "conflict"
    REFUSED = "refused"


@dataclass
class Result:
    """What became of one event; ``problems`` says why it was not recorded, as pairs of field and reason."""

    event_id: str
    outcome: Outcome = Outcome.RECORDED
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether the event is in the log or waits for its listing, from this request or an earlier one."""
        return self.outcome in (Outcome.RECORDED, Outcome.WAITING, Outcome.REPEATED)


@dataclass(frozen=True)
class Recorded:
    """Results in the order of the events."""

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
    """Append events of one buyer to the log, all or none; raises EventsRefused with every problem."""
    with transaction.atomic():
        return record_interactions_of_many(events_by_buyer=[(buyer, event) for event in events])


def record_interactions_of_many(
    *, events_by_buyer: Sequence[tuple[Buyer, Event]], key: ApiKey | None = None, is_partial: bool = False
) -> Recorded:
    """Append events of any buyers to the log. Call it in a transaction, the one that also creates new buyers.

    Events whose listing is not known yet are stored apart until it comes (``waiting``).

    Args:
        events_by_buyer: Pairs of a buyer and an event.
        key: The API key that sent them; None where each buyer sent their own.
        is_partial: Record the events without problems; otherwise all or none.

    Raises:
        EventsRefused: Some events have problems, and ``is_partial`` is false.
        EventsConflict: Some have the id of another event of the same sender, and ``is_partial`` is false.
    """
    now = timezone.now()
    existing = Existing.of(events_by_buyer)
    problems = problems_by_index([event for _, event in events_by_buyer], existing, now)
    if problems and not is_partial:
        raise EventsRefused([EventProblem(index, *problem) for index, found in problems.items() for problem in found])
    rows = [as_row(buyer, event, now, sender_of(buyer, key)) for buyer, event in events_by_buyer]
    results = [
        Result(row.event_id, Outcome.REFUSED, problems[index]) if index in problems else Result(row.event_id)
        for index, row in enumerate(rows)
    ]
    named = {row.event_id for row, (_, event) in zip(rows, events_by_buyer, strict=True) if event.event_id}
    fresh = [] if problems or existing.may_be_repeats else _insert_one(rows)
    announce(fresh or _insert(rows, results, named, key, is_partial))
    telemetry.EVENTS_REPEATED.inc(sum(result.outcome == Outcome.REPEATED for result in results))
    telemetry.EVENTS_IN_CONFLICT.inc(sum(result.outcome == Outcome.CONFLICT for result in results))
    return Recorded(results)


def _insert_one(rows: Sequence[Row]) -> list[Interaction]:
    """Write a single new event in one statement and return it: the usual request, made fast.

    Returns [] without writing for several events, for one that waits for its listing or is an impression, and for one
    that another request has just written. No savepoint is needed: ON CONFLICT DO NOTHING makes the same id in the same
    month no error. The same id in another month would be one, so close to the end of a month nothing is written here.
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
    """Whether a request that began in another month (UTC) may still be running."""
    return beginning_of_month(moment - REQUESTS_TAKE) != beginning_of_month(moment + REQUESTS_TAKE)


def _insert(
    rows: Sequence[Row], results: Sequence[Result], named: set[str], key: ApiKey | None, is_partial: bool
) -> list[Interaction]:
    """Write the new events, and put into ``results`` what became of the others; returns the rows of the log."""
    for attempt in range(1, ATTEMPTS + 1):
        new = _compare(rows, results, EarlierEvents(rows, named, key))
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


def _compare(rows: Sequence[Row], results: Sequence[Result], known: EarlierEvents) -> list[Row]:
    """The rows that are new; repeats and conflicts are marked in ``results``."""
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


def _refuse_conflicts(results: Sequence[Result]) -> None:
    conflicts = [
        EventProblem(index, *problem)
        for index, result in enumerate(results)
        if result.outcome == Outcome.CONFLICT
        for problem in result.problems
    ]
    if conflicts:
        raise EventsConflict(conflicts)


def _with_room(rows: Sequence[Row], results: Sequence[Result], is_partial: bool) -> list[WaitingEvent]:
    """The new events that wait for their listing, up to the sender's limit; those beyond it are refused.

    Simultaneous requests do not count each other's events, so a few more than the limit may wait.
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
