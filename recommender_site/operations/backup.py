"""A copy of the database as of one moment, while the site goes on.

By COPY inside one transaction (REPEATABLE READ, read only), and not by pg_dump: the image holds no PostgreSQL programs,
pg_dump refuses servers that are newer than itself, and migrations make the tables anyway, so that a backup can be
restored into another major version of PostgreSQL, and by a later release of ours. What migrations do not make is
described in the manifest: partitions, their indexes, and the numbers that sequences have reached.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings
from django.utils import timezone
from psycopg import Connection, Cursor, IsolationLevel, sql
from psycopg.errors import UndefinedTable

from recommender_site.operations import archive, schema
from web.postgres.versions import vector_version
from web.servers import connection_parameters

ATTEMPTS = 10  # to list the tables, and to lock them before one of them is replaced


def back_up(path: str, passphrase: str = "") -> archive.Contents:
    """Write everything the database holds to a file, or to the standard output (``-``); what was written.

    Raises:
        OSError: If the file cannot be written; none is left then.
        psycopg.Error: If the database fails.
    """
    with psycopg.connect(**connection_parameters()) as connection:
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.cursor() as cursor:
            tables = lock_tables(connection, cursor)  # from here on nothing changes for us
            with archive.create(path, passphrase) as writer:
                writer.add_manifest(describe(cursor, tables))
                for table, columns in tables.items():
                    if table != schema.MIGRATIONS:  # the manifest names them, and migrating writes them anew
                        writer.add_table(table, rows_of(cursor, table, columns))
    return writer.contents


def lock_tables(connection: Connection[Any], cursor: Cursor[Any]) -> dict[str, list[str]]:
    """The columns of all tables, none of which is removed or replaced until the end of the transaction.

    A lock does not make the moment the transaction sees, the first look after it does: the tables are listed, locked
    in a new transaction, and listed again.
    """
    for _ in range(ATTEMPTS):
        listed = schema.columns_by_table(cursor)
        connection.rollback()
        names = sql.SQL(", ").join(map(sql.Identifier, listed))
        try:
            if listed:
                cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(names))
            tables = schema.columns_by_table(cursor)
        except UndefinedTable:
            connection.rollback()
            continue
        if tables.keys() == listed.keys():
            return tables
        connection.rollback()
    raise psycopg.OperationalError("tables are made and removed all the time: try again later")


def describe(cursor: Cursor[Any], tables: dict[str, list[str]]) -> dict[str, Any]:
    """All that is needed to make tables that the rows fit into."""
    return {
        "release": settings.SPECTACULAR_SETTINGS["VERSION"],
        "taken_at": timezone.now().isoformat(),
        "postgresql": cursor.connection.info.server_version,
        "pgvector": ".".join(map(str, vector_version(cursor))),
        "migrations": sorted(schema.rows(cursor, "SELECT app, name FROM django_migrations")),
        "tables": {name: columns for name, columns in tables.items() if name != schema.MIGRATIONS},
        "partitions": schema.partitions(cursor),
        "partition_indexes": schema.own_indexes(cursor, of_partitions=True),
        "sequences": schema.sequences(cursor),
    }


def rows_of(cursor: Cursor[Any], table: str, columns: list[str]) -> Iterator[Any]:
    """The lines of a table in COPY's text format, one at a time, as bytes."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(sql.Identifier(table), names)
    with cursor.copy(statement) as copy:
        yield from copy
