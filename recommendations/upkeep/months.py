"""The log of events, impressions and served lists, kept by month: which tables, and what beat does to them at night."""

# ruff: noqa: S608 -- put together from names of tables
from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, connection

from web.postgres import months
from web.postgres.months import Monthly, Part

logger = logging.getLogger(__name__)

EVENTS = Monthly("recommendations_interaction", "received_at")
IMPRESSIONS = Monthly("recommendations_impression", "received_at")
LISTS = Monthly("recommendations_servedlist", "served_at")
TABLES = (EVENTS, IMPRESSIONS, LISTS)
WITH_KEYS = (EVENTS, IMPRESSIONS)

MONTHS_AHEAD = 3  # beyond the one that is under way
NEXT_NIGHTS = timedelta(days=60)  # less made ahead: the nights before did not make them
SOON = timedelta(days=14)  # less than this: rows will be refused before long

KEYS_AT_ONCE = 10_000
# An event that is removed at the same time must not leave its key: FOR KEY SHARE waits for its removal, and skips it.
NOTE_KEYS = """
WITH batch AS (SELECT id, sender, event_id FROM {table} WHERE id > %s ORDER BY id LIMIT %s FOR KEY SHARE),
noted AS (INSERT INTO recommendations_eventkey (key)
    SELECT recommendations_key_of_event('{table}', sender, event_id) FROM batch ORDER BY 1 ON CONFLICT DO NOTHING)
SELECT max(id) FROM batch
"""
FORGET_KEYS = """
WITH batch AS (SELECT id, sender, event_id FROM {part} WHERE id > %s ORDER BY id LIMIT %s),
forgotten AS (DELETE FROM recommendations_eventkey
    WHERE key IN (SELECT recommendations_key_of_event('{table}', sender, event_id) FROM batch))
SELECT max(id) FROM batch
"""
NAMED = """
SELECT EXISTS (SELECT FROM {part} AS served
    WHERE EXISTS (SELECT FROM recommendations_interaction WHERE served_list_id = served.id))
"""


def make_months(now: datetime) -> None:
    """Partition every table by month, with partitions for the months to come, and finish interrupted removals.

    Raises OperationalError when a table stayed in use; the other tables have their months.
    """
    problems = []
    for monthly in TABLES:
        try:
            make_months_of(monthly, now)
        except OperationalError as problem:
            logger.warning("%s: %s", monthly.table, problem)
            problems.append(problem)
    if problems:
        raise problems[0]


def make_months_of(monthly: Monthly, now: datetime) -> None:
    keep_by_month(monthly, now)
    make_ahead(monthly, now)
    months.finish(monthly)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {monthly.table}")  # autovacuum looks at the parts only


def keep_by_month(monthly: Monthly, now: datetime) -> None:
    """Partition a table that is not partitioned, without moving its rows."""
    if months.is_partitioned(monthly.table):
        return
    if monthly in WITH_KEYS:
        note_keys(monthly)
    months.partition(monthly, now)


def make_ahead(monthly: Monthly, now: datetime) -> None:
    made = months.make_months(monthly, months.beginning_of_month(now, later=1 + MONTHS_AHEAD))
    if made:
        logger.info("made %s", ", ".join(made))


def note_keys(monthly: Monthly) -> None:
    """Store the keys of all rows; keys that are stored already stay."""
    walk_keys(NOTE_KEYS.format(table=monthly.table))


def walk_keys(statement: str) -> None:
    """Run a statement for a limited number of rows at a time, in the order of their ids; it returns the last id.

    Each run is a transaction of its own, and is repeated where a row stayed locked. Raises OperationalError in the end.
    """
    last: int | None = 0

    def go_on(cursor: Any) -> None:
        nonlocal last
        cursor.execute(statement, [last, KEYS_AT_ONCE])
        last = cursor.fetchone()[0]

    while last is not None:
        months.patiently(go_on)


def drop_months(monthly: Monthly, before: datetime) -> int:
    """Remove the oldest months whose rows are all older than a time; returns how many rows.

    For served lists, only months without a list that an event names: events and their lists are removed together. Not
    to be called in a transaction.
    """
    parts = []
    for part in months.old_parts(monthly.table, before):
        if monthly is LISTS and is_named(part):
            break
        parts.append(part)
    parts = parts if any(not part.is_oldest or count(part) for part in parts) else []
    n = sum(count(part) for part in parts)
    for part in parts:
        if monthly in WITH_KEYS:
            walk_keys(FORGET_KEYS.format(part=part.name, table=monthly.table))
    try:
        months.drop_parts(monthly, parts)
    except OperationalError as problem:
        if not months.is_in_use(problem):
            raise
        logger.warning("%s stayed in use, the next night goes on: %s", monthly.table, problem)
    return n


def drop_old_months(monthly: Monthly, before: datetime) -> int:
    """Call ``drop_months``; nothing within a transaction, where PostgreSQL cannot detach a partition beside readers."""
    if connection.in_atomic_block or not months.is_partitioned(monthly.table):
        return 0
    return drop_months(monthly, before)


def is_named(part: Part) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(NAMED.format(part=part.name))
        return bool(cursor.fetchone()[0])


def count(part: Part) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {part.name}")
        return int(cursor.fetchone()[0])


def made_until(monthly: Monthly) -> datetime | None:
    """Return the time up to which rows have a partition; None for a table without partitions."""
    return months.parts_of(monthly.table)[-1].until if months.is_partitioned(monthly.table) else None
