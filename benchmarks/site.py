"""A site of its own in a folder: started as ``make run`` starts it, its processes found by what they do."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

PROJECT = Path(__file__).resolve().parents[1]
START_SECONDS = 900  # the first start trains
MARKET = (4_000, 400, 20_000)  # listings, buyers and events of a site that is made to be broken or watched
MARKS = {  # words of a command line by which a process of a role is known
    "web": ("gunicorn", "recommender_site.wsgi"),
    "worker": ("--hostname", "worker@"),
    "importer": ("--hostname", "importer@"),
    "trainer": ("--hostname", "trainer@"),
    "beat": ("celery", "beat"),
}
SERVERS = ("postgres", "valkey-server")
SERVERS_OF_OTHERS = ("DATABASE_URL", "DATABASE_REPLICA_URLS", "REDIS_URL", "CELERY_BROKER_URL", "EMAIL_URL")
ROLES = (*MARKS, *SERVERS)


class Site:
    """One running Forecourt in demo mode, with its servers' data in a folder."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self._environment = {
            **os.environ,
            # Empty rather than left out, or a file .env would name the servers of a site that is in use.
            **{f"{name}{suffix}": "" for name in SERVERS_OF_OTHERS for suffix in ("", "_FILE")},
            "EMBEDDED_DIR": str(folder),
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "DEMO_MODE": "True",
            "DJANGO_SETTINGS_MODULE": "recommender_site.settings",
        }
        self._supervisor: subprocess.Popen[bytes] | None = None

    @contextlib.contextmanager
    def environment_with(self, variables: Mapping[str, str]) -> Iterator[None]:
        """What is started while the block lasts has these variables too."""
        before, self._environment = self._environment, {**self._environment, **variables}
        try:
            yield
        finally:
            self._environment = before

    def prepare(self, n_listings: int, n_buyers: int, n_events: int) -> None:
        """Make its database and a market of this size where there is none; the first start trains."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.manage("migrate")
        sizes = {"--listings": n_listings, "--buyers": n_buyers, "--events": n_events}
        self.manage("seed_data", "--if-empty", *(str(each) for pair in sizes.items() for each in pair), seconds=1800)

    def start(self) -> None:
        """Start it; wait for nothing."""
        with open(self.folder / "output.log", "ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "recommender_site", "--stop-with-parent"],
                cwd=PROJECT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def stop(self) -> None:
        if self._supervisor:
            self._supervisor.send_signal(signal.SIGTERM)
            self._supervisor.wait(60)

    def restart(self) -> None:
        """Stop it, start it with the environment of now, and wait until it serves."""
        self.stop()
        self.start()
        self.wait_until_ready()

    def restart_when_gone(self) -> None:
        """Start it again, should its supervisor have been killed: a person or systemd does that."""
        if self._supervisor and self._supervisor.poll() is not None:
            self.start()

    def is_ready(self) -> bool:
        """Whether it serves by now.

        Raises:
            RuntimeError: It has ended by itself.
        """
        if self._supervisor and self._supervisor.poll() is not None:
            raise RuntimeError(f"the site has ended; see {self.folder / 'output.log'}")
        return self.status_of("/readyz") == 200 and self.status_of("/api/v1/cars/recommendations?k=1") in (200, 401)

    def wait_until_ready(self, seconds: float = START_SECONDS) -> float:
        """Wait for it, and return how long that took.

        Raises:
            TimeoutError: It is not ready after so many seconds.
        """
        return wait_until(self.is_ready, seconds, "the site does not answer; see output.log in its folder")

    def status_of(self, path: str) -> int:
        """What a plain GET gets; 0 where no answer comes within five seconds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def manage(self, *arguments: str, seconds: float = 600) -> str:
        """What a management command, or a module after ``-m``, prints."""
        command = [sys.executable, *(arguments if arguments[0] == "-m" else ("manage.py", *arguments))]
        result = subprocess.run(
            command, cwd=PROJECT, env=self._environment, capture_output=True, text=True, timeout=seconds, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{arguments[:3]} ended with {result.returncode}: {result.stderr[-2000:]}")
        return result.stdout

    def asked(self, module: str, *arguments: object, seconds: float = 900) -> dict[str, Any]:
        """The JSON object in the last line of what a module prints."""
        printed = self.manage("-m", module, *(str(each) for each in arguments), seconds=seconds)
        found: dict[str, Any] = json.loads(printed.splitlines()[-1])
        return found

    def key(self) -> str:
        """A new API key that may do everything."""
        return self.shell(
            "from accounts.services import create_api_key as c;"
            "print(c(name='benchmarks', scopes=['read', 'ingest', 'buyers', 'admin'], created_by=None)[1])"
        )

    def listing_ids(self, at_most: int = 2000) -> list[int]:
        """Cars that are for sale."""
        found = self.shell(
            "from catalog.models import Listing;"
            f"print(*Listing.objects.available().values_list('pk', flat=True)[:{at_most}])"
        )
        return [int(each) for each in found.split()]

    def shell(self, code: str) -> str:
        """What Python code prints that runs in the site's shell."""
        return self.manage("shell", "-v", "0", "-c", code).strip()

    def leader(self, role: str) -> psutil.Process:
        """The main process of a role: a service of the supervisor, one of the two servers, or the supervisor itself.

        Raises:
            LookupError: No such process runs.
        """
        if role == "supervisor" and self._supervisor:
            return psutil.Process(self._supervisor.pid)
        found = [process for process in self._candidates(role) if not _is_below(process, role)]
        if not found:
            raise LookupError(f"no process of role {role} runs")
        return min(found, key=lambda process: process.create_time())

    def members(self, role: str) -> list[psutil.Process]:
        """The processes that a role's main process has started."""
        started: list[psutil.Process] = self.leader(role).children(recursive=True)
        return started

    def _candidates(self, role: str) -> Iterator[psutil.Process]:
        if role in SERVERS:
            for process in psutil.process_iter(["name", "cwd", "cmdline"]):
                about = " ".join(process.info["cmdline"] or []) + " " + str(process.info["cwd"])
                if process.info["name"] == role and str(self.folder) in about:
                    yield process
        elif self._supervisor:
            for process in psutil.Process(self._supervisor.pid).children():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if all(mark in " ".join(process.cmdline()) for mark in MARKS[role]):
                        yield process


def _is_below(process: psutil.Process, role: str) -> bool:
    """Whether it was started by one of its own kind, as PostgreSQL's backends are, or has ended meanwhile."""
    try:
        parent = process.parent()
        return role in SERVERS and parent is not None and parent.name() == process.name()
    except psutil.NoSuchProcess:
        return True


@contextlib.contextmanager
def folder_for(named: str) -> Iterator[Path]:
    """The folder of that name, or a new one that is removed again, which the servers' account can read."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)  # else a root's data would go to, and stay in, a folder of the machine
        yield Path(named or made).resolve()


def wait_until(condition: Callable[[], bool], seconds: float, problem: str) -> float:
    """Wait for it, and return how long that took.

    Raises:
        TimeoutError: It does not hold after so many seconds.
    """
    began_at = time.monotonic()
    while not condition():
        if time.monotonic() - began_at > seconds:
            raise TimeoutError(f"{problem} ({seconds:.0f} s)")
        time.sleep(0.05)
    return time.monotonic() - began_at
