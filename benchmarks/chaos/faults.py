"""The faults: what breaks something of a running site, what that needs, and what must hold besides afterwards."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import psutil

from benchmarks.chaos import clock, disk, replica
from benchmarks.site import MARKS, SERVERS, Site

CUT_OFF_SECONDS = 20.0
N_PROMOTIONS = 4
N_IMPORTED = 20_000  # cars of the file whose import is killed: four batches
IMPORT_SECONDS = 420.0  # a dead process is noticed after two minutes, and looked for every minute

Break = Callable[[Site], None]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        make: Breaks something, and returns when the fault itself is over.
        problem: Why it can't be made on this machine; '' where it can.
        around: What the site is started with for the turn of this fault, and stopped after.
        truths: What does not hold afterwards beside what is asked after every fault: empty where all does.
    """

    make: Break
    problem: Callable[[], str] = field(default=lambda: "")
    around: Callable[[Site], AbstractContextManager[None]] = field(default=lambda site: nullcontext())
    truths: Callable[[Site], dict[str, Any]] = field(default=lambda site: {})


def kill(*roles: str) -> Break:
    """SIGKILL to the main process of each role at once."""

    def fault(site: Site) -> None:
        for process in [site.leader(role) for role in roles]:
            process.kill()
        if "supervisor" in roles:
            time.sleep(1)
            site.restart_when_gone()

    return fault


def kill_a_member(role: str) -> Break:
    """SIGKILL to a process that the main one of this role has started: a web process, a pool process, a backend."""

    def fault(site: Site) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            site.members(role)[-1].kill()

    return fault


def cut_off(role: str) -> Break:
    """A server that takes connections and answers nothing: all its processes are stopped for a while."""

    def fault(site: Site) -> None:
        with stopped([site.leader(role), *site.members(role)]):
            time.sleep(CUT_OFF_SECONDS)

    return fault


def promote_back_and_forth(site: Site) -> None:
    """The live version gives way to another one that is ready, and comes back."""
    versions = site.shell(USABLE).split()
    if len(versions) < 2:
        site.manage("retrain")
        versions = site.shell(USABLE).split()
    for number in range(N_PROMOTIONS):
        site.manage("promote", versions[number % 2], "--note", "to see what a promotion costs")
        time.sleep(2)


class KilledImport:
    """An import, of which a process is killed while some of its cars are stored and others are not."""

    def __init__(self, *, with_its_worker: bool) -> None:
        self._with_its_worker = with_its_worker
        self._source, self._run = "", 0

    def fault(self) -> Fault:
        return Fault(self._make, truths=self._truths)

    def _make(self, site: Site) -> None:
        self._source = f"chaos-{time.time():.0f}"  # cars that the site does not have yet
        begun = site.asked("benchmarks.chaos.imports", "begin", N_IMPORTED, self._source)
        processes = site.members("importer")
        for process in [site.leader("importer"), *processes] if self._with_its_worker else processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._run = begun["run"]
        print("import", begun, flush=True)
        print("import", site.asked("benchmarks.chaos.imports", "end", self._run, IMPORT_SECONDS), flush=True)

    def _truths(self, site: Site) -> dict[str, Any]:
        return site.asked("benchmarks.chaos.imports", "truths", self._run, N_IMPORTED, self._source)


USABLE = (
    "from recommendations.models import RankerVersion as V;"
    "print(*V.objects.usable().exclude(status='live').order_by('-pk').values_list('pk', flat=True)[:1],"
    " *V.objects.filter(status='live').values_list('pk', flat=True))"
)


@contextlib.contextmanager
def stopped(processes: list[psutil.Process]) -> Iterator[None]:
    _signal(processes, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(processes, signal.SIGCONT)


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


FAULTS: dict[str, Fault] = {
    "nothing": Fault(lambda site: time.sleep(5)),
    **{f"kill -9 {role}": Fault(kill(role)) for role in (*MARKS, *SERVERS, "supervisor")},
    **{f"kill -9 a process of {role}": Fault(kill_a_member(role)) for role in ("web", "worker", "postgres")},
    "kill -9 postgres, valkey-server": Fault(kill(*SERVERS)),
    "kill -9 web, postgres": Fault(kill("web", "postgres")),
    "kill -9 worker, valkey-server": Fault(kill("worker", "valkey-server")),
    "kill -9 supervisor, postgres": Fault(kill("supervisor", "postgres")),
    **{f"{role} cut off {CUT_OFF_SECONDS:.0f} s": Fault(cut_off(role)) for role in SERVERS},
    **{
        name: Fault(make, around=replica.with_a_replica, truths=replica.reads_missing)
        for name, make in (
            (f"replica cut off {replica.AWAY_SECONDS:.0f} s", replica.cut_off),
            ("kill -9 replica", replica.kill_and_start),
            (f"replica behind by {replica.AWAY_SECONDS:.0f} s", replica.fall_behind),
        )
    },
    "promotions": Fault(promote_back_and_forth),
    "kill -9 the process of an import": KilledImport(with_its_worker=False).fault(),
    "kill -9 an import and its worker": KilledImport(with_its_worker=True).fault(),
    f"disk full {disk.FULL_SECONDS:.0f} s": Fault(disk.fill_up, disk.problem_of_mounting, disk.on_a_small_disk),
    "clock back 1 h": Fault(clock.set_back, clock.problem_of_shifting, clock.with_a_clock_of_its_own),
}
