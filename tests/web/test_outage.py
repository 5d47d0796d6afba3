"""Nothing waits for a server that is away: refused, or silent with its connections open, as a lost network is."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable

import psycopg
import pytest

from web.outage import Breaker, DatabaseWatch
from web.postgres.base import WatchedPool
from web.servers import connection_parameters


class Relay:
    """Between a TCP port and PostgreSQL's socket; ``is_silent`` passes nothing on, ``refuse`` closes everything."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.is_silent = self.is_refusing = False
        self.ends: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self.listener.accept()
            if self.is_refusing:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.address)
            self.ends += [client, server]
            threading.Thread(target=self._pass_on, args=(client, server), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with one, other, contextlib.suppress(OSError, ValueError):
            while True:
                for end in select.select([one, other], [], [], 0.05)[0]:
                    while self.is_silent:
                        time.sleep(0.02)
                    data = end.recv(65536)
                    if not data:
                        return
                    (other if end is one else one).sendall(data)

    def refuse(self) -> None:
        self.is_refusing = True
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.mark.parametrize("how", ["refuse", "silence"])
def test_a_query_that_waits_for_a_database_that_is_away_ends_and_the_next_is_refused(how):
    own = connection_parameters()
    relay = Relay(f"{own['host']}/.s.PGSQL.{own.get('port') or 5432}")
    parameters = {**own, "host": "127.0.0.1", "port": relay.listener.getsockname()[1]}
    watch = DatabaseWatch()
    with psycopg.connect(**{**parameters, "autocommit": True}) as connection:
        watch.add(connection)
        watch.start(lambda: parameters)
        connection.execute("SELECT pg_sleep(1.5)")  # slow, and not away
        assert not watch.is_away
        if how == "refuse":
            relay.refuse()
        else:
            relay.is_silent = True
        began_at = time.monotonic()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        assert time.monotonic() - began_at < 2  # a second on a machine that is not busy
        wait_until(lambda: watch.is_away)
        with pytest.raises(psycopg.OperationalError, match="does not answer"):
            watch.refuse_if_away()
        relay.is_silent = relay.is_refusing = False
        wait_until(lambda: not watch.is_away)
        watch.refuse_if_away()
        watch.end()


def test_threads_that_wait_for_a_connection_get_it_in_turn_and_are_refused_when_the_database_goes_away():
    watch = DatabaseWatch()
    answered: list[tuple[int, str]] = []

    def take(number: int) -> None:
        try:
            pool.getconn(timeout=30)
            answered.append((number, "a connection"))
        except psycopg.OperationalError as error:
            answered.append((number, str(error)))

    with WatchedPool(kwargs=connection_parameters(), min_size=1, max_size=1, open=True) as pool:
        watch.add_pool(pool)
        held = pool.getconn()
        threads = [threading.Thread(target=take, args=(number,)) for number in range(3)]
        for n_waiting, thread in enumerate(threads, start=1):
            thread.start()
            wait_until(lambda n=n_waiting: pool.get_stats().get("requests_waiting") == n)
        pool.putconn(held)
        wait_until(lambda: answered == [(0, "a connection")])
        watch._note_silence(psycopg.OperationalError("no answer"))
        for thread in threads:
            thread.join(10)
    assert sorted(answered[1:]) == [(1, "PostgreSQL does not answer"), (2, "PostgreSQL does not answer")]


def test_a_breaker_asks_beside_the_requests_until_the_server_answers():
    answers = ["away", "away", ""]
    breaker = Breaker("cache", lambda: answers.pop(0))
    assert not breaker.is_open
    breaker.trip("refused")
    breaker.trip("refused again")
    assert breaker.is_open
    wait_until(lambda: not breaker.is_open)
    assert answers == []


def test_a_probe_that_raises_leaves_the_breaker_open():
    results = [ValueError("no"), None]

    def probe() -> str:
        if error := results.pop(0):
            raise error
        return ""

    breaker = Breaker("cache", probe)
    breaker.trip("refused")
    wait_until(lambda: not breaker.is_open)
    assert results == []
