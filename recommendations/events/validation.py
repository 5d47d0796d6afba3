"""Check sent events, field by field, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils.translation import gettext as _

from accounts.models import Buyer
from recommendations.events import impressions
from recommendations.events.log import IMPRESSION, SEARCH, Event
from web.postgres.prepared import preparing_cursor, sized

CLOCK_SKEW = timedelta(minutes=5)  # how far ahead of ours a client's clock may be
KNOWN = """
SELECT ARRAY(SELECT slug FROM recommendations_eventkind),
    ARRAY(SELECT id FROM catalog_listing WHERE id = ANY(%(listings)s)),
    EXISTS (SELECT 1 FROM recommendations_interaction WHERE event_id = ANY(%(ids)s))
        OR EXISTS (SELECT 1 FROM recommendations_waitingevent WHERE event_id = ANY(%(ids)s))
        OR EXISTS (SELECT 1 FROM recommendations_impression WHERE event_id = ANY(%(ids)s))
"""


@dataclass(frozen=True)
class Existing:
    """Which of the things that events name exist; read in one statement.

    Attributes:
        kinds: Slugs of all event kinds.
        listing_ids: Those of the listings named by the events that exist.
        may_be_repeats: Whether the database has an event with an id of these, from any sender.
    """

    kinds: Set[str]
    listing_ids: Set[int]
    may_be_repeats: bool

    @classmethod
    def of(cls, events_by_buyer: Sequence[tuple[Buyer, Event]]) -> Existing:
        events = [event for _, event in events_by_buyer]
        of_one = {event.listing_id for event in events if event.listing_id is not None}
        listing_ids = list(of_one.union(*(event.seen_ids for event in events)))
        named = list({event.event_id for event in events if event.event_id})
        with preparing_cursor(connection) as cursor:
            cursor.execute(KNOWN, sized({"listings": listing_ids, "ids": named}))
            kinds, known_ids, may_be_repeats = cursor.fetchone()
        return cls(frozenset(kinds), frozenset(known_ids), may_be_repeats)


def problems_by_index(events: Sequence[Event], existing: Existing, now: datetime) -> dict[int, list[tuple[str, str]]]:
    """Problems of the events that have any, by position: pairs of field and reason."""
    found = {index: problems_of(event, existing.kinds, existing.listing_ids, now) for index, event in enumerate(events)}
    return {index: problems for index, problems in found.items() if problems}


def problems_of(event: Event, kinds: Set[str], known_ids: Set[int], now: datetime) -> list[tuple[str, str]]:
    """Problems of one event, as pairs of field and reason; empty when it can be recorded."""
    problems = []
    if event.kind not in kinds:
        named = {"kind": event.kind, "known": ", ".join(sorted(kinds))}
        problems.append(("kind", _("unknown kind “%(kind)s”; known are %(known)s") % named))
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
