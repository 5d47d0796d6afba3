"""A clock that is set back while the site runs: what its processes read as the time of day is shifted.

A small library (``clock.c``) is loaded into every process of the site for one turn, its servers included. It adds what
a mapped file says, so that the clock steps in all of them at once. Monotonic time goes on, as it does on a machine.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.site import Site

SOURCE = Path(__file__).with_suffix(".c")
SHIFT_SECONDS = -3600
SECONDS_AFTER = 20.0


def problem_of_shifting() -> str:
    """Why the clock can't be set back here; '' where it can."""
    if sys.platform != "linux":
        return "what processes read as the time can be shifted on Linux only"
    return "" if shutil.which("cc") else "there is no C compiler (cc) for the library that shifts the clock"


@contextlib.contextmanager
def with_a_clock_of_its_own(site: Site) -> Iterator[None]:
    """The site runs with the library in all of its processes, and without it afterwards."""
    _shift(site, 0)
    library = build(site.folder)
    site.stop()
    with site.environment_with({"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(_file(site))}):
        site.start()
        site.wait_until_ready()
        try:
            yield
        finally:
            site.stop()
    site.start()
    site.wait_until_ready()


def set_back(site: Site) -> None:
    """All clocks of the site step back at once, and stay so until the end of the turn."""
    _shift(site, SHIFT_SECONDS)
    time.sleep(SECONDS_AFTER)


def build(folder: Path) -> Path:
    """The library, compiled into a folder."""
    library = folder / "clock.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    library.chmod(0o755)  # the servers run under another account
    return library


def _shift(site: Site, seconds: int) -> None:
    """Written in place, since processes have mapped the file."""
    file = _file(site)
    file.touch(mode=0o644)
    with file.open("r+b") as mapped:
        mapped.write(struct.pack("=q", seconds))


def _file(site: Site) -> Path:
    return site.folder / "clock"
