"""What Django looks for in an engine; ``web.outage`` knows whether the server is away."""

from __future__ import annotations

import time
from typing import Any

from django.db.backends.base.base import NO_DB_ALIAS
from django_prometheus.db.backends.postgresql import base
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolTimeout

from web.outage import database_watch

TURN_SECONDS = 0.2  # between two looks at whether the server is away, while waiting for a connection


class WatchedPool(ConnectionPool):
    """A pool whose callers stop waiting as soon as the server is known to be away."""

    def getconn(self, timeout: float | None = None) -> Any:
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            database_watch.refuse_if_away()
            try:
                return super().getconn(timeout=max(min(TURN_SECONDS, deadline - time.monotonic()), 0.001))
            except PoolTimeout:
                if time.monotonic() >= deadline:
                    raise


class DatabaseWrapper(base.DatabaseWrapper):
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
            self._connection_pools.setdefault(self.alias, pool)
        return super().pool

    def get_new_connection(self, conn_params: dict[str, Any]) -> Connection:
        database_watch.refuse_if_away()
        connection: Connection = super().get_new_connection(conn_params)
        database_watch.add(connection)
        return connection

    def _configure_connection(self, connection: Connection) -> bool:
        """Noted before its first use: the check of a pool may be what hangs."""
        database_watch.add(connection)
        return bool(super()._configure_connection(connection))
