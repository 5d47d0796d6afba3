"""Statements that the server plans once for each connection rather than each time.

Planning looks at every part of a table that is kept by month, so that a large statement would be planned for longer
than it runs. Django's cursors put values into the text, which the server then takes for another statement; these send
them beside it. Behind PgBouncer nothing is prepared: the next transaction may have another session.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from psycopg import Cursor
from psycopg.types.numeric import Int8

from web.postgres.pooling import keeps_session


class PreparingCursor(Cursor[Any]):
    """Prepares what it executes, the first time that its connection is asked."""

    def execute(self, query: Any, params: Any = None, **how: Any) -> PreparingCursor:
        connection = self.connection
        kept, connection.prepare_threshold = connection.prepare_threshold, 0 if keeps_session() else None
        try:
            return super().execute(query, params, **how)
        finally:
            connection.prepare_threshold = kept


@contextmanager
def preparing_cursor(database: BaseDatabaseWrapper) -> Iterator[CursorWrapper]:
    """As ``database.cursor()``: its statements are counted, watched and refused alike."""
    database.ensure_connection()
    wrapped: CursorWrapper = database._prepare_cursor(PreparingCursor(database.connection))  # type: ignore[attr-defined]
    with wrapped as cursor:
        yield cursor


def sized(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Integers as of eight bytes: otherwise a small and a large one would make two statements."""
    return {name: _sized(value) for name, value in parameters.items()}


def _sized(value: Any) -> Any:
    if isinstance(value, list):
        return [_sized(each) for each in value]
    return Int8(value) if type(value) is int else value
