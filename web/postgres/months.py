"""Tables kept by month: range partitions on a column of moments, made ahead and removed once they are old.

A table has a part for all that is older than its months, and then one part for each month, without gaps, in UTC. There
is no default partition: with one, a part could not be detached without keeping readers out.

No reader and no writer waits longer than for a moment: what takes a lock that they meet gives up after a while and is
tried again (``patiently``), checks are validated before a part is attached, and a part is detached concurrently. Nor is
one of them ended because of a deadlock with us: we wait for less time than it takes PostgreSQL to look for one.
"""

# ruff: noqa: S608 -- put together from names of tables and columns
from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, count, takewhile
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

logger = logging.getLogger(__name__)

ATTEMPTS = 40  # each of little more than the pause
ATTEMPTS_TO_DETACH = 1000  # no one waits for it meanwhile, and a backup reads for long
PAUSE_SECONDS = 1.0  # in which those who waited behind us are served
NOT_BEFORE = timedelta(days=14)  # of the first month that gets a part of its own: until then nothing changes
TO_GO = "to be removed"  # the comment of a part that is about to go: it is finished where that was cut short

ORDINARY, PARTITIONED = "r", "p"  # kinds of tables

KIND = "SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)"
PARTS = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(%s) AND NOT i.inhdetachpending
"""
PENDING = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(%s) AND inhdetachpending"
LEFT_OVER = """
SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
AND NOT c.relispartition AND starts_with(c.relname, %s) AND obj_description(c.oid, 'pg_class') = %s
"""
INDEXES = """
SELECT i.relname, pg_get_indexdef(x.indexrelid), x.indisunique, x.indisprimary, x.indisvalid, i.relispartition
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = to_regclass(%s) ORDER BY x.indexrelid
"""
CONSTRAINTS = "SELECT conname, pg_get_constraintdef(oid), contype FROM pg_constraint WHERE conrelid = to_regclass(%s)"
TRIGGERS = "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal"
GRANTS = """
SELECT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type
FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(%s) AND grantee <> relowner
"""
REFERENCED = """
SELECT conname, confrelid::regclass::text FROM pg_constraint
WHERE conrelid = to_regclass(%s) AND contype = 'f' ORDER BY 2, 1
"""
GIVE_WAY = """
SELECT set_config('lock_timeout', greatest(setting::int / %s, 1)::text, %s) FROM pg_settings
WHERE name = 'deadlock_timeout'
"""  # milliseconds, in whole numbers
BOUNDS = re.compile(r"FOR VALUES FROM \((.+)\) TO \((.+)\)")


@dataclass(frozen=True)
class Monthly:
    """A table, and the column that decides in which month a row is. Its key is ``id``."""

    table: str
    moment: str


@dataclass(frozen=True, order=True)
class Part:
    """One partition: rows from ``since`` on, and before ``until``. None: from the beginning, for ever."""

    until: datetime
    since: datetime
    name: str

    @property
    def is_oldest(self) -> bool:
        """Whether it takes whatever is older, too."""
        return self.since == BEGINNING


BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


# --- What there is ---------------------------------------------------------------------------------------------------
def is_partitioned(table: str) -> bool:
    with connection.cursor() as cursor:
        return rows(cursor, KIND, [table]) == [(PARTITIONED,)]


def parts_of(table: str) -> list[Part]:
    """The partitions, the oldest first."""
    with connection.cursor() as cursor:
        return sorted(part_with(name, bounds) for name, bounds in rows(cursor, PARTS, [table]))


def part_with(name: str, bounds: str) -> Part:
    found = BOUNDS.fullmatch(bounds)
    if not found:
        raise ValueError(f"{name} is no range of moments: {bounds}")
    since, until = (moment_in(text) for text in found.groups())
    return Part(until, since, name)


def moment_in(text: str) -> datetime:
    if text in ("MINVALUE", "MAXVALUE"):
        return BEGINNING if text == "MINVALUE" else END
    return datetime.fromisoformat(text.strip("'")).astimezone(UTC)


def beginning_of_month(moment: datetime, later: int = 0) -> datetime:
    """Midnight (UTC) of the first day of the month of a moment, or of one that comes so many months later."""
    moment = moment.astimezone(UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 + later, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def rows(cursor: Any, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    cursor.execute(query, parameters)
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


# --- Locks -----------------------------------------------------------------------------------------------------------
def patiently(work: Callable[[Any], None]) -> None:
    """Do it in one transaction that waits for a lock for MIGRATION_LOCK_SECONDS, again and again.

    What needs a second lock while it holds one that writers meet takes both by ``lock``.

    Raises OperationalError when a table stayed in use; then nothing has changed.
    """

    def in_a_transaction() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = '{settings.MIGRATION_LOCK_SECONDS}s'")
            work(cursor)

    try_while_in_use(in_a_transaction, ATTEMPTS)


def try_while_in_use(work: Callable[[], None], attempts: int) -> None:
    """Do it again while a lock can't be had. Raises OperationalError in the end, and at once within a transaction."""
    for n_left in reversed(range(attempts)):
        try:
            work()
        except OperationalError as error:
            if not is_in_use(error) or not n_left or connection.in_atomic_block:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return


def is_in_use(error: OperationalError) -> bool:
    """Whether a lock could not be had, rather than something else being wrong."""
    return isinstance(error.__cause__, (LockNotAvailable, DeadlockDetected))


def lock(cursor: Any, modes: Mapping[str, str]) -> None:
    """Lock several tables until the end of the transaction, each in its mode, in this order.

    A request may hold one of them and wait for another. It would be ended after deadlock_timeout, so that we wait for
    less, all locks together. But it takes as long until PostgreSQL ends an autovacuum that holds a table: that, and
    other maintenance, is waited for before, by a lock that readers and writers do not meet.
    """
    if not modes:
        return
    cursor.execute(f"LOCK TABLE {', '.join(modes)} IN SHARE UPDATE EXCLUSIVE MODE")
    cursor.execute(GIVE_WAY, [len(modes) + 1, True])
    for table, mode in modes.items():
        cursor.execute(f"LOCK TABLE {table} IN {mode} MODE")


def referenced_by(cursor: Any, table: str) -> list[str]:
    """The tables that its foreign keys name, in an order that is always the same."""
    return list(dict.fromkeys(referenced for _, referenced in rows(cursor, REFERENCED, [table])))


def lock_with_referenced(cursor: Any, table: str, mode: str = "SHARE ROW EXCLUSIVE") -> None:
    """Keep everyone out of a table, and writers out of those that its keys name; or in ``mode``."""
    lock(cursor, {**dict.fromkeys(referenced_by(cursor, table), mode), table: "ACCESS EXCLUSIVE"})


# --- From one table to parts -----------------------------------------------------------------------------------------
def partition(monthly: Monthly, now: datetime) -> bool:
    """Turn a table that holds rows into one kept by month, in place; returns whether it was not one already.

    Its rows stay where they are: the table becomes the oldest part, under another name, and goes on to take the rows
    of the next weeks. What reads all rows (an index, the validation of a check) keeps out neither readers nor writers;
    the exchange itself takes a moment. May be run again after it was cut short. Not to be called in a transaction.
    """
    table, moment = monthly.table, monthly.moment
    if is_partitioned(table):
        return False
    with connection.cursor() as cursor:
        newest = rows(cursor, f"SELECT max({moment}) FROM {table}")[0][0]
    bound = beginning_of_month(max(now + NOT_BEFORE, newest or now), later=1)
    build_key(monthly)
    try:
        add_check(monthly, bound)
        patiently(lambda cursor: exchange(cursor, monthly, bound))
    except BaseException:  # at the bound, a check that is left would refuse every row
        drop_check(monthly)
        raise
    logger.info("%s is kept by month from %s on", table, f"{bound:%Y-%m}")
    return True


def key_of(table: str) -> str:
    return f"{table}_by_month"


def check_of(table: str) -> str:
    return f"{table}_before_months"


def build_key(monthly: Monthly) -> None:
    """The unique index that the key of a table kept by month needs, built without keeping anyone waiting."""
    table, name = monthly.table, key_of(monthly.table)
    with connection.cursor() as cursor:
        is_valid = {index: valid for index, _, _, _, valid, _ in rows(cursor, INDEXES, [table])}
        if is_valid.get(name) is False:  # it was cut short
            cursor.execute(f"DROP INDEX CONCURRENTLY {name}")
        if not is_valid.get(name):
            cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {table} (id, {monthly.moment})")


def add_check(monthly: Monthly, bound: datetime) -> None:
    """Add a check that every row is older than the bound, so that attaching the table reads no row."""
    table, name = monthly.table, check_of(monthly.table)

    def add(cursor: Any) -> None:
        cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}")
        cursor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({monthly.moment} < '{bound.isoformat()}') NOT VALID"
        )

    patiently(add)
    patiently(lambda cursor: cursor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))


def drop_check(monthly: Monthly) -> None:
    statement = f"ALTER TABLE {monthly.table} DROP CONSTRAINT IF EXISTS {check_of(monthly.table)}"
    patiently(lambda cursor: cursor.execute(statement))


def check_left(monthly: Monthly) -> str | None:
    """What a partitioning that was cut short left a table to refuse rows by, as SQL."""
    with connection.cursor() as cursor:
        found = {name: definition for name, definition, _ in rows(cursor, CONSTRAINTS, [monthly.table])}
    return found.get(check_of(monthly.table))


def exchange(cursor: Any, monthly: Monthly, bound: datetime) -> None:
    """A new table of the same name, columns, keys and indexes, of which the old one is the oldest part."""
    table, old = monthly.table, oldest_name(monthly.table, bound)
    lock_with_referenced(cursor, table)
    indexes = rows(cursor, INDEXES, [table])
    constraints = rows(cursor, CONSTRAINTS, [table])
    triggers = rows(cursor, TRIGGERS, [table])
    grants = rows(cursor, GRANTS, [table])
    cursor.execute(f"ALTER TABLE {table} RENAME TO {old}")
    set_aside(cursor, old, indexes, constraints, triggers, key_of(table))
    cursor.execute(
        f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE) "
        f"PARTITION BY RANGE ({monthly.moment})"
    )
    cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {check_of(table)}")
    move_sequence(cursor, old, table, grants)
    key = next(name for name, _, _, is_primary, _, _ in indexes if is_primary)
    cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {key} PRIMARY KEY (id, {monthly.moment})")
    for name, definition, kind in constraints:
        if kind == "f":
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for _, definition, is_unique, _, _, _ in indexes:
        if not is_unique:
            cursor.execute(definition)
    grant(cursor, table, grants)
    attach(cursor, table, old, "MINVALUE", f"'{bound.isoformat()}'")
    cursor.execute(f"ALTER TABLE {old} DROP CONSTRAINT {check_of(table)}")
    for _, definition in triggers:
        cursor.execute(definition)


def set_aside(
    cursor: Any, old: str, indexes: list[tuple[Any, ...]], constraints: list[tuple[Any, ...]],
    triggers: list[tuple[Any, ...]], key: str,
) -> None:  # fmt: skip
    """Give the old table the key that its parts have, and its indexes other names: the new table takes theirs."""
    for name, _ in triggers:
        cursor.execute(f"DROP TRIGGER {name} ON {old}")
    [primary] = [name for name, _, kind in constraints if kind == "p"]
    cursor.execute(f"ALTER TABLE {old} DROP CONSTRAINT {primary}")
    cursor.execute(f"ALTER TABLE {old} ADD CONSTRAINT {old}_pkey PRIMARY KEY USING INDEX {key}")
    others = (name for name, _, _, _, _, _ in indexes if name not in (primary, key))
    for number, name in enumerate(others, 1):
        cursor.execute(f"ALTER INDEX {name} RENAME TO {old}_{number}")


def grant(cursor: Any, name: str, grants: Sequence[tuple[Any, ...]]) -> None:
    for grantee, privilege in grants:
        cursor.execute(f"GRANT {privilege} ON {name} TO {grantee}")


def move_sequence(cursor: Any, old: str, table: str, grants: Sequence[tuple[Any, ...]]) -> None:
    """The numbers of ``id`` go on where they are. A part has no identity column of its own.

    An identity needs no privilege on its sequence, a default does: who may insert may have the next number.
    """
    [(sequence,)] = rows(cursor, f"SELECT pg_get_serial_sequence('{old}', 'id')")
    if sequence is None:
        return
    [(last, is_called)] = rows(cursor, f"SELECT last_value, is_called FROM {sequence}")
    of_sequence = rows(cursor, GRANTS, [sequence])
    of_sequence += [(grantee, "USAGE") for grantee, privilege in grants if privilege == "INSERT"]
    cursor.execute(f"ALTER TABLE {old} ALTER COLUMN id DROP IDENTITY IF EXISTS")
    cursor.execute(f"ALTER TABLE {old} ALTER COLUMN id DROP DEFAULT")
    cursor.execute(f"ALTER TABLE {table} ALTER COLUMN id DROP DEFAULT")
    cursor.execute(f"DROP SEQUENCE IF EXISTS {sequence}")
    cursor.execute(f"CREATE SEQUENCE {sequence} OWNED BY {table}.id")
    cursor.execute("SELECT setval(%s, %s, %s)", [sequence, last, is_called])
    cursor.execute(f"ALTER TABLE {table} ALTER COLUMN id SET DEFAULT nextval('{sequence}')")
    grant(cursor, f"SEQUENCE {sequence}", of_sequence)


def attach(cursor: Any, table: str, part: str, since: str, until: str) -> None:
    cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {part} FOR VALUES FROM ({since}) TO ({until})")


def oldest_name(table: str, until: datetime) -> str:
    return f"{table}_before_{until:%Y_%m}"


# --- Months to come --------------------------------------------------------------------------------------------------
def make_months(monthly: Monthly, until: datetime) -> list[str]:
    """Make the parts of all months up to a moment that are not there, the next first; their names."""
    made = []
    while (last := parts_of(monthly.table)[-1]).until < until:
        since, following = last.until, beginning_of_month(last.until, later=1)
        name = f"{monthly.table}_{since:%Y_%m}"
        patiently(lambda cursor: make_part(cursor, monthly.table, name, last.name, since, following))  # noqa: B023
        made.append(name)
    return made


def make_part(cursor: Any, table: str, name: str, like: str, since: datetime | None, until: datetime) -> None:
    """An empty part with the unique indexes that each part has for itself, which those of ``like`` are."""
    lock(cursor, dict.fromkeys(referenced_by(cursor, table), "SHARE ROW EXCLUSIVE"))
    cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)")
    indexes = rows(cursor, INDEXES, [like])
    own = [definition for _, definition, is_unique, _, _, is_shared in indexes if is_unique and not is_shared]
    for number, definition in enumerate(own, 1):
        columns = definition.partition(" USING ")[2]
        cursor.execute(f"CREATE UNIQUE INDEX {name}_own_{number} ON {name} USING {columns}")
    since_bound = "MINVALUE" if since is None else f"'{since.isoformat()}'"
    attach(cursor, table, name, since_bound, f"'{until.isoformat()}'")


# --- Months that are over --------------------------------------------------------------------------------------------
def old_parts(table: str, before: datetime) -> list[Part]:
    """The oldest parts whose every row is older than a moment, the oldest first, and never all parts."""
    parts = parts_of(table)
    return list(takewhile(lambda part: part.until <= before, parts[:-1]))


def drop_parts(monthly: Monthly, parts: Sequence[Part]) -> None:
    """Remove the oldest parts, with their rows; an empty one takes their place, so that no moment is without a part.

    Readers and writers of the other parts do not wait. Not to be called in a transaction. Where it is cut short,
    ``finish`` goes on.

    Raises OperationalError when a table stayed in use.
    """
    finish_detaching(monthly.table)
    for part in parts:
        with connection.cursor() as cursor:
            cursor.execute(f"COMMENT ON TABLE {part.name} IS '{TO_GO}'")
        detach(monthly.table, part.name)
    finish(monthly)


def detach(table: str, part: str) -> None:
    """Detach a part, concurrently: what is cut short by a lock that can't be had is finalized then.

    Those who still read it are waited for again and again, rather than once and for long: PostgreSQL waits for them and
    then for the tables that its keys name by the same time limit, and holds some of these while it waits for others.
    """
    patiently(lambda cursor: cursor.execute(f"LOCK TABLE {part} IN SHARE UPDATE EXCLUSIVE MODE"))  # ends autovacuum

    def go_on() -> None:
        with connection.cursor() as cursor:
            how = "FINALIZE" if (part,) in rows(cursor, PENDING, [table]) else "CONCURRENTLY"
            cursor.execute(GIVE_WAY, [len(referenced_by(cursor, part)) + 3, False])
            try:
                cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {part} {how}")
            finally:
                cursor.execute("RESET lock_timeout")

    try_while_in_use(go_on, ATTEMPTS_TO_DETACH)


def finish_detaching(table: str) -> None:
    """Finish a detach that was interrupted: PostgreSQL detaches no other partition before."""
    with connection.cursor() as cursor:
        pending = rows(cursor, PENDING, [table])
    for (part,) in pending:
        detach(table, part)


def finish(monthly: Monthly) -> None:
    """Finish an interrupted removal: detach, drop, and attach an empty oldest partition."""
    table = monthly.table
    finish_detaching(table)
    try:
        for name in left_over(table):
            drop(name)
    finally:
        first = parts_of(table)[0]
        if not first.is_oldest:
            name = free_name(oldest_name(table, first.since), left_over(table))
            patiently(lambda cursor: make_part(cursor, table, name, first.name, None, first.since))


def left_over(table: str) -> list[str]:
    """Parts that were detached to be removed, and are still there."""
    with connection.cursor() as cursor:
        return [name for (name,) in rows(cursor, LEFT_OVER, [f"{table}_", TO_GO])]


def free_name(name: str, taken: Container[str]) -> str:
    others = (f"{name}_n{number}" for number in count(2))  # its indexes are called ..._2 and so on
    return next(each for each in chain([name], others) if each not in taken)


def drop(table: str) -> None:
    """Remove a table, its foreign keys first, one by one: each keeps readers out of the table that it names."""
    with connection.cursor() as cursor:
        keys = rows(cursor, REFERENCED, [table])
    for key, referenced in keys:
        patiently(lambda cursor: drop_key(cursor, table, key, referenced))  # noqa: B023
    patiently(lambda cursor: cursor.execute(f"DROP TABLE {table}"))


def drop_key(cursor: Any, table: str, key: str, referenced: str) -> None:
    lock(cursor, dict.fromkeys([referenced, table], "ACCESS EXCLUSIVE"))
    cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {key}")


# --- Back to one table -----------------------------------------------------------------------------------------------
def merge(monthly: Monthly) -> None:
    """Put all parts into one table again. It copies every row and keeps everyone out meanwhile: a way back, no more.

    The unique indexes that each part had for itself are called ``<table>_own_1`` and so on.
    """
    if is_partitioned(monthly.table):
        patiently(lambda cursor: put_together(cursor, monthly.table))


def put_together(cursor: Any, table: str) -> None:
    whole = f"{table}_whole"
    lock_with_referenced(cursor, table, "ACCESS EXCLUSIVE")
    last = parts_of(table)[-1].name
    own = [d for _, d, is_unique, _, _, is_shared in rows(cursor, INDEXES, [last]) if is_unique and not is_shared]
    indexes = [(d, is_primary, name) for name, d, _, is_primary, _, _ in rows(cursor, INDEXES, [table])]
    keys = [(name, d) for name, d, kind in rows(cursor, CONSTRAINTS, [table]) if kind == "f"]
    triggers = [definition for _, definition in rows(cursor, TRIGGERS, [table])]
    grants = rows(cursor, GRANTS, [table])
    cursor.execute(f"CREATE TABLE {whole} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)")
    cursor.execute(f"INSERT INTO {whole} SELECT * FROM {table}")
    [(sequence,)] = rows(cursor, f"SELECT pg_get_serial_sequence('{table}', 'id')")
    if sequence is not None:
        cursor.execute(f"ALTER SEQUENCE {sequence} OWNED BY {whole}.id")
    cursor.execute(f"DROP TABLE {table}")
    cursor.execute(f"ALTER TABLE {whole} RENAME TO {table}")
    for definition, is_primary, name in indexes:
        plain = definition.replace(" ON ONLY ", " ON ", 1)
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} PRIMARY KEY (id)" if is_primary else plain)
    for number, definition in enumerate(own, 1):
        columns = definition.partition(" USING ")[2]
        cursor.execute(f"CREATE UNIQUE INDEX {table}_own_{number} ON {table} USING {columns}")
    for name, definition in keys:
        cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for definition in triggers:
        cursor.execute(definition)
    grant(cursor, table, grants)
