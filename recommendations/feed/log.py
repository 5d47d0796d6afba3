"""The SQL of a request of the feed: one statement reads what a list needs, one stores a list, one stores actions.

They go to the driver directly, as prepared statements: planning them for each request would take longer than running
them. A list is stored before it is answered, by the statement that checks that its items are still live. So the next
request finds it in whatever process it arrives, and no answered list is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.models import ErasedId
from web.postgres.prepared import PreparingCursor

VARIANT = "feed"  # marks the served lists of the feed
EVENTS_READ = 20_000  # of one user, the newest
LISTS_READ = 5_000  # of one user, the newest

READ = """
    WITH who AS MATERIALIZED (
        SELECT coalesce(merged_into_id, id) AS id, is_personalised
        FROM accounts_buyer WHERE external_id = %(user_id)s::text
    )
    SELECT
        (SELECT max(id) FROM catalog_listingchange),
        fit.number,
        fit.fitted_at,
        fit.seconds,
        who.id,
        who.is_personalised,
        who.id IS NULL AND EXISTS (SELECT FROM accounts_erasedid WHERE digest = %(digest)s::text),
        ARRAY(
            SELECT CASE WHEN k.weight > 0 THEN actions.listing_id ELSE -actions.listing_id END
            FROM (
                SELECT id, kind_id, listing_id, occurred_at FROM recommendations_interaction
                WHERE buyer_id = who.id AND listing_id IS NOT NULL
                ORDER BY occurred_at DESC, id DESC LIMIT %(events)s::int
            ) actions JOIN recommendations_eventkind k ON k.slug = actions.kind_id AND k.weight <> 0
            ORDER BY actions.occurred_at, actions.id
        ),
        ARRAY(
            SELECT unnest(listing_ids)
            FROM (
                SELECT listing_ids, served_at FROM recommendations_servedlist
                WHERE buyer_id = who.id ORDER BY served_at DESC LIMIT %(lists)s::int
            ) shown ORDER BY served_at
        )
    FROM (SELECT 1) AS always LEFT JOIN who ON true LEFT JOIN recommendations_feedfit fit ON true
"""

MAKE_BUYER = """
    known AS MATERIALIZED (
        SELECT coalesce(merged_into_id, id) AS id FROM accounts_buyer WHERE external_id = %(user_id)s::text
    ), made AS (
        INSERT INTO accounts_buyer (external_id, questionnaire, is_personalised, created_at)
        SELECT %(user_id)s::text, '{}', true, now() WHERE NOT EXISTS (SELECT FROM known) AND %(creates_buyer)s::bool
        ON CONFLICT (external_id) DO UPDATE SET external_id = excluded.external_id  -- made by another request just now
        RETURNING id
    ), buyer AS (SELECT id FROM known UNION ALL SELECT id FROM made)
"""

# Both statements select their arrays, so that the planner cannot count the elements. Where it could, it preferred a
# plan for the few events of one request to the stored plan, and planned each time, which took longer than to run it.
SERVE = f"""
    WITH {MAKE_BUYER}, live AS MATERIALIZED (
        SELECT c.listing_id, c.source, c.score, c.place
        FROM unnest((SELECT %(listing_ids)s::bigint[]), (SELECT %(sources)s::text[]), (SELECT %(scores)s::float8[]))
            WITH ORDINALITY AS c (listing_id, source, score, place)
        JOIN catalog_listing l ON l.id = c.listing_id AND l.status = 'live'
        ORDER BY c.place LIMIT %(length)s::int
    )
    INSERT INTO recommendations_servedlist
        (id, buyer_id, variant, served_at, filters, listing_ids, scores, sources)
    SELECT gen_random_uuid(), (SELECT id FROM buyer), '{VARIANT}', clock_timestamp(), '{{}}',
        array_agg(listing_id ORDER BY place), array_agg(score ORDER BY place), array_agg(source ORDER BY place)
    FROM live HAVING count(*) > 0
    RETURNING listing_ids, sources
"""  # noqa: S608 (put together from constants)

# Whether an id was used before is looked up in the table of keys, which is one table for all months.
# OFFSET 0 makes the planner look each id up: while the table was small, it put all keys into a hash table instead, and
# the stored plan went on doing so for each request, however many keys there were by then.
RECORD = f"""
    WITH {MAKE_BUYER}
    INSERT INTO recommendations_interaction (event_id, buyer_id, kind_id, listing_id, occurred_at, received_at)
    SELECT
        actions.event_id, buyer.id, actions.kind, actions.listing_id,
        to_timestamp(%(occurred_at)s::float8), clock_timestamp()
    FROM buyer, unnest((SELECT %(event_ids)s::text[]), (SELECT %(kinds)s::text[]), (SELECT %(listing_ids)s::bigint[]))
        AS actions (event_id, kind, listing_id)
    WHERE NOT recommendations_is_key_noted(
        recommendations_key_of_event('recommendations_interaction', '', actions.event_id)
    ) OR NOT EXISTS (  -- a key may outlive its event
        SELECT FROM recommendations_interaction AS earlier
        WHERE earlier.event_id = actions.event_id AND earlier.sender = '' OFFSET 0
    )
    ON CONFLICT DO NOTHING
"""  # noqa: S608 (put together from constants)


@dataclass(frozen=True)
class UserState:
    """What the database knows of a user, and which versions of items and fit it holds.

    Attributes:
        newest_change: Newest id of the log of listing changes; None when it is empty.
        fit_number: Number of the newest fit; None before the first one.
        fitted_at: Time of the newest fit; None before the first one.
        fit_seconds: Processor time of the newest fit; None before the first one.
        is_known: Whether there is a buyer with this id.
        is_personalised: Whether lists may be personal.
        is_erased: Whether the user was erased and has done nothing since.
        actions: Listing ids, oldest first, negative for a dislike.
        shown: Listing ids, oldest first.
    """

    newest_change: int | None
    fit_number: int | None
    fitted_at: datetime | None
    fit_seconds: float | None
    is_known: bool
    is_personalised: bool
    is_erased: bool
    actions: list[int]
    shown: list[int]


def read_user_state(user_id: str) -> UserState:
    digest = ErasedId.digest_of(user_id)
    rows = execute(READ, {"user_id": user_id, "digest": digest, "events": EVENTS_READ, "lists": LISTS_READ})
    newest_change, number, fitted_at, seconds, buyer_id, is_personalised, is_erased, actions, shown = rows[0]
    return UserState(
        newest_change,
        number,
        fitted_at,
        seconds,
        is_known=buyer_id is not None,
        is_personalised=is_personalised is not False,
        is_erased=is_erased,
        actions=actions,
        shown=shown,
    )


def write_list(
    user_id: str,
    listing_ids: Sequence[int],
    sources: Sequence[str],
    scores: Sequence[float],
    length: int,
    *,
    creates_buyer: bool = True,
) -> tuple[list[int], list[str]]:
    """Store the first ``length`` items that are still live; returns their listing ids and their sources.

    ``creates_buyer``: an unknown user becomes a buyer; otherwise the list of an unknown user is stored without a buyer.
    """
    rows = execute(
        SERVE,
        {
            "user_id": user_id,
            "creates_buyer": creates_buyer,
            "listing_ids": _array(listing_ids),
            "sources": _array(sources),
            "scores": _array(scores),
            "length": length,
        },
    )
    return rows[0] if rows else ([], [])


def write_actions(
    user_id: str, listing_ids: Sequence[int], kinds: Sequence[str], event_ids: Sequence[str], occurred_at: float
) -> int:
    """Append actions to the log, all or none; returns how many were new. Raises IntegrityError if a listing was
    removed meanwhile."""
    n_recorded: int = execute(
        RECORD,
        {
            "user_id": user_id,
            "creates_buyer": True,
            "listing_ids": _array(listing_ids),
            "kinds": _array(kinds),
            "event_ids": _array(event_ids),
            "occurred_at": occurred_at,
        },
    )
    return n_recorded


def _array(values: Sequence[int | float | str]) -> str:
    """Write an array as PostgreSQL reads it; for numbers and for our own words, which need no quotes."""
    return "{" + ",".join(map(str, values)) + "}"


def execute(statement: str, parameters: Mapping[str, Any]) -> Any:
    """Return the rows of a prepared statement, or how many it wrote.

    Raises:
        DatabaseError: Errors of the driver are wrapped in those of Django.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = PreparingCursor(connection.connection).execute(statement, parameters, binary=True)
        has_rows = cursor.pgresult is not None and cursor.pgresult.nfields  # faster than to build a description
        return cursor.fetchall() if has_rows else cursor.rowcount
