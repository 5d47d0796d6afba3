"""The supervisor, watching small programs instead of Forecourt's own; each test runs it as a process of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recommender_site.local.supervisor import AlreadyRunsError, end_leftovers, only_one, reserve_address, start_time

PROJECT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from pathlib import Path
from recommender_site.local import supervisor
from recommender_site.local.supervisor import Service, Supervisor
names_and_codes = zip(sys.argv[2::2], sys.argv[3::2])
supervisor.SECOND_PROCESS_SECONDS = 0.5
services = [
    Service(name, [sys.executable, "-c", code], grace_seconds=20, serves_without_leader=name == "web")
    for name, code in names_and_codes
]
Supervisor(Path(sys.argv[1])).run(services)
"""
SLEEPER = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
CRASHER = "import sys; sys.exit('no luck')"
WARM = """
import os, signal, sys, time
def finish(number, frame):
    time.sleep(0.3)
    print("finished the work in hand", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, finish)
print("pid", os.getpid(), flush=True)
time.sleep(600)
"""
FAMILY = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); {SLEEPER}"


class Run:
    """A supervisor under way, and what it has printed so far."""

    def __init__(self, state: Path, **programs: str) -> None:
        arguments = [word for pair in programs.items() for word in pair]
        command = [sys.executable, "-c", PROGRAM, str(state), *arguments]
        self.process = subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.printed = ""

    def wait_for(self, pattern: str, times: int = 1) -> list[str]:
        while len(found := re.findall(pattern, self.printed, re.MULTILINE)) < times:
            line = self.process.stdout.readline()
            assert line, f"ended without {pattern!r}:\n{self.printed}"
            self.printed += line
        return found

    def pids(self, times: int = 1) -> list[int]:
        return [int(pid) for pid in self.wait_for(r"\| pid (\d+)$", times)]

    def end(self) -> int:
        """What it prints until it ends is added; its exit code."""
        self.printed += self.process.communicate(timeout=30)[0]
        return self.process.returncode


@pytest.fixture
def run(tmp_path):
    runs = []

    def start(**programs: str) -> Run:
        runs.append(Run(tmp_path, **programs))
        return runs[-1]

    yield start
    for each in runs:
        each.process.kill()
        each.process.wait()
        each.process.stdout.close()
    end_leftovers(tmp_path, patience_seconds=0)


def is_alive(pid: int) -> bool:
    return start_time(pid) is not None


def wait_until(condition: Callable[[], bool], patience_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + patience_seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def test_what_a_service_prints_is_passed_on_under_its_name(run):
    supervisor = run(web="print('first'); print('second, cut', end=''); import time; time.sleep(0.2)")
    supervisor.wait_for(r"^web      \| first$")
    supervisor.wait_for(r"^web      \| second, cut$")


def test_a_service_that_ends_is_started_again(run):
    supervisor = run(web=SLEEPER, worker=CRASHER)
    supervisor.wait_for(r"^worker   \| no luck$", times=2)
    supervisor.wait_for(r"worker ended with exit code 1; starting it again in 1 s")
    supervisor.wait_for(r"worker ended with exit code 1; starting it again in 2 s")
    assert is_alive(supervisor.pids()[0])


def test_a_service_that_is_killed_leaves_no_children_behind(run):
    supervisor = run(worker=FAMILY)
    first_two = supervisor.pids(times=2)
    leader = next(pid for pid in first_two if os.getpgid(pid) == pid)
    os.kill(leader, signal.SIGKILL)
    supervisor.wait_for("worker was killed by SIGKILL")
    wait_until(lambda: not any(is_alive(pid) for pid in first_two))
    supervisor.pids(times=4)


def test_processes_that_serve_without_their_leader_go_on_until_the_next_one_serves(run):
    supervisor = run(web=FAMILY)
    leader, child = sorted(supervisor.pids(times=2), key=lambda pid: os.getpgid(pid) != pid)
    os.kill(leader, signal.SIGKILL)
    supervisor.wait_for("web was killed by SIGKILL")
    assert is_alive(child)
    next_two = supervisor.pids(times=4)[2:]
    wait_until(lambda: not is_alive(child))
    assert all(is_alive(pid) for pid in next_two)


def test_processes_without_their_leader_end_with_the_supervisor(run, tmp_path):
    supervisor = run(web=FAMILY)
    leader, child = sorted(supervisor.pids(times=2), key=lambda pid: os.getpgid(pid) != pid)
    os.kill(leader, signal.SIGKILL)
    supervisor.wait_for("web was killed by SIGKILL")
    supervisor.process.kill()
    supervisor.process.wait()
    end_leftovers(tmp_path, patience_seconds=0)
    wait_until(lambda: not is_alive(child))


def test_a_stop_lets_work_in_hand_be_finished(run):
    supervisor = run(worker=WARM, beat=SLEEPER)
    pids = supervisor.pids(times=2)
    supervisor.process.send_signal(signal.SIGTERM)
    assert supervisor.end() == 0
    assert "finished the work in hand" in supervisor.printed
    assert not any(is_alive(pid) for pid in pids)


def test_asking_twice_does_not_wait(run):
    supervisor = run(worker=STUBBORN)
    [pid] = supervisor.pids()
    supervisor.process.send_signal(signal.SIGINT)
    supervisor.wait_for("stopping")
    assert is_alive(pid)
    supervisor.process.send_signal(signal.SIGINT)
    assert supervisor.end() == 0
    assert not is_alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux signals children when their parent ends")
def test_services_of_a_killed_supervisor_stop_by_themselves(run, tmp_path):
    supervisor = run(worker=WARM)
    [pid] = supervisor.pids()
    supervisor.process.kill()
    supervisor.process.wait()
    end_leftovers(tmp_path)
    assert not is_alive(pid)


@pytest.mark.parametrize(("program", "n_processes"), [(STUBBORN, 1), (FAMILY, 2)], ids=["stubborn", "with children"])
def test_what_outlives_a_killed_supervisor_is_ended_by_the_next(run, tmp_path, program, n_processes):
    supervisor = run(worker=program)
    pids = supervisor.pids(times=n_processes)
    supervisor.process.kill()
    supervisor.process.wait()
    assert any(is_alive(pid) for pid in pids)
    end_leftovers(tmp_path, patience_seconds=0)
    wait_until(lambda: not any(is_alive(pid) for pid in pids))


def test_a_process_that_got_the_id_of_a_dead_service_is_left_alone(tmp_path):
    (tmp_path / "running.json").write_text(f'[[{os.getpid()}, "0"]]')
    end_leftovers(tmp_path, patience_seconds=0)  # we are still here


def test_a_second_supervisor_of_one_directory_is_refused(tmp_path):
    with only_one(tmp_path), pytest.raises(AlreadyRunsError, match=str(tmp_path)), only_one(tmp_path):
        pass
    with only_one(tmp_path):  # the lock goes with its holder
        pass


def test_an_address_in_use_is_refused():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        reserve_address("127.0.0.1", taken.getsockname()[1])


def test_a_terminal_that_went_away_stops_everything(run):
    supervisor = run(worker="while True: print('line', flush=True)")
    supervisor.wait_for("line")
    supervisor.process.stdout.close()
    assert supervisor.process.wait(timeout=30) == 0


def test_a_full_disk_under_the_log_and_the_record_ends_nothing(tmp_path):
    state, started = tmp_path / "state", tmp_path / "started"
    program = f"print('line', flush=True); open({str(started)!r}, 'a').write('x')"  # ends, and is started again
    with open("/dev/full", "w") as full:  # whose every write fails as on a full disk
        supervisor = subprocess.Popen([sys.executable, "-c", PROGRAM, str(state), "worker", program], cwd=PROJECT,
                                      stdout=full, stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            wait_until(lambda: started.exists() and len(started.read_text()) >= 2)
            state.mkdir()  # there is room for the record again
            wait_until((state / "running.json").exists)
            assert supervisor.poll() is None
        finally:
            supervisor.terminate()
            assert supervisor.wait(timeout=30) == 0
