"""``make chaos`` leaves out, with the reason, what can't be broken on this machine, and knows what to look for."""

import os
import shutil
import struct
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.chaos import __main__ as chaos
from benchmarks.chaos import clock, disk
from benchmarks.chaos.faults import FAULTS, Fault


def test_a_fault_that_cannot_be_made_here_is_left_out_with_its_reason(monkeypatch):
    faults = {"disk full": Fault(pytest.fail, problem=lambda: "only root can mount")}
    monkeypatch.setattr(chaos, "FAULTS", faults)
    site: Any = SimpleNamespace(key=lambda: "", listing_ids=list, port=0)
    options: Any = SimpleNamespace(faults="", events=0)
    assert chaos.run_all(site, options) == [{"fault": "disk full", "holds": True, "left out": "only root can mount"}]


def test_faults_are_named_by_parts_of_their_names():
    assert all(chaos.named_in("", name) for name in FAULTS)
    assert [name for name in FAULTS if chaos.named_in("disk|clock", name)] == ["disk full 20 s", "clock back 1 h"]


def test_a_full_disk_is_full_and_has_its_room_again(tmp_path, monkeypatch):
    if problem := disk.problem_of_mounting():
        pytest.skip(problem)
    monkeypatch.setattr(disk, "FULL_SECONDS", 0.1)
    seen = []
    monkeypatch.setattr(disk.time, "sleep", lambda seconds: seen.append(shutil.disk_usage(tmp_path).free))
    with disk.mounted(tmp_path, 1):
        disk.fill_up(SimpleNamespace(folder=tmp_path))
        assert set(seen) == {0}
        assert shutil.disk_usage(tmp_path).free > 900_000


def test_the_clock_steps_under_a_process_that_runs(tmp_path):
    if problem := clock.problem_of_shifting():
        pytest.skip(problem)
    file = tmp_path / "clock"
    file.write_bytes(struct.pack("=q", 0))
    code = "import sys, time; print(time.time(), flush=True); input(); time.sleep(0.01); print(time.time())"
    shifted = {**os.environ, "LD_PRELOAD": str(clock.build(tmp_path)), "CHAOS_CLOCK": str(file)}
    with subprocess.Popen([sys.executable, "-c", code], env=shifted, stdin=-1, stdout=-1, text=True) as process:
        before = float(process.stdout.readline())
        with file.open("r+b") as mapped:
            mapped.write(struct.pack("=q", clock.SHIFT_SECONDS))
        after = float(process.communicate("go on\n", timeout=30)[0])
    assert after - before == pytest.approx(clock.SHIFT_SECONDS, abs=20)
