"""What the short way does with connections to the database; its answers are tested beside those of the usual way."""

import io
import json

import psycopg
import pytest
from django.db import connection

from recommender_site.http import fast_lane


@pytest.fixture(autouse=True)
def _in_demo_mode(settings):
    """Where the routes of the earlier systems are open; with keys they are tested in test_closed.py."""
    settings.DEMO_MODE = True


@pytest.fixture
def in_a_process_that_keeps(monkeypatch, transactional_db, settings):
    monkeypatch.setattr(fast_lane, "_keeps_connections", False)
    monkeypatch.setattr("recommendations.feed.lists.ensure_fitted", lambda *fitted: None)  # no thread beside
    settings.DATABASE_POOL_SIZE, settings.WEB_THREADS = 8, 4
    fast_lane.keep_connections()


def ask(path: str) -> tuple[int, dict]:
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "RAW_URI": path, "wsgi.input": io.BytesIO()}
    started: list[str] = []
    chunks = fast_lane.with_fast_lane(lambda *_: [])(environ, lambda status, headers: started.append(status))
    return int(started[0].split()[0]), json.loads(b"".join(chunks))


def end_from_outside(driver: psycopg.Connection) -> None:
    """What a restart of the server does to a connection that lies idle."""
    parameters = {**connection.get_connection_params(), "autocommit": True}
    parameters.pop("pool", None)
    with psycopg.connect(**parameters) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [driver.info.backend_pid]).fetchone() == (True,)


@pytest.mark.usefixtures("in_a_process_that_keeps")
def test_a_thread_keeps_its_connection_for_its_next_question():
    ask("/recs/u")
    kept = connection.connection
    assert kept is not None
    ask("/recs/u")
    assert connection.connection is kept


@pytest.mark.usefixtures("in_a_process_that_keeps")
def test_a_connection_that_the_server_ended_costs_no_question():
    ask("/recs/u")
    kept = connection.connection
    end_from_outside(kept)
    assert ask("/recs/u") == (200, {"item_ids": []})
    assert connection.connection is not kept


@pytest.mark.usefixtures("in_a_process_that_keeps")
def test_after_an_error_the_connection_is_given_back():
    ask("/recs/u")
    assert ask("/recs/%00")[0] == 422
    assert connection.connection is None


@pytest.mark.parametrize(("size", "keeps"), [(0, True), (6, False), (7, True)])
def test_connections_are_kept_only_where_there_is_one_for_every_thread(size, keeps, settings, monkeypatch):
    monkeypatch.setattr(fast_lane, "_keeps_connections", not keeps)
    settings.DATABASE_POOL_SIZE, settings.WEB_THREADS = size, 4
    fast_lane.keep_connections()
    assert fast_lane._keeps_connections is keeps
