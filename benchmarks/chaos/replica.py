"""A streaming replica beside the site for one turn, which is cut off, killed or falls behind while it is read from."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.site import Site
from benchmarks.standby import Standby
from recommender_site.local.home import Home

PORT = 5433
AWAY_SECONDS = 20.0
READS = re.compile(rb'^forecourt_reads_beside_total\{[^}]*answered_by="replica"[^}]*\} ([0-9.e+]+)', re.MULTILINE)


def replica_of(site: Site) -> Standby:
    return Standby(Home("dev", site.folder), PORT)


@contextlib.contextmanager
def with_a_replica(site: Site) -> Iterator[None]:
    """Start the site anew with a replica that its web processes read from, and afterwards without one."""
    standby = replica_of(site)
    standby.remove()
    standby.start()
    try:
        with site.environment_with({"DATABASE_REPLICA_URLS": standby.url}):
            site.restart()
        yield
    finally:
        standby.remove()
        site.restart()


def cut_off(site: Site) -> None:
    """It takes connections and answers nothing."""
    standby = replica_of(site)
    standby.signal_all(signal.SIGSTOP)
    time.sleep(AWAY_SECONDS)
    standby.signal_all(signal.SIGCONT)


def kill_and_start(site: Site) -> None:
    """It is gone for a while, and comes back with what it had."""
    standby = replica_of(site)
    standby.kill()
    time.sleep(AWAY_SECONDS)
    standby.start()


def fall_behind(site: Site) -> None:
    """It answers, and of what is written meanwhile it knows nothing."""
    with replica_of(site).paused():
        time.sleep(AWAY_SECONDS)


def reads_missing(site: Site) -> dict[str, Any]:
    """Empty where the site read from its replica; a turn in which it did not says nothing of the fault."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    try:
        connection.request("GET", "/metrics")
        counted = sum(map(float, READS.findall(connection.getresponse().read())))
    finally:
        connection.close()
    return {} if counted else {"reads from the replica": 0}
