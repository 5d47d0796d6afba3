"""The database backend for Django; ``web.outage`` knows whether the server is away."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db.backends.base.base import NO_DB_ALIAS
from django_prometheus.db.backends.postgresql import base
from psycopg import Connection
from psycopg_pool import ConnectionPool

from web.outage import DatabaseWatch, database_watch, watch_of


class WatchedPool(ConnectionPool):
    """A pool whose callers stop waiting as soon as the server is known to be away, and keep their place until then."""

    watch: DatabaseWatch = database_watch

    def getconn(self, timeout: float | None = None) -> Any:
        self.watch.refuse_if_away()
        return super().getconn(timeout)

    def refuse_waiting(self, error: Exception) -> None:
        """Raise ``error`` in every thread that waits for a connection."""
        with self._lock:
            waiting = list(self._waiting)
        for client in waiting:
            client.fail(error)


class SchemaEditor(base.DatabaseWrapper.SchemaEditorClass):
    """Changes of the schema that give up rather than have the site wait.

    A statement that waits for a lock makes every later reader of that table wait behind it. So a migration in a
    transaction waits for MIGRATION_LOCK_SECONDS only, and each of its statements may take MIGRATION_STATEMENT_SECONDS.
    Migrations that are not atomic build indexes concurrently: those wait for hours without harm.
    """

    def __enter__(self) -> Self:
        editor: Self = super().__enter__()
        if self.atomic_migration and not self.collect_sql:
            with self.connection.cursor() as cursor:
                for name, seconds in LIMITS.items():
                    cursor.execute(f"SET LOCAL {name} = '{getattr(settings, seconds)}s'")
        return editor


LIMITS = {"lock_timeout": "MIGRATION_LOCK_SECONDS", "statement_timeout": "MIGRATION_STATEMENT_SECONDS"}


class DatabaseWrapper(base.DatabaseWrapper):
    SchemaEditorClass = SchemaEditor

    @property
    def pool(self) -> ConnectionPool | None:
        """As Django's own, of another class."""
        options = self.settings_dict["OPTIONS"].get("pool")
        is_missing = self.alias != NO_DB_ALIAS and self.alias not in self._connection_pools
        if options and is_missing and not self.settings_dict.get("CONN_MAX_AGE"):
            pool = WatchedPool(
                kwargs={**self.get_connection_params(), "autocommit": True},
                open=False,
                configure=self._configure_connection,  # type: ignore[arg-type]
                check=ConnectionPool.check_connection if self.settings_dict["CONN_HEALTH_CHECKS"] else None,
                **(options if isinstance(options, dict) else {}),
            )
            pool.watch = self.watch
            self.watch.add_pool(self._connection_pools.setdefault(self.alias, pool))
        pool_in_use: ConnectionPool | None = super().pool
        return pool_in_use

    @property
    def watch(self) -> DatabaseWatch:
        return watch_of(self.alias)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        self.watch.refuse_if_away()
        connection: Connection = super().get_new_connection(conn_params)
        self.watch.add(connection)
        return connection

    def _configure_connection(self, connection: Connection) -> bool:
        """Noted before its first use: the check of a pool may be what hangs."""
        self.watch.add(connection)
        return bool(super()._configure_connection(connection))
