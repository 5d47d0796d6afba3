"""PgBouncer in transaction mode: a connection is another server session in each transaction.

So nothing may be left in a session from one transaction to the next: settings go along with their transaction, and what
cannot do without a session (a lock held over transactions, temporary tables) is refused rather than done wrong. With
``DATABASE_BEHIND_PGBOUNCER`` connections ask for no settings of their own and cursors are not kept on the server;
psycopg prepares no statements in Django unless it is asked to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.backends.utils import CursorWrapper


class SessionNeeded(RuntimeError):
    """Something that needs a connection to PostgreSQL itself runs behind PgBouncer; the message says what to do."""


def keeps_session() -> bool:
    """Whether a connection is one session of the server for as long as it is open."""
    return not settings.DATABASE_BEHIND_PGBOUNCER


def need_session(what: str) -> None:
    if not keeps_session():
        raise SessionNeeded(
            f"{what} needs a connection to PostgreSQL itself: give workers, beat and commands a DATABASE_URL that does "
            "not lead through PgBouncer, and DATABASE_BEHIND_PGBOUNCER=False"
        )


@contextmanager
def cursor_with_settings(database: Any) -> Iterator[CursorWrapper]:
    """A cursor whose statements run with ``SESSION_SETTINGS``, which otherwise every connection has."""
    if keeps_session():
        with database.cursor() as cursor:
            yield cursor
        return
    with transaction.atomic(using=database.alias), database.cursor() as cursor:
        for name, value in settings.SESSION_SETTINGS.items():
            cursor.execute("SELECT set_config(%s, %s, true)", [name, value])
        yield cursor
