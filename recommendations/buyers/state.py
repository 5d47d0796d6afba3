"""Read everything that a list needs of a buyer in one statement, and cache what depends on the log alone.

The statement always reads what may change by itself: the position in the log, the event kinds, the stamps of the stored
preference, saved searches, what was shown since the last time (``shown``), the rules of the placement. The arrays of
the preference, and what depends on the log (last cars, dismissed cars, evidence for reasons), are large: the database
sends them only where they differ from what the caller has cached. Each part is also read alone by another function
(``context``, ``exclusions``, ``preferences``); a test keeps both equal.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from accounts.models import Buyer
from catalog.attributes import CATEGORIES, columns_of
from recommendations.buyers import wishes
from recommendations.buyers.context import HISTORY_LENGTH, OPENED_READ, Opened
from recommendations.buyers.exclusions import DISMISSED, RELATIONS
from recommendations.buyers.posteriors import LogPosition, StalePreference
from recommendations.buyers.preferences import (
    KINDS_AS_JSON,
    digest_of_basis,
    is_current,
    kinds_in,
    stored_preference,
    updated_preference,
)
from recommendations.buyers.shown import SHOWN, Shown, parameters_of, shown_in
from recommendations.buyers.wishes import LoggedEvent
from recommendations.listings.cars import KeptCars
from recommendations.models import Preference
from web.postgres.prepared import preparing_cursor, sized
from web.replicas import are_watched, count, reading_connection, try_beside

EVENTS_READ = 200  # the newest favourable ones of a buyer: what reasons may mention
SEARCHES_READ = 3  # the newest saved ones of a buyer

OPENED = """
SELECT coalesce(json_agg(json_build_array(listing_id, weight)), '[]') FROM (
    SELECT listing_id, max(weight) AS weight FROM (
        SELECT i.listing_id, k.weight, row_number() OVER (ORDER BY i.occurred_at DESC, i.id DESC) AS number
        FROM recommendations_interaction i
        JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.weight > 0
        WHERE i.buyer_id = %(buyer)s AND i.listing_id IS NOT NULL
        ORDER BY i.occurred_at DESC, i.id DESC LIMIT %(n_read)s) AS newest
    GROUP BY listing_id ORDER BY min(number) LIMIT %(n_opened)s) AS cars"""

# ruff: noqa: S608 -- the columns are those that the attributes declare
EVENTS = f"""
SELECT coalesce(json_agg(json_build_array(e.kind_id, e.is_contact, e.query, m.slug, l.car_model_id,
    {", ".join(f"l.{column}" for column in columns_of(CATEGORIES))}, s.kind)
    ORDER BY e.occurred_at DESC, e.id DESC), '[]') FROM (
    SELECT i.id, i.occurred_at, i.kind_id, k.is_contact, i.query, i.listing_id FROM recommendations_interaction i
    JOIN recommendations_eventkind k ON k.slug = i.kind_id AND k.weight > 0
    WHERE i.buyer_id = %(buyer)s ORDER BY i.occurred_at DESC, i.id DESC LIMIT %(n_events)s) AS e
LEFT JOIN catalog_listing l ON l.id = e.listing_id LEFT JOIN catalog_make m ON m.id = l.make_id
LEFT JOIN catalog_seller s ON s.id = l.seller_id"""

NEWEST = """
SELECT coalesce(json_agg(json_build_array(listing_id, weight, extract(epoch FROM occurred_at), query)
    ORDER BY occurred_at DESC, id DESC), '[]') FROM (
    SELECT i.id, i.listing_id, k.weight, i.occurred_at, i.query FROM recommendations_interaction i
    JOIN recommendations_eventkind k ON k.slug = i.kind_id
    WHERE i.buyer_id = %(buyer)s ORDER BY i.occurred_at DESC, i.id DESC LIMIT %(n_newest)s) AS newest"""

PLACEMENT = """
SELECT json_build_array(row_to_json(p), (
    SELECT json_build_object('slug', e.slug, 'variants', e.variants, 'holdout', e.holdout,
        'stopped_arms', e.stopped_arms, 'mode', e.mode, 'control', e.control) FROM recommendations_experiment e
    WHERE e.status = 'running' AND e.placement_id = p.id LIMIT 1))::text
FROM recommendations_placement p WHERE p.slug = %(placement)s"""

STATE = f"""
WITH kinds AS MATERIALIZED ({KINDS_AS_JSON}),
log AS MATERIALIZED (
    SELECT coalesce(max(id), 0) AS last, count(id) AS n FROM recommendations_interaction WHERE buyer_id = %(buyer)s),
relations AS MATERIALIZED ({RELATIONS} AS content)
SELECT ({PLACEMENT}), kinds.content, relations.content, log.last, log.n,
    (SELECT coalesce(json_agg(query), '[]')::text FROM (SELECT query FROM recommendations_savedsearch
        WHERE buyer_id = %(buyer)s ORDER BY created_at DESC LIMIT %(n_searches)s) AS newest),
    (SELECT max(created_at) FROM recommendations_savedsearch WHERE buyer_id = %(buyer)s),
    ({SHOWN}),
    CASE WHEN has_moved THEN ARRAY({DISMISSED}) END,
    p.id, p.last_interaction_id, p.n_interactions, p.basis, p.computed_at, is_another, has_moved,
    CASE WHEN is_another AND %(sends)s THEN vector_send(p.mean) END,
    CASE WHEN is_another AND %(sends)s THEN p.covariance END,
    CASE WHEN is_another AND %(sends)s THEN p.tastes END,
    CASE WHEN has_moved AND %(sends)s THEN ({OPENED})::text END,
    CASE WHEN has_moved AND %(sends)s THEN ({EVENTS})::text END,
    CASE WHEN has_moved AND %(sends)s THEN ({NEWEST})::text END
FROM log CROSS JOIN kinds CROSS JOIN relations CROSS JOIN LATERAL (
    SELECT %(forgets)s OR log.last <> %(last)s OR log.n <> %(n)s OR kinds.content <> %(kinds)s
        OR relations.content <> %(relations)s AS has_moved) AS moved
LEFT JOIN recommendations_preference p ON p.buyer_id = %(buyer)s AND p.version_id = %(version)s
CROSS JOIN LATERAL (SELECT p.computed_at IS DISTINCT FROM %(known_at)s AS is_another) AS stored
"""
KINDS, RELATED, LAST, N = 1, 2, 3, 4  # columns of STATE
PREFERENCE_ID, COMPUTED_AT, IS_ANOTHER, HAS_MOVED, FIRST_LONG = 9, 13, 14, 15, 16
STAMPS = (KINDS, RELATED, LAST, N, *range(PREFERENCE_ID, FIRST_LONG))  # what the columns from FIRST_LONG on follow from


@dataclass(frozen=True, eq=False)
class LogDigest:
    """What depends on a buyer's log, the event kinds, the buyer's relations to sellers and cars, and the listings.

    It is the same object while none of them changes.

    Attributes:
        position: Of the log.
        kinds: The kinds of events, as JSON.
        relations: Digest of sellers that are the buyer's own or blocked, and of cars shown again.
        stock: The state of the listing index before the reading; another object means that listings may have changed.
        read_at: ``time.monotonic()`` before it was read.
        opened: Cars dealt with in a favourable way lately, newest first.
        dismissed: Listings that must not be shown.
        events: The newest favourable events, as ``serving.evidence`` reads them.
        newest: The newest events of every kind, as ``wishes`` reads them.
    """

    position: LogPosition
    kinds: str
    relations: str
    stock: object
    read_at: float
    opened: tuple[Opened, ...]
    dismissed: frozenset[int]
    events: tuple[tuple[Any, ...], ...]
    newest: tuple[LoggedEvent, ...]


@dataclass(frozen=True, eq=False)
class BuyerState:
    """Everything that was read of a buyer.

    Attributes:
        version_id: Of the preference.
        log: What depends on the log.
        preference: The stored one, which may be behind the log; None where there is none.
        searches: The newest saved ones.
        saved_at: When the newest of them was saved.
        shown: How often cars were shown lately.
        placement: Its row and the running experiment, as JSON; None where there is no such placement.
    """

    version_id: int
    log: LogDigest
    preference: Preference | None
    searches: tuple[object, ...]
    saved_at: datetime | None
    shown: Shown
    placement: str | None

    @property
    def events(self) -> tuple[tuple[Any, ...], ...]:
        """The newest favourable events."""
        return self.log.events

    @property
    def newest(self) -> tuple[LoggedEvent, ...]:
        """The newest events of every kind."""
        return self.log.newest


def read_buyer_state(
    buyer: Buyer, *, version_id: int, stock: object, cars: KeptCars, placement: str, kept: BuyerState | None
) -> BuyerState:
    """Read the state of a buyer under a version, in one statement.

    Args:
        buyer: Whose state.
        version_id: Of the listing index that the caller holds.
        stock: The state of that index.
        cars: Which listings are one car, of that index.
        placement: Slug of the placement whose rules are read with it.
        kept: The state that an earlier reading found, if cached.
    """
    kept = kept if kept and kept.version_id == version_id else None
    started = time.monotonic()
    n_noted = cars.n_noted
    shown = kept.shown if kept else None
    parameters = {
        **parameters_of(buyer.pk, timezone.now(), shown),
        "user": buyer.user_id,
        "version": version_id,
        "placement": placement,
        "before": "infinity",
        "n_read": OPENED_READ,
        "n_opened": HISTORY_LENGTH,
        "n_events": EVENTS_READ,
        "n_searches": SEARCHES_READ,
        "n_newest": wishes.EVENTS_READ,
        "forgets": kept is None or kept.log.stock is not stock or is_over(kept.log, started),
        **stamps_of(kept),
    }
    row = read_row(parameters)
    rules, kinds, relations, last, n, searches, saved_at, content, dismissed = row[:PREFERENCE_ID]
    stored = stored_preference(
        buyer, version_id, (*row[PREFERENCE_ID:HAS_MOVED], *row[FIRST_LONG : FIRST_LONG + 3]),
        kept.preference if kept else None,
    )  # fmt: skip
    if kept is None or row[HAS_MOVED]:
        opened, events, newest = row[FIRST_LONG + 3 :]
        columns = opened, dismissed, events, newest
        log = log_digest(LogPosition(last, n), kinds, relations, stock, started, columns)
    else:
        log = kept.log
    shown = shown_in(content, parameters, shown, cars, n_noted)
    return BuyerState(version_id, log, stored, tuple(json.loads(searches)), saved_at, shown, rules)


def stamps_of(kept: BuyerState | None) -> dict[str, Any]:
    """The stamps of a cached state, which the statement compares to send only what differs."""
    if kept is None:
        return {"known_at": None, "last": 0, "n": 0, "kinds": "", "relations": ""}
    return {
        "known_at": kept.preference.computed_at if kept.preference else None,
        "last": kept.log.position.last_interaction_id,
        "n": kept.log.position.n_interactions,
        "kinds": kept.log.kinds,
        "relations": kept.log.relations,
    }


def log_digest(
    position: LogPosition, kinds: str, relations: str, stock: object, read_at: float, columns: tuple[Any, ...]
) -> LogDigest:
    """A LogDigest of the columns that the statement sends when the log has changed.

    ``columns`` are the last cars, the dismissed ids, the favourable events and the newest events; all but the ids are
    JSON.
    """
    opened, dismissed, events, newest = columns
    return LogDigest(
        position=position,
        kinds=kinds,
        relations=relations,
        stock=stock,
        read_at=read_at,
        opened=tuple(Opened(listing_id, float(weight)) for listing_id, weight in json.loads(opened)),
        dismissed=frozenset(dismissed),
        events=tuple(map(tuple, json.loads(events))),
        newest=tuple(
            wishes.event_of(listing_id, weight, datetime.fromtimestamp(occurred_at, UTC), query)
            for listing_id, weight, occurred_at, query in json.loads(newest)
        ),
    )


def read_row(parameters: dict[str, Any]) -> tuple[Any, ...]:
    """A row of ``STATE``, as the primary has it.

    A replica may send the large columns, if its stamps equal those that the primary sends; so no event is lost to a
    replica that is behind.
    """
    if not are_watched():
        return row_of(connection, {**parameters, "sends": True})
    row = row_of(connection, {**parameters, "sends": False})
    if not (row[IS_ANOTHER] or row[HAS_MOVED]):
        return row
    beside = try_beside(
        "buyers", lambda: row_of(reading_connection(), {**parameters, "sends": True}), own_writes_matter=False
    )
    if beside and all(beside[0][column] == row[column] for column in STAMPS):
        return row[:FIRST_LONG] + beside[0][FIRST_LONG:]
    if beside:
        count("buyers", "primary_log_is_ahead")
    return row_of(connection, {**parameters, "sends": True})


def row_of(database: BaseDatabaseWrapper, parameters: dict[str, Any]) -> tuple[Any, ...]:
    with preparing_cursor(database) as cursor:
        cursor.execute(STATE, sized(parameters))
        row: tuple[Any, ...] = cursor.fetchone()
    return row


def is_over(log: LogDigest, now: float) -> bool:
    """Whether a digest is so old that changes which no stamp shows (a seller's kind) are read again."""
    return now - log.read_at >= settings.LIST_CACHE_SECONDS


def preference_in(state: BuyerState, buyer: Buyer) -> Preference | None:
    """The preference of a state, brought up to date; equals ``context.preference_of``."""
    if not buyer.is_personalised:
        return None
    stored, position, kinds = state.preference, state.log.position, kinds_in(state.log.kinds)
    basis = digest_of_basis(kinds, buyer.questionnaire)
    if stored and is_current(stored, position, basis):
        return stored
    if not position.n_interactions and not buyer.questionnaire:
        return None
    return updated_preference(StalePreference(buyer, position, basis, stored), state.version_id, kinds=kinds)
