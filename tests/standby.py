"""A real streaming replica of the test server, which this process reads from as a web process does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db import connections

from benchmarks.standby import Standby
from recommender_site.local.home import Home
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
