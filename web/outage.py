"""Not waiting for a server that is known to be away.

A ``Breaker`` opens when a call failed, so that the calls after it do without the server at once, and a thread asks the
server until it answers again: no request pays for finding out. The ``DatabaseWatch`` of a web process does not wait for
a call to fail: it asks the database all the time, and ends the calls that hang when there is no answer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Protocol

import psycopg

logger = logging.getLogger(__name__)

PROBE_EVERY_SECONDS = 0.25
WATCH_EVERY_SECONDS = 0.2
SILENCE_SECONDS = 0.55  # with the pause before it and what follows, a request is answered within a second
SIGN_OF_LIFE = b"SELECT 1"

Answer = list[bytes | None]  # the columns of one row, as text; empty for an error
Hearer = Callable[[float, Answer], None]


class Breaker:
    """Open while a server is away. ``probe`` returns why the server cannot be used, or nothing."""

    def __init__(self, name: str, probe: Callable[[], str]) -> None:
        self.name = name
        self._probe = probe
        self._is_open = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return self._is_open

    def trip(self, reason: object) -> None:
        """A call failed: do without the server until it answers a probe."""
        with self._lock:
            if self._is_open:
                return
            self._is_open = True
        logger.warning("going on without the %s until it answers: %s", self.name, reason)
        threading.Thread(target=self._wait_for_the_server, name=f"{self.name}-probe", daemon=True).start()

    def close(self) -> None:
        self._is_open = False

    def _wait_for_the_server(self) -> None:
        pause = threading.Event()
        while self._is_open:
            pause.wait(PROBE_EVERY_SECONDS)
            try:
                problem = self._probe()
            except Exception as error:
                problem = str(error) or type(error).__name__
            if not problem:
                logger.warning("the %s answers again", self.name)
                self.close()


class Pool(Protocol):
    """Connections that threads wait for."""

    def refuse_waiting(self, error: Exception) -> None: ...


def ignore(asked_at: float, answer: Answer) -> None:
    """For those who want a sign of life alone."""


class DatabaseWatch:
    """Whether PostgreSQL answers, known at any time; connections that wait for one that does not are ended.

    Only a web process starts it. Elsewhere nothing is taken to be away, and a task waits for a server that restarts.
    """

    def __init__(self, name: str = "PostgreSQL") -> None:
        self.name = name
        self.is_away = False
        self._connections: weakref.WeakSet[psycopg.Connection[Any]] = weakref.WeakSet()
        self._pools: weakref.WeakSet[Pool] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._parameters: Callable[[], dict[str, Any]] = dict
        self._question = SIGN_OF_LIFE
        self._hear: Hearer = ignore
        self._is_ended = threading.Event()

    def start(
        self, parameters: Callable[[], dict[str, Any]], question: bytes = SIGN_OF_LIFE, hear: Hearer | None = None
    ) -> None:
        """``parameters`` gives what to connect with; ``hear`` gets each answer, and ``time.monotonic()`` before it."""
        self._parameters, self._question, self._hear = parameters, question, hear or ignore
        threading.Thread(target=self._keep_asking, name="database-watch", daemon=True).start()

    def end(self) -> None:
        self._is_ended.set()

    def add(self, connection: psycopg.Connection[Any]) -> None:
        with self._lock:
            self._connections.add(connection)

    def add_pool(self, pool: Pool) -> None:
        with self._lock:
            self._pools.add(pool)

    def refuse_if_away(self) -> None:
        if self.is_away:
            raise psycopg.OperationalError(f"{self.name} does not answer")

    def _keep_asking(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        while not self._is_ended.wait(WATCH_EVERY_SECONDS):
            try:
                connection = connection or psycopg.connect(**{**self._parameters(), "autocommit": True})
                asked_at = time.monotonic()
                answer = ask(connection, self._question)
                self._note_answer()
                self._hear(asked_at, answer)
            except Exception as error:
                self._note_silence(error)
                if connection is not None:
                    with contextlib.suppress(Exception):
                        connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def _note_answer(self) -> None:
        if self.is_away:
            logger.warning("%s answers again", self.name)
        self.is_away = False

    def _note_silence(self, error: Exception) -> None:
        if not self.is_away:
            logger.error("%s does not answer: %s", self.name, error)
        self.is_away = True
        with self._lock:
            waiting, pools = list(self._connections), list(self._pools)
        for connection in waiting:
            hang_up(connection)
        for pool in pools:
            pool.refuse_waiting(psycopg.OperationalError(f"{self.name} does not answer"))


def ask(connection: psycopg.Connection[Any], question: bytes = SIGN_OF_LIFE) -> Answer:
    """Ask the server for a sign of life; raises OperationalError after ``SILENCE_SECONDS`` without one.

    Returns the first row of what it answered; nothing where it answered with an error, which is a sign of life too. The
    socket is looked at once more after the time is up: a process that was short of processor time has its answer.
    """
    driver = connection.pgconn
    driver.send_query(question)
    answer: Answer = []
    while True:
        if not (_is_readable(driver.socket, SILENCE_SECONDS) or _is_readable(driver.socket, 0)):
            raise psycopg.OperationalError(f"no answer within {SILENCE_SECONDS} s")
        driver.consume_input()
        while not driver.is_busy():
            result = driver.get_result()
            if result is None:
                return answer
            if result.ntuples:
                answer = [result.get_value(0, column) for column in range(result.nfields)]


def _is_readable(descriptor: int, seconds: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))


def hang_up(connection: psycopg.Connection[Any]) -> None:
    """End the connection under whichever thread waits on it: that thread gets an OperationalError at once."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.pgconn.socket)) as end:
        end.shutdown(socket.SHUT_RDWR)


database_watch = DatabaseWatch()
_watches: dict[str, DatabaseWatch] = {}


def add_watch(alias: str) -> DatabaseWatch:
    """The watch of a database beside the one that everything is written to."""
    _watches[alias] = DatabaseWatch(alias)
    return _watches[alias]


def watch_of(alias: str) -> DatabaseWatch:
    """The watch of a database by its alias."""
    return _watches.get(alias, database_watch)
