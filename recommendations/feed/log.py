"""The statements of the feed: one to read what a list needs, one to write it down, one to write down what was said.

They go to the driver directly, prepared: planning them anew would cost more than running them. A list is written down
before it is answered, in the statement that also checks that its items are still on offer; so the next request finds
it, whichever process is asked, and nothing that was answered is lost.
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
        who.id,
        who.is_personalised,
        who.id IS NULL AND EXISTS (SELECT FROM accounts_erasedid WHERE digest = %(digest)s::text),
        ARRAY(
            SELECT CASE WHEN k.weight > 0 THEN said.listing_id ELSE -said.listing_id END
            FROM (
                SELECT id, kind_id, listing_id, occurred_at FROM recommendations_interaction
                WHERE buyer_id = who.id AND listing_id IS NOT NULL
                ORDER BY occurred_at DESC, id DESC LIMIT %(events)s::int
            ) said JOIN recommendations_eventkind k ON k.slug = said.kind_id AND k.weight <> 0
            ORDER BY said.occurred_at, said.id
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
        SELECT %(user_id)s::text, '{}', true, now() WHERE NOT EXISTS (SELECT FROM known) AND %(is_made)s::bool
        ON CONFLICT (external_id) DO UPDATE SET external_id = excluded.external_id  -- made by another request just now
        RETURNING id
    ), buyer AS (SELECT id FROM known UNION ALL SELECT id FROM made)
"""

SERVE = f"""
    WITH {MAKE_BUYER}, live AS MATERIALIZED (
        SELECT c.listing_id, c.source, c.score, c.place
        FROM unnest(%(listing_ids)s::bigint[], %(sources)s::text[], %(scores)s::float8[])
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

RECORD = f"""
    WITH {MAKE_BUYER}
    INSERT INTO recommendations_interaction (event_id, buyer_id, kind_id, listing_id, occurred_at, received_at)
    SELECT said.event_id, buyer.id, said.kind, said.listing_id, to_timestamp(%(occurred_at)s::float8), clock_timestamp()
    FROM buyer, unnest(%(event_ids)s::text[], %(kinds)s::text[], %(listing_ids)s::bigint[])
        AS said (event_id, kind, listing_id)
    WHERE NOT EXISTS (
        SELECT FROM recommendations_interaction AS earlier
        WHERE earlier.event_id = said.event_id AND earlier.sender = ''
    )
    ON CONFLICT DO NOTHING
"""  # noqa: S608 (put together from constants)


@dataclass(frozen=True)
class Standing:
    """How things stand for one user.

    Attributes:
        newest_change: Line of the change log of listings; None when it is empty.
        fit_number: Of what was learned last; None before the first time. ``fitted_at``: as of when.
        is_erased: Whether the user was erased, and has done nothing since.
        is_known: Whether the user was ever seen; ``is_personalised``: whether lists may be personal.
        said: Listing ids, oldest first, negative for what speaks against.
        shown: Listing ids, oldest first.
    """

    newest_change: int | None
    fit_number: int | None
    fitted_at: datetime | None
    is_known: bool
    is_personalised: bool
    is_erased: bool
    said: list[int]
    shown: list[int]


def read_standing(user_id: str) -> Standing:
    digest = ErasedId.digest_of(user_id)
    rows = execute(READ, {"user_id": user_id, "digest": digest, "events": EVENTS_READ, "lists": LISTS_READ})
    newest_change, fit_number, fitted_at, buyer_id, is_personalised, is_erased, said, shown = rows[0]
    is_personalised = is_personalised is not False
    return Standing(newest_change, fit_number, fitted_at, buyer_id is not None, is_personalised, is_erased, said, shown)


def write_list(
    user_id: str,
    listing_ids: Sequence[int],
    sources: Sequence[str],
    scores: Sequence[float],
    length: int,
    *,
    is_made: bool = True,
) -> tuple[list[int], list[str]]:
    """Write down the first ``length`` that are still on offer; returns them with their sources.

    ``is_made``: a user who is not known becomes known by this; otherwise the list is written down as that of no user.
    """
    rows = execute(
        SERVE,
        {
            "user_id": user_id,
            "is_made": is_made,
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
    """Append to the log, all or none; returns how many were new. IntegrityError when a listing is gone by now."""
    n_recorded: int = execute(
        RECORD,
        {
            "user_id": user_id,
            "is_made": True,
            "listing_ids": _array(listing_ids),
            "kinds": _array(kinds),
            "event_ids": _array(event_ids),
            "occurred_at": occurred_at,
        },
    )
    return n_recorded


def _array(values: Sequence[int | float | str]) -> str:
    """As PostgreSQL writes an array; for numbers and for words of our own, which need no quotes."""
    return "{" + ",".join(map(str, values)) + "}"


def execute(statement: str, parameters: Mapping[str, Any]) -> Any:
    """Rows of a prepared statement, or how many it wrote.

    Raises what Django would: the errors of the driver are wrapped in its own.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = PreparingCursor(connection.connection).execute(statement, parameters, binary=True)
        return cursor.fetchall() if cursor.description else cursor.rowcount
