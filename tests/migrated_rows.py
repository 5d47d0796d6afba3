"""Fixtures for conftest: tests that commit leave the rows that migrations made in place, in whatever order tests run.

Django flushes every table after a test that commits, and what migrations had put there (kinds of events, placements,
schedules, roles) was gone for the tests after it, and for the next session with ``--reuse-db``. Here those rows are
copied once, beside the tables, and every such test ends by putting them back.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase
from psycopg import sql

SCHEMA = "migrated"  # of the copies
MIGRATIONS = "django_migrations"
PARTITIONS = r"^recommendations_listingvector_v\d+$"


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker) -> None:
    with django_db_blocker.unblock():
        if not is_copied():
            copy_rows()
        put_back()  # a session that was killed may have left rows of its own


@pytest.fixture(autouse=True, scope="session")
def _tests_that_commit_put_rows_back() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: put_back())
    yield
    patch.undo()


def is_copied() -> bool:
    """Whether there are copies, made after the last migration."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [f"{SCHEMA}.{MIGRATIONS}"])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(
            "SELECT (SELECT max(id) FROM migrated.django_migrations) = (SELECT max(id) FROM public.django_migrations)"
        )
        return bool(cursor.fetchone()[0])


@transaction.atomic
def copy_rows() -> None:
    """Copy every table that holds rows; to be called right after migrations."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        cursor.execute(f"CREATE SCHEMA {SCHEMA}")
        for table in (*tables(), MIGRATIONS):
            name = sql.Identifier(table)
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM public.{})").format(name))
            if cursor.fetchone()[0]:
                copy = sql.SQL("CREATE TABLE {}.{} AS TABLE public.{}")
                cursor.execute(copy.format(sql.Identifier(SCHEMA), name, name))


@transaction.atomic
def put_back() -> None:
    """Empty every table that holds rows and put the copies in. Foreign keys are checked at the commit, so in any order.

    Rows are deleted rather than tables truncated: a test leaves few of them, and truncating makes new files for every
    table, index and month.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relname ~ %s", [PARTITIONS])
        for (partition,) in cursor.fetchall():  # of versions that a test committed, whose rows go below
            cursor.execute(f"DROP TABLE {partition}")
        for table in filled(cursor):
            cursor.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [SCHEMA])
        for (table,) in cursor.fetchall():
            if table != MIGRATIONS:
                insert = sql.SQL("INSERT INTO public.{0} ({1}) SELECT {1} FROM {2}.{0}")
                cursor.execute(insert.format(sql.Identifier(table), columns(table), sql.Identifier(SCHEMA)))


def filled(cursor: CursorWrapper) -> list[str]:
    """The tables that hold rows."""
    look = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
    cursor.execute(sql.SQL(" UNION ALL ").join(look.format(table, sql.Identifier(table)) for table in tables()))
    return [table for (table,) in cursor.fetchall()]


def tables() -> list[str]:
    return sorted(connection.introspection.django_table_names(only_existing=True, include_views=False))


def columns(table: str) -> sql.Composed:
    """Those that can be written: all but generated ones."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'",
            [table],
        )
        return sql.SQL(", ").join(sql.Identifier(name) for (name,) in cursor.fetchall())
