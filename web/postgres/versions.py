"""Which PostgreSQL and pgvector the site may stand on; no lower ones are started on."""

from __future__ import annotations

from typing import Any

OLDEST_POSTGRES = 15  # MERGE, NULLS NOT DISTINCT and the planner that the queries were measured with
OLDEST_VECTOR = (0, 8, 4)

VECTOR_VERSION = """
SELECT coalesce((SELECT extversion FROM pg_extension WHERE extname = 'vector'),
                (SELECT default_version FROM pg_available_extensions WHERE name = 'vector'))
"""


def server_problem(cursor: Any) -> str:
    """Why the server behind a cursor may not be used, or nothing."""
    cursor.execute("SHOW server_version_num")
    return postgres_problem(int(cursor.fetchone()[0])) or vector_problem(vector_version(cursor))


def vector_version(cursor: Any) -> tuple[int, ...]:
    """The version of pgvector that is installed, or available before the first migration; empty if there is none."""
    cursor.execute(VECTOR_VERSION)
    [version] = cursor.fetchone()
    return tuple(int(part) for part in version.split(".")) if version else ()


def postgres_problem(server_version: int) -> str:
    """Why this release does not run on a server of that number (180004 for 18.4), or nothing."""
    if server_version // 10_000 < OLDEST_POSTGRES:
        return f"PostgreSQL {server_version // 10_000} is older than {OLDEST_POSTGRES}"
    return ""


def vector_problem(version: tuple[int, ...]) -> str:
    """Why pgvector of that version may not be used, or nothing. An empty version: the server has none."""
    if not version:
        return "the server has no pgvector: its package is not installed"
    if version < OLDEST_VECTOR:
        found, needed = (".".join(map(str, each)) for each in (version, OLDEST_VECTOR))
        return (
            f"pgvector {found} is older than {needed}: before it an HNSW index could be corrupted by inserts during a "
            "vacuum, and lists would silently lose cars"
        )
    return ""
