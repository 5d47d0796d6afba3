"""Runs the whole of Forecourt in one terminal: prepares it, starts every service, watches them, stops them all.

``make run`` comes here. The supervisor holds the lease on the embedded servers and starts them again when they die;
a service that dies is started again too, after a pause that grows. Ctrl-C or SIGTERM stops everything warmly: requests
and tasks that run are finished. A second Ctrl-C does not wait. Whatever is killed, the supervisor included, leaves
nothing behind for long, and the next run starts as if nothing had happened.

It knows processes and signals and stays out of what they do.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

from recommender_site.local import embedded
from recommender_site.local.home import EmbeddedError

PROJECT = Path(__file__).resolve().parents[2]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SERVER_CHECK_SECONDS = 2.0
LONGEST_RESTART_PAUSE_SECONDS = 30.0
GOOD_RUN_SECONDS = 60.0  # a service that lasted this long starts over with the shortest pause
HARD_STOP_SECONDS = 5.0  # between "stop now" and SIGKILL
SECOND_PROCESS_SECONDS = 20.0  # from a start until it surely serves, and the processes of its killed forerunner may go
COLOURS = {"web": 36, "worker": 33, "trainer": 34, "importer": 31, "beat": 35, "forecourt": 32}


@dataclass(frozen=True)
class Service:
    """One process to keep running, how it is asked to stop, and how long its work in hand may then take."""

    name: str
    command: list[str]
    grace_seconds: float
    stop_signal: signal.Signals = signal.SIGTERM
    environment: dict[str, str] = field(default_factory=dict)
    inherited_descriptors: tuple[int, ...] = ()
    serves_without_leader: bool = False  # its processes go on when the main one is killed, until another one serves


class Output:
    """What the processes of one start print, passed on line by line until the last of them has ended."""

    def __init__(self, name: str, stream: IO[bytes], selector: selectors.BaseSelector) -> None:
        self._name = name
        self._stream = stream
        self._selector = selector
        self._unfinished_line = b""
        os.set_blocking(stream.fileno(), False)
        selector.register(stream, selectors.EVENT_READ, self.pass_on)

    def pass_on(self) -> None:
        if self._stream.closed:
            return
        try:
            chunk = os.read(self._stream.fileno(), 65536)
        except BlockingIOError:
            return
        if not chunk:
            self.close()
            return
        *lines, self._unfinished_line = (self._unfinished_line + chunk).split(b"\n")
        for line in lines:
            say(line.decode(errors="replace"), self._name)

    def close(self) -> None:
        if self._stream.closed:
            return
        self._selector.unregister(self._stream)
        self._stream.close()
        if self._unfinished_line:
            say(self._unfinished_line.decode(errors="replace"), self._name)


class Child:
    """A service's process: starting, reading what it prints, asking it to stop, ending it."""

    def __init__(self, service: Service, selector: selectors.BaseSelector) -> None:
        self.service = service
        self.process: subprocess.Popen[bytes] | None = None
        self.restart_at = 0.0  # monotonic seconds; the first start is due at once
        self._selector = selector
        self._started_at = 0.0
        self._n_short_runs = 0
        self._output: Output | None = None
        self._is_settled = True
        self._groups: dict[int, str | None] = {}  # of every start that may have processes: the leader's id and start

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def is_due(self) -> bool:
        """Whether to start it now: only once its last end has been settled, or its old output would stay open."""
        return self._is_settled and time.monotonic() >= self.restart_at

    def start(self) -> None:
        """Start it. Raises OSError where the disk is full, or no process can be made."""
        self._started_at = time.monotonic()
        metrics = self.service.environment.get("PROMETHEUS_MULTIPROC_DIR")
        if metrics:  # files of processes that are gone would be counted for ever
            shutil.rmtree(metrics, ignore_errors=True)
            os.makedirs(metrics)
        self.process = subprocess.Popen(
            self.service.command,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches only us, or it would kill the pool under a working Celery
            preexec_fn=partial(end_with_parent, self.service.stop_signal),
            pass_fds=self.service.inherited_descriptors,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self.service.environment},
        )
        self._is_settled = False
        self._groups[self.process.pid] = start_time(self.process.pid)
        if self.process.stdout is not None:
            self._output = Output(self.service.name, self.process.stdout, self._selector)

    def settle(self) -> bool:
        """After its end: pass on its last words and end what it left in its group. Says whether it has just ended.

        What serves without its leader, when that was killed, is left alone until ``end_forerunners``.
        """
        if self._is_settled or self.is_running:
            return False
        self._is_settled = True
        if self._output:
            self._output.pass_on()
        if self.process and not (self.service.serves_without_leader and self.process.returncode < 0):
            # Pool processes outlive a killed Celery, and hold its socket and queue.
            self._end_group(self.process.pid, signal.SIGKILL)
            if self._output:
                self._output.close()
        return True

    def end_forerunners(self) -> None:
        """End the processes of a leader that was killed, once those of the next one serve."""
        if self.process and self.is_running and time.monotonic() - self._started_at > SECOND_PROCESS_SECONDS:
            for pid in [pid for pid in self._groups if pid != self.process.pid]:
                self._end_group(pid, signal.SIGTERM)

    @property
    def groups(self) -> list[tuple[int, str | None]]:
        """The process groups that may have members: the leader's id, and when it started."""
        return list(self._groups.items())

    def plan_restart(self) -> float:
        """Set the time of the next start and return the pause before it, in seconds."""
        now = time.monotonic()
        self._n_short_runs = 0 if now - self._started_at > GOOD_RUN_SECONDS else self._n_short_runs + 1
        pause = min(2.0 ** max(self._n_short_runs - 1, 0), LONGEST_RESTART_PAUSE_SECONDS)
        self.restart_at = now + pause
        return pause

    def signal(self, number: int) -> None:
        """To the main process alone: it knows how to end its pool, and needs it alive to finish its work."""
        if self.is_running and self.process:
            self.process.send_signal(number)

    def signal_groups(self, number: int) -> None:
        for pid in self._groups:
            _signal_group(pid, number)

    def _end_group(self, pid: int, number: int) -> None:
        self._groups.pop(pid, None)
        _signal_group(pid, number)


class Supervisor:
    """Keeps the children running until a signal asks to stop."""

    def __init__(self, state: Path, lease: embedded.Lease | None = None, announce: Callable[[], bool] | None = None):
        self.state = state
        self.lease = lease
        self.children: list[Child] = []
        self._announce = announce
        self._selector = selectors.DefaultSelector()
        self._is_recorded = True
        self._stop_requests = 0
        self._next_server_check = 0.0
        self._listen_to_signals()

    def _listen_to_signals(self) -> None:
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)  # so that select() returns at once
        self._selector.register(read_end, selectors.EVENT_READ, lambda: os.read(read_end, 512))
        for number in STOP_SIGNALS:
            signal.signal(number, self._request_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # only to wake us

    def _request_stop(self, number: int, frame: FrameType | None) -> None:
        self._stop_requests += 1

    @property
    def is_stopping(self) -> bool:
        return self._stop_requests > 0

    def run_to_end(self, command: list[str]) -> int:
        """Run one preparatory command with the terminal for itself; its exit code, or 130 when asked to stop."""
        process = subprocess.Popen(
            command, cwd=PROJECT, start_new_session=True, preexec_fn=end_with_parent, stdin=subprocess.DEVNULL
        )
        self._record([(process.pid, start_time(process.pid))])
        while process.poll() is None:
            self._wait(0.5)
            if self.is_stopping:
                say("stopping")
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        return 130 if self.is_stopping else process.returncode

    def run(self, wanted: list[Service]) -> None:
        """Start the services and keep them running until asked to stop; returns when none is left."""
        self.children = [Child(service, self._selector) for service in wanted]
        try:
            while not self.is_stopping:
                self._start_due_children()
                self._wait(0.5)
                self._check_children()
                self._check_servers()
                if self._announce and self._announce():
                    self._announce = None
            self._stop_children()
        finally:
            for child in self.children:
                child.signal_groups(signal.SIGKILL)
            self._record([])

    def _wait(self, seconds: float) -> None:
        """Sleep until something is printed, a child dies, a signal comes, or the time is over."""
        for key, _events in self._selector.select(seconds):
            key.data()

    def _start_due_children(self) -> None:
        due = [child for child in self.children if child.is_due]
        for child in due:
            try:
                child.start()
            except OSError as problem:
                say(f"{child.service.name} can't be started: {problem}; trying again in {child.plan_restart():.0f} s")
        if due or not self._is_recorded:
            self._record([group for child in self.children for group in child.groups])

    def _check_children(self) -> None:
        for child in self.children:
            child.end_forerunners()
            if child.settle() and child.process:
                pause = child.plan_restart()
                how = _describe_exit(child.process.returncode)
                say(f"{child.service.name} {how}; starting it again in {pause:.0f} s")

    def _check_servers(self) -> None:
        if self.lease is None or time.monotonic() < self._next_server_check:
            return
        pause = SERVER_CHECK_SECONDS
        try:
            for label in self.lease.revive():
                say(f"{label} had stopped; it runs again")
        except (EmbeddedError, OSError) as problem:
            say(f"{problem}\n(trying again)")
            pause = LONGEST_RESTART_PAUSE_SECONDS
        self._next_server_check = time.monotonic() + pause

    def _stop_children(self) -> None:
        """Graceful first. A Celery that is out of time is sent SIGQUIT: it gives its tasks back to the queue."""
        say("stopping; running requests and tasks are finished first (Ctrl-C again not to wait)")
        asked_at = time.monotonic()
        hard_at: dict[str, float] = {}
        for child in self.children:
            child.signal(child.service.stop_signal)
        while running := [child for child in self.children if child.is_running]:
            self._wait(0.2)
            now = time.monotonic()
            for child in running:
                name = child.service.name
                if name not in hard_at and (self._stop_requests > 1 or now - asked_at > child.service.grace_seconds):
                    hard_at[name] = now
                    child.signal(signal.SIGQUIT)
                elif now - hard_at.get(name, now) > HARD_STOP_SECONDS:
                    child.signal_groups(signal.SIGKILL)
        for child in self.children:
            child.settle()
        say("stopped")

    def _record(self, groups: list[tuple[int, str | None]]) -> None:
        """Write down what runs, so that the next run can end what a killed supervisor left behind.

        Tried again at the next look where the disk is full: what runs is more than a note of it.
        """
        path = self.state / "running.json"
        unfinished = path.with_suffix(".unfinished")
        self._is_recorded = True
        try:
            unfinished.write_text(json.dumps(groups))
            unfinished.replace(path)
        except OSError:
            self._is_recorded = False


def end_leftovers(state: Path, patience_seconds: float = 30.0) -> None:
    """Wait for the services of a killed supervisor, which stop by themselves, and end what does not."""
    try:
        recorded = [(pid, started) for pid, started in json.loads((state / "running.json").read_text()) if started]
    except (FileNotFoundError, ValueError):
        return

    def alive() -> list[int]:
        # The start time distinguishes our process from a later one that was given the same id.
        return [pid for pid, started in recorded if start_time(pid) == started]

    if alive():
        say("waiting for the services of a run that was killed")
    for number, seconds in ((0, patience_seconds), (signal.SIGQUIT, HARD_STOP_SECONDS)):
        for pid in alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while alive() and time.monotonic() < deadline:
            time.sleep(0.1)
    for pid, started in recorded:
        # No id is given anew while a group of that id has members: a group without its leader is still ours.
        if start_time(pid) in (started, None):
            _signal_group(pid, signal.SIGKILL)


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def start_time(pid: int) -> str | None:
    """When a process started, in ticks since boot; None when it is gone or a zombie, or where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def say(text: str, name: str = "forecourt") -> None:
    """One prefixed line per line of text, coloured on a terminal."""
    prefix = f"{name:<9}| "
    if sys.stdout.isatty():
        prefix = f"\033[{COLOURS.get(name, 37)}m{prefix}\033[0m"
    try:
        sys.stdout.write("".join(f"{prefix}{line}\n" for line in text.splitlines() or [""]))
        sys.stdout.flush()
    except BrokenPipeError:  # as in `make run | head`: the reader has left
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (for the rest of our life)
        os.kill(os.getpid(), signal.SIGTERM)
    except OSError:  # the log is on a disk that is full: the line is lost, and all that runs goes on
        pass


def reserve_address(host: str, port: int) -> socket.socket:
    """Bind the web server's address before any work is done, and hold it: a web server that restarts keeps it.

    Raises OSError when the address is taken, forbidden or not ours.
    """
    family, kind, protocol, _name, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    reserved = socket.socket(family, kind, protocol)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind(address)
    except OSError:
        reserved.close()
        raise
    return reserved


class AlreadyRunsError(Exception):
    """Another supervisor works on the same directory."""


@contextlib.contextmanager
def only_one(state: Path) -> Iterator[None]:
    """Keep a second supervisor away from the same data; raises AlreadyRunsError."""
    state.mkdir(parents=True, exist_ok=True)
    with open(state / "supervisor.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunsError(f"it already runs on {state}") from None
        yield


def _describe_exit(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


_libc: Any = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent(number: int = signal.SIGTERM) -> None:
    """Have the kernel send us this signal when our parent dies, however it dies. Linux only."""
    if _libc is not None:
        _libc.prctl(1, number)  # 1: PR_SET_PDEATHSIG
