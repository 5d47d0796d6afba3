"""Run PostgreSQL and Valkey on a machine that has neither, from the binaries inside two Python packages.

A process that starts Forecourt (``make run``, ``manage.py``, pytest) calls ``ensure()`` and holds a lease until it
ends: the first holder starts the servers (``servers``), the last one stops them. A lease is a file lock, which the
kernel releases even for a process that was killed, so no lease is left over. Only the holder knows that the servers are
embedded: it exports ``DATABASE_URL`` and the like, and all other code sees ordinary servers.

The packages have a life cycle of their own, which is not used: it leaks servers, needs a directory without spaces, and
opens parent directories to all users. The packages are found on disk but never imported. Standard library only.
"""

import atexit
import contextlib
import fcntl
import os
import secrets
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from recommender_site.local.home import EmbeddedError, Home
from recommender_site.local.servers import Postgres, Server, Valkey


class Lease:
    """The right to use the servers of one home: taking it starts them, the last release stops them."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.postgres = Postgres(home)
        self.valkey = Valkey(home)
        self.servers: tuple[Server, ...] = (self.postgres, self.valkey)
        self._held: IO[str] | None = None
        self._owner_pid = 0

    def take(self) -> None:
        with self._gate():
            self._held = _open_lock(self.home.base / "lease.lock")
            fcntl.flock(self._held, fcntl.LOCK_SH)
            self._owner_pid = os.getpid()
            atexit.register(self.release)  # before anything runs that would have to be stopped
            for server in self.servers:
                server.start()

    def release(self) -> None:
        if self._held is None or os.getpid() != self._owner_pid:  # a fork inherits the object, not the lease
            return
        with self._gate(), self._held as held:
            self._held = None
            with contextlib.suppress(BlockingIOError):  # another holder still uses the servers
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for server in reversed(self.servers):
                    server.stop()

    def revive(self) -> list[str]:
        """Start the servers that have died, and return their names. Cheap when none has."""
        if all(server.is_running() for server in self.servers):
            return []
        with self._gate():
            return [server.label for server in self.servers if server.start()]

    def environment(self) -> dict[str, str]:
        """Return the environment variables that the rest of the program reads, as for ordinary servers."""
        return {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.cache_url,
            "CELERY_BROKER_URL": self.valkey.broker_url,
            "SECRET_KEY": self._secret_key(),
            "DEMO_MODE": "True",
        }

    def _secret_key(self) -> str:
        """Create a key once and keep it, so that sessions and tokens outlive a restart. Only its owner can read it."""
        path = self.home.base / "secret_key"
        if not path.exists():
            descriptor, unfinished = tempfile.mkstemp(dir=self.home.base)  # mkstemp makes it 0600
            with open(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(50))
            with contextlib.suppress(FileExistsError):
                os.link(unfinished, path)  # refuses where another process was first
            os.unlink(unfinished)
        return path.read_text()

    @contextlib.contextmanager
    def _gate(self) -> Iterator[None]:
        """Let one process at a time start or stop servers; closing the file releases the lock."""
        with _open_lock(self.home.base / "gate.lock") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield


def ensure(name: str = "dev") -> Lease | None:
    """Lease the embedded servers and export their addresses; None where a database is configured.

    Variables that are already set are kept, so that ``CELERY_BROKER_URL`` alone can name a RabbitMQ.
    """
    if _is_configured("DATABASE_URL"):
        return None
    try:
        lease = Lease(Home(name))
        lease.take()
        exported = lease.environment()
    except PermissionError as error:
        raise EmbeddedError(f"{error}; did another user start it? Set EMBEDDED_DIR to a place of your own") from error
    for variable, value in exported.items():
        if not _is_configured(variable):
            os.environ[variable] = value
    _release_on_sigterm()
    return lease


def _is_configured(variable: str) -> bool:
    return bool(os.environ.get(variable) or os.environ.get(f"{variable}_FILE"))


def _release_on_sigterm() -> None:
    """Exit through ``sys.exit`` on SIGTERM and SIGHUP, which end Python without atexit and would leave the servers
    running."""
    if threading.current_thread() is not threading.main_thread():
        return
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signal_number) is signal.SIG_DFL:
            signal.signal(signal_number, lambda number, frame: sys.exit(128 + number))


def _open_lock(path: Path) -> IO[str]:
    return open(path, "w")
