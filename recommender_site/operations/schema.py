"""What PostgreSQL's catalogue says of the tables in use: columns, partitions, sequences, keys and indexes.

Every function takes a cursor of psycopg or Django, and looks at the schema that a table made now would be in.
"""

from __future__ import annotations

from typing import Any

MIGRATIONS = "django_migrations"

ORDINARY = "c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'"
OF_AN_EXTENSION = "EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')"

COLUMNS = f"""
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE {ORDINARY} AND NOT {OF_AN_EXTENSION} GROUP BY c.relname ORDER BY c.relname
"""  # noqa: S608 (constants of ours)

PARTITIONS = """
SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid JOIN pg_class p ON p.oid = i.inhparent
WHERE c.relnamespace = current_schema()::regnamespace AND c.relispartition AND c.relkind IN ('r', 'p')
ORDER BY c.oid
"""

PARTITIONED = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'p'"

INDEXES = f"""
SELECT i.relname, pg_get_indexdef(x.indexrelid)
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
WHERE {ORDINARY} AND c.relispartition = %s AND x.indisvalid AND NOT i.relispartition
AND NOT EXISTS (
    SELECT FROM pg_constraint k WHERE k.conindid = x.indexrelid AND k.conrelid = x.indrelid
    AND NOT (c.relispartition AND k.contype = 'u')
)
ORDER BY x.indexrelid
"""  # noqa: S608

FOREIGN_KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace AND contype = 'f' AND conparentid = 0 ORDER BY oid
"""

TRIGGERED = """
SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal AND t.tgparentid = 0
"""

SEQUENCES = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = current_schema() ORDER BY 1"

INVALID_INDEXES = """
SELECT x.indexrelid::regclass::text FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid
WHERE c.relnamespace = current_schema()::regnamespace AND NOT x.indisvalid AND c.relkind = 'r'
"""


def rows(cursor: Any, query: str, parameters: list[Any] | None = None) -> list[tuple[Any, ...]]:
    cursor.execute(query, parameters)
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def columns_by_table(cursor: Any) -> dict[str, list[str]]:
    """Every table that holds rows of its own, partitions included, and its columns without the computed ones."""
    return {name: list(columns) for name, columns in rows(cursor, COLUMNS)}


def partitions(cursor: Any) -> list[dict[str, str]]:
    """Every partition: its name, the table it is part of, and its bounds as SQL; parents before their parts."""
    return [{"name": name, "parent": parent, "bounds": bounds} for name, parent, bounds in rows(cursor, PARTITIONS)]


def partitioned_tables(cursor: Any) -> set[str]:
    """Tables that have parts, or can have them."""
    return {name for (name,) in rows(cursor, PARTITIONED)}


def own_indexes(cursor: Any, *, of_partitions: bool) -> dict[str, str]:
    """Indexes that belong to no key and no partitioned index, by name, as SQL.

    Of partitions, also those of unique constraints: the partitioned table that they are made from need not have them.
    """
    return dict(rows(cursor, INDEXES, [of_partitions]))


def sequences(cursor: Any) -> dict[str, int]:
    """Those that have given a number, and the last one given."""
    return {name: value for name, value in rows(cursor, SEQUENCES) if value is not None}
