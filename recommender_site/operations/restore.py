"""A backup put into an empty database: the tables as they were then, the rows, and then the migrations of today.

The rows go in within one transaction, with foreign keys, secondary indexes and triggers away: each index is then built
once rather than row by row, and each key is checked by one join. A database that a restore has failed on holds tables
and none of the rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from recommendations.upkeep import months as kept
from recommender_site.operations import archive, schema
from web.postgres import months

Migration = tuple[str, str]


class RestoreRefused(ValueError):
    """The backup does not belong into this database, or is not for this release; the message says why."""


def restore(path: str, passphrase: str = "") -> archive.Contents:
    """Put a backup into the empty database of DATABASE_URL; what it held.

    Raises:
        RestoreRefused: If the database holds tables already, or the backup comes from a later release.
        archive.BackupRefused: If the file is damaged, encrypted with another passphrase, or no backup.
    """
    with archive.read(path, passphrase) as reader:
        refuse_unless_empty()
        migrate_as_then(reader.manifest["migrations"])
        with transaction.atomic():
            contents = fill(reader)
    call_command("migrate", interactive=False, verbosity=0)  # what has come since, and what follows every migration
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # or the first queries would be planned for empty tables
    return contents


def check(path: str, passphrase: str = "") -> archive.Contents:
    """Read a whole backup without a database; raises BackupRefused where it could not be restored."""
    contents = archive.Contents()
    with archive.read(path, passphrase) as reader:
        for table, rows in reader.parts():
            contents.n_rows[table] = contents.n_rows.get(table, 0) + rows.count(b"\n")
    return contents


def refuse_unless_empty() -> None:
    with connection.cursor() as cursor:
        if schema.columns_by_table(cursor):
            raise RestoreRefused(
                "the database is not empty, and nothing is overwritten: create another one, and name it in DATABASE_URL"
            )


def migrate_as_then(migrations: list[list[str]]) -> None:
    """Make the tables as the release that made the backup had them."""
    executor = MigrationExecutor(connection)
    executor.migrate(last_of_each_app(executor.loader.graph, {(app, name) for app, name in migrations}))


def last_of_each_app(graph: Any, applied: set[Migration]) -> list[Migration]:
    """The migrations that no other applied one of the same app follows. Raises RestoreRefused on one we do not know."""
    if unknown := sorted(applied - set(graph.nodes)):
        raise RestoreRefused(
            f"the backup comes from a release with the migration {'.'.join(unknown[0])}, which this one does not have: "
            "restore it with that release or a later one"
        )
    return sorted(
        each for each in applied if not any(child in applied and child[0] == each[0] for child in children(graph, each))
    )


def children(graph: Any, migration: Migration) -> list[Migration]:
    return [node.key for node in graph.node_map[migration].children]


def fill(reader: archive.Reader) -> archive.Contents:
    """The rows of a backup, into tables that migrations have just made.

    A table that neither a migration nor a partition makes is none of ours, or the rest of a ranker version whose
    removal was cut short. It is left out: one of them must not keep all the others from being restored.
    """
    manifest, contents = reader.manifest, archive.Contents()
    with connection.cursor() as cursor:
        make_partitions(cursor, manifest["partitions"])
        with bare_tables(cursor):
            empty_tables(cursor)
            ours = {*schema.columns_by_table(cursor), *schema.partitioned_tables(cursor)}
            for table, rows in reader.parts():
                if table not in ours:
                    contents.left_out.add(table)
                    continue
                put(cursor, table, manifest["tables"][table], rows)
                contents.n_rows[table] = contents.n_rows.get(table, 0) + rows.count(b"\n")
        for statement in manifest["partition_indexes"].values():
            cursor.execute(statement)
        for sequence, value in manifest["sequences"].items():
            cursor.execute("SELECT setval(to_regclass(quote_ident(%s)), %s)", [sequence, value])
    note_keys(manifest["tables"])
    return contents


def note_keys(tables: Collection[str]) -> None:
    """Of the rows of tables that were not kept by month yet, and are now: not all of them had their keys."""
    for monthly in kept.WITH_KEYS:
        if monthly.table in tables and months.is_partitioned(monthly.table):
            kept.note_keys(monthly)


def make_partitions(cursor: Any, partitions: list[dict[str, str]]) -> None:
    """Exactly those of the backup: bounds of others could overlap with theirs."""
    parents = {each["parent"] for each in partitions}
    for each in reversed(schema.partitions(cursor)):
        if each["parent"] not in parents:  # it was one table then: its rows go into the parts that there are
            continue
        cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(each["name"])))
    for each in partitions:
        statement = sql.SQL("CREATE TABLE {} PARTITION OF {} {}")
        name, parent = sql.Identifier(each["name"]), sql.Identifier(each["parent"])
        cursor.execute(statement.format(name, parent, sql.SQL(each["bounds"])))


@contextmanager
def bare_tables(cursor: Any) -> Iterator[None]:
    """Tables without foreign keys, secondary indexes and active triggers, until the block ends."""
    keys = schema.rows(cursor, schema.FOREIGN_KEYS)
    indexes = schema.own_indexes(cursor, of_partitions=False)
    triggered = [table for (table,) in schema.rows(cursor, schema.TRIGGERED)]
    for table, name, _ in keys:
        cursor.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(sql.SQL(table), sql.Identifier(name)))
    for name in indexes:
        cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
    for table in triggered:
        cursor.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(sql.SQL(table)))
    yield
    for table in triggered:
        cursor.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(sql.SQL(table)))
    for index in indexes.values():
        cursor.execute(index)
    for table, name, definition in keys:
        statement = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}")
        cursor.execute(statement.format(sql.SQL(table), sql.Identifier(name), sql.SQL(definition)))


def empty_tables(cursor: Any) -> None:
    """Of the rows that migrations put in: the backup has those too, as they had become."""
    names = [sql.Identifier(name) for name in schema.columns_by_table(cursor) if name != schema.MIGRATIONS]
    cursor.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(names)))


def put(cursor: Any, table: str, columns: list[str], rows: bytes) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), names)) as copy:
        copy.write(rows)
