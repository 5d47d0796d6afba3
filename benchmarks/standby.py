"""A real streaming replica of an embedded server, of the same binaries; its replay can be paused, its server killed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import LiteralString

import psycopg
from psycopg import sql

from benchmarks.site import wait_until
from recommender_site.local.home import Home
from recommender_site.local.servers import Postgres

PATIENCE_SECONDS = 30.0


class Standby(Postgres):
    """A copy of the server of ``home`` that follows it, on a port of its own in the same directory of sockets."""

    label = "Replica"

    def __init__(self, home: Home, port: int) -> None:
        super().__init__(home)
        self.port = port
        self.data = home.base / f"replica-{port}"
        self.socket_path = home.run / f".s.PGSQL.{port}"

    def prepare(self) -> None:
        """Copy the running server, unless there is a copy; ``-R`` writes down where to stream from."""
        if not self.data.exists():
            self.data.mkdir(mode=0o700)
            self.home.hand_over(self.data)
            source = ("-h", str(self.home.run), "-p", "5432", "-U", "postgres")
            self._run("pg_basebackup", *source, "-D", str(self.data), "-X", "stream", "-R", "-c", "fast", "--no-sync")
        for stale in (self.data / "postmaster.pid", *self.home.run.glob(f".s.PGSQL.{self.port}*")):
            stale.unlink(missing_ok=True)

    def _create_database(self) -> None:
        """It has those of the primary."""

    def command(self) -> list[str]:
        here = {"port=5432": f"port={self.port}", "shared_buffers=256MB": "shared_buffers=32MB"}
        return [here.get(word, word) for word in super().command()]

    def is_ready(self) -> bool:
        with suppress(psycopg.Error):
            self.ask("SELECT 1")
            return True
        return False

    @property
    def url(self) -> str:
        return super().url.replace(":5432/", f":{self.port}/")

    def ask(self, statement: LiteralString | sql.Composed) -> object:
        """What the replica answers: the first value of the first row."""
        return self._ask_at(self.port, statement)

    def _ask_at(self, port: int, statement: LiteralString | sql.Composed) -> object:
        sockets = str(self.home.run)
        with psycopg.connect(host=sockets, port=port, user="postgres", dbname="postgres", autocommit=True) as server:
            row = server.execute(statement).fetchone()
        return row and row[0]

    def signal_all(self, number: int) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        self.signal_all(signal.SIGKILL)
        _wait_until(lambda: not self.processes())

    def remove(self) -> None:
        """It and its data, of an earlier session too."""
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def catch_up(self) -> None:
        """Wait until it has all that the primary has."""
        position = self._ask_at(5432, "SELECT pg_current_wal_insert_lsn()")
        self._ask_at(5432, "SELECT pg_logical_emit_message(false, 'forecourt', 'standby', true)")
        behind = sql.SQL("SELECT pg_last_wal_replay_lsn() < {}").format(position)
        _wait_until(lambda: not self.ask(behind))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It keeps what it has, and hears of nothing more."""
        self.catch_up()
        self.ask("SELECT pg_wal_replay_pause()")
        _wait_until(lambda: self.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")
        try:
            yield
        finally:
            self.ask("SELECT pg_wal_replay_resume()")


def _wait_until(condition: Callable[[], bool]) -> None:
    wait_until(condition, PATIENCE_SECONDS, "the replica does not follow")
