"""The faults: each takes a running site, breaks something, and returns when the fault itself is over."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator

import psutil

from benchmarks.site import MARKS, SERVERS, Site

CUT_OFF_SECONDS = 20.0
N_PROMOTIONS = 4

Fault = Callable[[Site], None]


def kill(*roles: str) -> Fault:
    """SIGKILL to the main process of each role at once."""

    def fault(site: Site) -> None:
        for process in [site.leader(role) for role in roles]:
            process.kill()
        if "supervisor" in roles:
            time.sleep(1)
            site.restart_when_gone()

    return fault


def kill_a_member(role: str) -> Fault:
    """SIGKILL to a process that the main one of this role has started: a web process, a pool process, a backend."""

    def fault(site: Site) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            site.members(role)[-1].kill()

    return fault


def cut_off(role: str) -> Fault:
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
    "nothing": lambda site: time.sleep(5),
    **{f"kill -9 {role}": kill(role) for role in (*MARKS, *SERVERS, "supervisor")},
    **{f"kill -9 a process of {role}": kill_a_member(role) for role in ("web", "worker", "postgres")},
    "kill -9 postgres, valkey-server": kill(*SERVERS),
    "kill -9 web, postgres": kill("web", "postgres"),
    "kill -9 worker, valkey-server": kill("worker", "valkey-server"),
    "kill -9 supervisor, postgres": kill("supervisor", "postgres"),
    **{f"{role} cut off {CUT_OFF_SECONDS:.0f} s": cut_off(role) for role in SERVERS},
    "promotions": promote_back_and_forth,
}
