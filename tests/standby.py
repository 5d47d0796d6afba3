"""A real streaming replica of the test server, of the same binaries; its replay can be paused, its server killed."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from django.db import connections

from recommender_site.local.home import Home
from recommender_site.local.servers import Postgres
from tests.markets import Market, trained_market
from tests.migrated_rows import put_back
from web.outage import DatabaseWatch
from web.replicas import PRIMARY_QUESTION, forget_replicas, watch_replicas, watched
from web.servers import connection_parameters

ALIAS = "replica1"
WORKERS = ("main", *(f"gw{n}" for n in range(64)))  # each has a replica, on a port of its own
PATIENCE_SECONDS = 30.0


def wait_until(condition: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


class Standby(Postgres):
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

    def ask(self, statement: str) -> object:
        parameters = {**connection_parameters(), "port": self.port, "autocommit": True}
        with psycopg.connect(**parameters) as server:
            row = server.execute(statement).fetchone()  # type: ignore[arg-type]
        return row and row[0]

    def signal_all(self, number: int) -> None:
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        self.signal_all(signal.SIGKILL)
        wait_until(lambda: not self.processes())

    def remove(self) -> None:
        """It and its data, of an earlier session too."""
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

    def catch_up(self) -> None:
        """Wait until it has all that the primary has."""
        with psycopg.connect(**{**connection_parameters(), "autocommit": True}) as primary:
            [position] = primary.execute("SELECT pg_current_wal_insert_lsn()").fetchone()  # type: ignore[misc]
            primary.execute("SELECT pg_logical_emit_message(false, 'forecourt', 'tests', true)")
        wait_until(lambda: bool(self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{position}'")))

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It keeps what it has, and hears of nothing more."""
        self.catch_up()
        self.ask("SELECT pg_wal_replay_pause()")
        wait_until(lambda: self.ask("SELECT pg_get_wal_replay_pause_state()") == "paused")
        try:
            yield
        finally:
            self.ask("SELECT pg_wal_replay_resume()")


@pytest.fixture(scope="module")
def standby(django_db_setup: None) -> Iterator[Standby]:
    """The server alone; ``replica`` has this process read from it."""
    home = Home("test")
    if Path(str(connection_parameters()["host"])) != home.run:
        pytest.skip("the tests run on a server of their own, of which no replica is made")
    port = 5433 + WORKERS.index(os.environ.get("PYTEST_XDIST_WORKER", "main"))
    server = Standby(home, port)
    server.remove()
    databases = connections.databases
    databases[ALIAS] = {**databases["default"], "PORT": str(port)}
    try:
        server.start()
        yield server
    finally:
        server.remove()
        del databases[ALIAS]
        with suppress(AttributeError):
            del connections[ALIAS]


@pytest.fixture(scope="module")
def market(django_db_setup: None, django_db_blocker) -> Iterator[Market]:
    """One for all tests of a module, which write for good; the rows that migrations made are put back at its end."""
    with django_db_blocker.unblock():
        yield trained_market()
        put_back()


@pytest.fixture
def replica(standby: Standby, market: Market) -> Iterator[Standby]:
    """Watched by this process as by a web process, and well."""
    positions, primary = watch_replicas(connection_parameters), DatabaseWatch("primary")
    primary.start(connection_parameters, PRIMARY_QUESTION, positions.hear)
    standby.catch_up()
    wait_until(is_well)
    yield standby
    forget_replicas()
    primary.end()
    connections[ALIAS].close()
    connections[ALIAS].close_pool()


def is_well() -> bool:
    return not watched()[0].why_left_out()
