"""A disk that fills up while the site runs: the site's folder lies on a file system of limited size for one turn."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.site import Site

FREE_MB = 400  # beside what the site has when the turn begins: enough for the traffic before the fault
FULL_SECONDS = 20.0
FILLER = "filler"


def problem_of_mounting() -> str:
    """Why no file system of limited size can be mounted here; '' where one can."""
    if os.geteuid() != 0:
        return "only root can mount the small file system that is filled"
    if not (shutil.which("mount") and shutil.which("umount")):
        return "there is no program to mount a file system"
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        try:
            stack.enter_context(mounted(folder, 1))
        except subprocess.CalledProcessError as error:
            return f"no file system can be mounted here: {error.stderr.strip()}"
    return ""


@contextlib.contextmanager
def on_a_small_disk(site: Site) -> Iterator[None]:
    """The site goes on with a copy of its folder in a small file system, mounted over the folder for the time."""
    site.stop()
    beside = site.folder.with_name(site.folder.name + ".small")
    beside.mkdir()
    try:
        with mounted(beside, _megabytes(site.folder) + FREE_MB):
            subprocess.run(["cp", "-a", f"{site.folder}/.", str(beside)], check=True)
            subprocess.run(["mount", "--bind", str(beside), str(site.folder)], check=True)
            try:
                site.start()
                site.wait_until_ready()
                yield
            finally:
                site.stop()
                shutil.copy(site.folder / "output.log", f"{site.folder}.full.log")  # what it said goes with the mount
                _unmount(site.folder)
    finally:
        beside.rmdir()
    site.start()
    site.wait_until_ready()


def fill_up(site: Site) -> None:
    """Not a byte is free for a while, also where a server gives space back meanwhile."""
    filler = site.folder / FILLER
    try:
        ends_at = time.monotonic() + FULL_SECONDS
        while time.monotonic() < ends_at:
            _take_all(filler)
            time.sleep(0.2)
    finally:
        filler.unlink(missing_ok=True)


def _take_all(filler: Path) -> None:
    with filler.open("ab") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(65536))
            file.flush()


@contextlib.contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[None]:
    """A file system of this size, in memory, mounted at a folder.

    Raises:
        subprocess.CalledProcessError: It can't be mounted, for want of rights as a rule.
    """
    options = f"size={megabytes}m,mode={folder.stat().st_mode & 0o7777:o}"
    command = ["mount", "-t", "tmpfs", "-o", options, "forecourt-chaos", str(folder)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    try:
        yield
    finally:
        _unmount(folder)


def _unmount(folder: Path) -> None:
    """Wait for the last process that has a file open in it; lazily in the end, so that nothing stays mounted."""
    for _ in range(40):
        if subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.5)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _megabytes(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*")) // 2**20 + 1
