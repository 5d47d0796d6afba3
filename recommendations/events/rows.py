"""The event log read from the database as arrays."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Protocol

import numpy as np
from django.db import connection
from numpy.typing import NDArray
from psycopg import sql
from psycopg.types.numeric import Int8

from accounts.models import Buyer
from catalog.querysets import ITEMS
from recommendations.engine.arrays import first_of_runs, rank_in_runs
from recommendations.engine.columns import Columns
from recommendations.models import EventKind
from recommendations.models.arrays import as_objects, read_columns
from recommendations.models.bots import is_person
from recommendations.models.impressions import is_seen
from web.postgres.prepared import preparing_cursor, sized


class EventLog(Protocol):
    """The store of events, for data that is not in their columns: the database, or a simulation's memory."""

    def kinds(self) -> Mapping[str, EventKind]:
        """Every kind of event, by slug."""
        ...

    def queries(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any] | None]:
        """What the searches among some events asked for, by event id."""
        ...

    def filters_of_lists(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
        """By what the buyer had filtered the lists that some events name, by event id; others are absent."""
        ...

    def shown_beside(self, event_ids: NDArray[np.int64], at_most: int) -> ShownBeside:
        """What was shown beside the listing of each event, down to a position."""
        ...

    def locations(self, buyer_ids: Collection[int]) -> dict[int, tuple[float, float]]:
        """Latitude and longitude of buyers, where known, by buyer id."""
        ...


class DatabaseLog:
    """The log of the site; see ``EventLog``."""

    def kinds(self) -> Mapping[str, EventKind]:
        return EventKind.objects.in_bulk()

    def queries(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any] | None]:
        return read_queries(event_ids)

    def filters_of_lists(self, event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
        return read_filters_of_lists(event_ids)

    def shown_beside(self, event_ids: NDArray[np.int64], at_most: int) -> ShownBeside:
        return read_shown_beside(event_ids, at_most)

    def locations(self, buyer_ids: Collection[int]) -> dict[int, tuple[float, float]]:
        found = Buyer.objects.filter(pk__in=buyer_ids).values_list("pk", "latitude", "longitude")
        return {
            buyer_id: (latitude, longitude)
            for buyer_id, latitude, longitude in found
            if latitude is not None and longitude is not None
        }


DATABASE = DatabaseLog()


@dataclass(frozen=True)
class EventRows(Columns):
    """Events as columns, all of length n, oldest first. ``listing_ids`` is 0 for a search, and for a deleted car.

    ``log`` is where they were read from, and knows the rest of them. ``dwell_seconds`` says how long a page was looked
    at, nan where that is not known; left out: of none.
    """

    SHARED = ("log",)

    ids: NDArray[np.int64]
    buyer_ids: NDArray[np.int64]
    listing_ids: NDArray[np.int64]
    kinds: NDArray[np.object_]
    occurred_at: NDArray[np.float64]
    log: EventLog = field(default=DATABASE, compare=False)
    # Never None once built: __post_init__ fills in what was left out.
    dwell_seconds: NDArray[np.float64] = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.dwell_seconds is None:
            object.__setattr__(self, "dwell_seconds", np.full(len(self), np.nan))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_buyers(self) -> int:
        return len(np.unique(self.buyer_ids))

    @property
    def last_id(self) -> int:
        return int(self.ids.max(initial=0))

    @classmethod
    def concatenate(cls, parts: Sequence[EventRows]) -> EventRows:
        """The events of several parts of one log, one after the other; at least one part."""
        names = [each.name for each in fields(cls) if each.name != "log"]
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return replace(parts[0], **columns)

    def shown_beside(self, at_most: int) -> ShownBeside:
        """What was shown beside the listing of each event, down to a position."""
        return self.log.shown_beside(self.ids, at_most)

    def before(self, moment: float) -> EventRows:
        return self.take(self.occurred_at < moment)

    def of_buyers(self, buyer_ids: NDArray[np.int64]) -> EventRows:
        return self.take(np.isin(self.buyer_ids, buyer_ids))

    def newest_per_buyer(self, n: int) -> EventRows:
        """At most n of the newest events of each buyer."""
        order = np.lexsort((-self.occurred_at, self.buyer_ids))
        rank = rank_in_runs(first_of_runs(self.buyer_ids[order]))
        return self.take(np.sort(order[rank < n]))


OF_ONE_BUYER = 1_000  # events, at most; a question about more is planned for itself

EVENT_COLUMNS = sql.SQL(
    "i.id, i.buyer_id, coalesce(i.listing_id, 0), array_position({kinds}, i.kind_id::text)::bigint, "
    "extract(epoch FROM i.occurred_at)::float8, coalesce(i.dwell_seconds, 'NaN'::float8)"
)


LEARNED_FROM = (  # every event about cars since a moment, without those of bots, from which nothing is learned
    "FROM recommendations_interaction i WHERE i.occurred_at >= {since} "
    "AND NOT EXISTS (SELECT FROM catalog_listing l WHERE l.id = i.listing_id AND l.source = {items}) "
    "AND {is_by_person}"
)


def learned_from(since: datetime) -> dict[str, sql.Composable]:
    """What stands for the names in ``LEARNED_FROM``."""
    is_by_person = sql.SQL(is_person("i.buyer_id"))
    return {"since": sql.Literal(since), "items": sql.Literal(ITEMS), "is_by_person": is_by_person}


def read_events(since: datetime) -> EventRows:
    """Every event about cars since a moment, oldest first; without those of bots, from which nothing is learned."""
    return read_event_rows(sql.SQL("SELECT {columns} " + LEARNED_FROM), learned_from(since))


def read_events_of(since: datetime, first_buyer: int, next_buyer: int, last_id: int) -> EventRows:
    """The same of the buyers from one id up to, but without, another; events after ``last_id`` are left for later."""
    query = sql.SQL(
        "SELECT {columns} " + LEARNED_FROM + " AND i.buyer_id >= {first_buyer} AND i.buyer_id < {next_buyer} "
        "AND i.id <= {last_id}"
    )
    bounds = {"first_buyer": first_buyer, "next_buyer": next_buyer, "last_id": last_id}
    return read_event_rows(query, learned_from(since) | {name: sql.Literal(bound) for name, bound in bounds.items()})


def count_events(since: datetime) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Who did something that ``read_events`` would read, sorted; how many events each has; and the last event's id."""
    query = sql.SQL("SELECT i.buyer_id, count(*), max(i.id) " + LEARNED_FROM + " GROUP BY i.buyer_id")
    buyers, counts, last_ids = read_columns(query.format(**learned_from(since)), np.int64, np.int64, np.int64)
    order = np.argsort(buyers)
    return buyers[order], counts[order], int(last_ids.max(initial=0))


def read_histories(
    buyer_ids: Sequence[int], at_most: int, before: datetime | None = None, kinds: Collection[str] | None = None
) -> EventRows:
    """The newest events of each of these buyers, or the newest before a moment, so many at most; oldest first.

    ``kinds`` are the slugs of all kinds of events, where they were read before; an event of one that is newer is left
    out, as if it had come later.
    """
    query = sql.SQL(
        "SELECT {columns} FROM unnest(%(buyers)s::bigint[]) AS buyer (id) CROSS JOIN LATERAL ("
        "SELECT * FROM recommendations_interaction WHERE buyer_id = buyer.id "
        "AND occurred_at < %(before)s::timestamptz ORDER BY occurred_at DESC, id DESC LIMIT %(at_most)s) i"
    )
    parameters = sized({"buyers": list(buyer_ids), "at_most": at_most, "before": before or "infinity"})
    return read_event_rows(query, {}, kinds, parameters, is_planned_once=len(buyer_ids) == 1)


def read_event_rows(
    query: sql.SQL,
    values: Mapping[str, sql.Composable],
    slugs: Collection[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    *,
    is_planned_once: bool = False,
) -> EventRows:
    """The events a query finds, sorted here, where it is cheaper than in the database.

    ``parameters`` and ``is_planned_once`` are as in ``read_records``.
    """
    slugs = sorted(EventKind.objects.values_list("slug", flat=True) if slugs is None else slugs)
    found = query.format(columns=EVENT_COLUMNS.format(kinds=sql.Literal(slugs)), **values)
    ids, buyer_ids, listing_ids, kinds, occurred_at, dwell_seconds = read_columns(
        found, np.int64, np.int64, np.int64, np.int64, np.float64, np.float64,
        parameters=parameters, is_planned_once=is_planned_once,
    )  # fmt: skip
    order = np.lexsort((ids, occurred_at))
    return EventRows(
        ids=ids[order],
        buyer_ids=buyer_ids[order],
        listing_ids=listing_ids[order],
        kinds=as_objects(slugs)[kinds[order] - 1],
        occurred_at=occurred_at[order],
        dwell_seconds=dwell_seconds[order],
    )


@dataclass(frozen=True)
class ShownBeside:
    """The other listings of the lists that some events came from; arrays of length n_pairs, by event, from the top.

    Attributes:
        event_ids: Of which event, sorted.
        listing_ids: What was shown beside its listing.
        positions: Where in the list, 1 at the top.
        chosen_positions: Where the event's own listing stood.
        is_filtered: Whether the buyer had filtered the list.
    """

    event_ids: NDArray[np.int64]
    listing_ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    chosen_positions: NDArray[np.int64]
    is_filtered: NDArray[np.bool_]

    @classmethod
    def joined(cls, parts: Sequence[ShownBeside]) -> ShownBeside:
        """Those of several parts, which are of different events; at least one part."""
        columns = {each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)}
        order = np.argsort(columns["event_ids"], kind="stable")
        return cls(**{name: column[order] for name, column in columns.items()})


SHOWN_BESIDE = sql.SQL("""
WITH mine AS MATERIALIZED (
    SELECT id, buyer_id, listing_id, occurred_at, served_list_id, attribution, position
    FROM recommendations_interaction WHERE id = ANY(%(events)s)),
-- Read once: looked up for each event, the events of a day would be read as often as there are events.
named AS MATERIALIZED (
    SELECT id, buyer_id, listing_id, occurred_at, served_list_id FROM recommendations_interaction
    WHERE served_list_id IS NOT NULL
    AND buyer_id = ANY(ARRAY(SELECT DISTINCT buyer_id FROM mine WHERE served_list_id IS NULL))
    AND occurred_at >= (SELECT min(occurred_at) FROM mine) - interval '1 day'
    AND occurred_at <= (SELECT max(occurred_at) FROM mine) + interval '2 minutes'),
opened AS (
    SELECT DISTINCT ON (i.id) i.id, e.served_list_id
    FROM mine i JOIN named e ON e.buyer_id = i.buyer_id AND e.listing_id = i.listing_id
    AND e.occurred_at BETWEEN i.occurred_at - interval '1 day' AND i.occurred_at + interval '2 minutes'
    WHERE i.served_list_id IS NULL
    ORDER BY i.id, e.occurred_at > i.occurred_at, abs(extract(epoch FROM e.occurred_at - i.occurred_at)), e.id DESC),
-- What a buyer saw of a list is looked up where there are impressions of it, and whether there are once for each event:
-- of most lists there are none, so that each of their cars would be looked up in vain.
served AS MATERIALIZED (
    SELECT i.id AS event_id, i.listing_id, s.id, s.buyer_id, s.listing_ids, s.filters <> '{{}}' AS is_filtered,
        EXISTS (SELECT FROM recommendations_impression WHERE served_list_id = s.id AND buyer_id = i.buyer_id)
            AS has_impressions
    FROM mine i LEFT JOIN opened ON opened.id = i.id
    JOIN recommendations_servedlist s ON s.id = coalesce(i.served_list_id, opened.served_list_id)
    AND i.listing_id = ANY(s.listing_ids)
    AND (i.attribution <> 'pending' OR (coalesce(i.position, 1) <= cardinality(s.listing_ids)
        AND (s.buyer_id IS NULL OR s.buyer_id = i.buyer_id
            OR s.buyer_id IN (SELECT id FROM accounts_buyer WHERE merged_into_id = i.buyer_id)))))
SELECT served.event_id, shown.position, shown.listing_id,
    array_position(served.listing_ids, served.listing_id)::bigint, served.is_filtered::int::bigint
FROM served
CROSS JOIN LATERAL unnest(served.listing_ids[:%(at_most)s]) WITH ORDINALITY AS shown (listing_id, position)
WHERE shown.listing_id <> served.listing_id AND CASE WHEN served.has_impressions THEN {is_seen} ELSE true END
""").format(is_seen=sql.SQL(is_seen("served", "shown.position", "shown.listing_id")))


def read_shown_beside(event_ids: NDArray[np.int64], at_most: int) -> ShownBeside:
    """What was shown beside the listing of each event, down to a position.

    Of a list of which the buyer sent impressions, that is what was seen: what was served and not seen was not turned
    down. An event that names no list (a call from the page of a car, say) came from the list from which the same buyer
    opened that car within the day before, or else two minutes later: the page of a car, which we record when it is
    read, may be posted as a view with its list a moment after. Events from no list, from one that lacks their listing,
    or from that of another buyer are absent; this holds too for events that arrived before their list and are not
    judged yet.
    """
    parameters = {"at_most": at_most, "events": list(map(Int8, event_ids.tolist()))}
    of_event, positions, listing_ids, chosen, is_filtered = read_columns(
        SHOWN_BESIDE,
        *[np.int64] * 5,
        parameters=parameters,
        is_planned_once=len(event_ids) <= OF_ONE_BUYER,
    )
    order = np.lexsort((positions, of_event))
    return ShownBeside(
        of_event[order], listing_ids[order], positions[order], chosen[order], is_filtered[order].astype(bool)
    )


QUERIES = """
SELECT id, query::text FROM recommendations_interaction WHERE id = ANY(%(events)s) AND query IS NOT NULL"""

FILTERS_OF_LISTS = """
SELECT i.id, s.filters::text FROM recommendations_interaction i
JOIN recommendations_servedlist s ON s.id = i.served_list_id AND s.filters <> '{}'
WHERE i.id = ANY(%(events)s)"""


def read_queries(event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any] | None]:
    """What the searches among some events asked for, by event id."""
    return read_json(QUERIES, event_ids)


def read_filters_of_lists(event_ids: NDArray[np.int64]) -> dict[int, dict[str, Any]]:
    """By what the buyer had filtered the lists that some events name, by event id."""
    return read_json(FILTERS_OF_LISTS, event_ids)


def read_json(statement: str, event_ids: NDArray[np.int64]) -> dict[int, Any]:
    """What a statement finds of some events, by event id. It is planned once for a connection: asked of one buyer, an
    ORM's query took longer to be put together than to be answered."""
    if not len(event_ids):
        return {}
    cursor_of = preparing_cursor(connection) if len(event_ids) <= OF_ONE_BUYER else connection.cursor()
    with cursor_of as cursor:
        cursor.execute(statement, {"events": list(map(Int8, event_ids.tolist()))})
        return {event_id: json.loads(content) for event_id, content in cursor.fetchall()}
