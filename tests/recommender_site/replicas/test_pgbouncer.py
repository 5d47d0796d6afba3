"""The site behind a real PgBouncer in transaction mode, where sessions of the server are shared by all."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from django.db import connection, connections

from accounts.services import create_api_key
from catalog.imports.store import only_import_of
from catalog.models import Listing
from jobs.leader import Leadership
from recommendations.listings.index import drop_index
from recommendations.models import Preference
from recommendations.serving.lists import ListRequest, recommend
from recommendations.serving.similar import similar_listings
from recommender_site.local.home import Home
from tests.factories import BuyerFactory
from tests.markets import view
from tests.recommendations.api.conftest import client_with
from tests.standby import wait_until
from web.postgres.pooling import SessionNeeded
from web.servers import connection_parameters

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed (Debian: pgbouncer)"),
]
PORT = "6432"
CONFIGURATION = """
[databases]
* = host={run} port=5432 user=postgres
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {own}
auth_type = any
pool_mode = transaction
default_pool_size = 2
logfile = {own}/pgbouncer.log
pidfile = {own}/pgbouncer.pid
"""


@pytest.fixture(scope="module")
def pooler(market) -> Iterator[Path]:
    """The folder of its socket. Two sessions of the server for all."""
    home = Home("test")
    if Path(str(connection_parameters()["host"])) != home.run:
        pytest.skip("the tests run on a server of their own")
    own = home.run / "pooler"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir(mode=0o700)
    configuration = own / "pgbouncer.ini"
    configuration.write_text(
        CONFIGURATION.format(run=home.run, own=own, port=PORT).replace("* = host", "* = user=postgres host")
    )
    home.hand_over(own)
    process = subprocess.Popen([str(PGBOUNCER), "-q", str(configuration)], cwd="/", **home.process_options())
    try:
        wait_until((own / f".s.PGSQL.{PORT}").exists)
        yield own
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(own, ignore_errors=True)


@pytest.fixture
def behind(pooler, settings) -> Iterator[None]:
    """This process is connected through it, as the settings would have it."""
    here, options = dict(connection.settings_dict), dict(connection.settings_dict["OPTIONS"])
    settings.DATABASE_BEHIND_PGBOUNCER = True
    move({"HOST": str(pooler), "PORT": PORT, "DISABLE_SERVER_SIDE_CURSORS": True,
          "OPTIONS": {name: value for name, value in options.items() if name != "options"}})  # fmt: skip
    yield
    move(here)


def move(parts: dict) -> None:
    connection.close()
    connection.close_pool()
    connection.settings_dict.update(parts)
    drop_index()


def ask_directly(statement: str) -> list[tuple]:
    with psycopg.connect(**{**connection_parameters(), "host": str(Home("test").run), "port": 5432}) as server:
        return server.execute(statement).fetchall()  # type: ignore[arg-type]


def answers(market, buyer, reader) -> dict[str, object]:
    drop_index()
    searched = reader.get("/api/v1/cars/search", {"brand": "bmw", "facets": "true", "page_size": 7}).json()
    return {
        "list": [item.listing.pk for item in recommend(ListRequest(buyer=buyer, k=10)).items],
        "similar": [item.listing.pk for item in similar_listings(market.bmws[3], 8)],
        "search": (searched["count"], [car["id"] for car in searched["listings"]], searched["facets"]),
    }


@pytest.fixture(params=["in memory", "by the index of pgvector"])
def way(request, settings) -> str:
    if request.param != "in memory":
        settings.WINDOW_MAX_LISTINGS, settings.EXACT_SCAN_MAX_ROWS = 5, 0
    return request.param


def test_lists_and_searches_are_those_of_a_direct_connection(market, way, request):
    buyer = BuyerFactory()
    reader = client_with(x_api_key=create_api_key(name="r", scopes=["read"], created_by=None)[1])
    view(buyer, *market.bmws[:3])
    directly = answers(market, buyer, reader)
    request.getfixturevalue("behind")
    unset = connection.cursor().execute("SELECT current_setting('hnsw.iterative_scan', true)").fetchone()
    assert unset in [(None,), ("",), ("off",)]
    assert answers(market, buyer, reader) == directly


def test_many_threads_on_two_sessions_leave_nothing_behind(market, behind):
    def live(n: int) -> int:
        try:
            buyer = BuyerFactory()
            for round_number in range(2):
                view(buyer, market.bmws[n], market.skodas[round_number])
                assert recommend(ListRequest(buyer=buyer, k=5)).n_events == 2 * (round_number + 1)
            return Preference.objects.get(buyer=buyer).n_interactions
        finally:
            connections.close_all()

    temporary = "SELECT oid FROM pg_class WHERE relpersistence = 't' ORDER BY oid"
    before = ask_directly(temporary)  # of connections that other tests hold
    with ThreadPoolExecutor(5) as threads:
        assert set(threads.map(live, range(8))) == {4}
    assert ask_directly("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    assert ask_directly(temporary) == before
    assert len(list(Listing.objects.iterator(chunk_size=3))) == Listing.objects.count()


def test_a_client_writes_its_stock(market, behind):
    shop = client_with(x_api_key=create_api_key(name="s", scopes=["ingest"], created_by=None, source="s")[1])
    car = {"external_id": "7", "make": "Skoda", "model": "Octavia", "year": 2019, "price": 9000}
    for price in (9000, 8000):
        answer = shop.post("/api/v1/listings", {"listings": [car | {"price": price}]})
        assert answer.status_code in (200, 201), answer.content
        assert Listing.objects.get(source="s", external_id="7").price == price


def test_what_needs_a_session_is_refused_by_name(behind):
    with pytest.raises(SessionNeeded, match="beat needs a connection to PostgreSQL itself"):
        Leadership().is_held()
    with pytest.raises(SessionNeeded, match="an import needs a connection"), only_import_of("s", is_needed=True):
        pass
