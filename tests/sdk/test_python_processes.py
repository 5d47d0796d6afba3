"""The Python client's queue under threads, and in processes that are forked from one that uses it."""

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import settings

from forecourt import QueueOptions
from forecourt.queues import EventQueue

SOURCES = Path(settings.BASE_DIR) / "sdk" / "python" / "src"
PATIENT = QueueOptions(seconds=3600)


class SlowThread(threading.Thread):
    """Starts so slowly that every other thread comes in between."""

    def start(self):
        time.sleep(0.02)
        super().start()


def answered(batch):
    return {"recorded": len(batch), "events": [{"status": "recorded", "fields": {}} for _ in batch]}


def test_one_thread_sends_however_many_add_at_the_same_time(monkeypatch):
    started = []
    queue = EventQueue(answered, PATIENT)
    before = set(threading.enumerate())
    with ThreadPoolExecutor(16) as pool:
        with monkeypatch.context() as patched:
            patched.setattr("forecourt.queues.threading.Thread", SlowThread)
            barrier = threading.Barrier(16)
            list(pool.map(lambda n: (barrier.wait(), queue.add({"kind": "view"})), range(16)))
        started = [each for each in set(threading.enumerate()) - before if each.name == "forecourt-events"]
    assert len(started) == 1
    assert len(queue) == 16
    queue.close()
    assert (queue.unsent, started[0].is_alive()) == ([], False)


def test_an_event_is_sent_or_refused_while_another_thread_closes():
    sent, taken = [], []
    queue = EventQueue(lambda batch: (sent.extend(each["event_id"] for each in batch), answered(batch))[1], PATIENT)

    def add(worker):
        for number in range(200):
            try:
                queue.add({"kind": "view", "event_id": f"{worker}-{number}"})
            except RuntimeError:
                return
            taken.append(f"{worker}-{number}")

    with ThreadPoolExecutor(4) as pool:
        adding = [pool.submit(add, worker) for worker in range(4)]
        queue.close()
        for each in adding:
            each.result()
    assert (sorted(sent), queue.unsent) == (sorted(taken), [])
    with pytest.raises(RuntimeError):
        queue.add({"kind": "view"})


FORKING = """
    import os, signal, sys, threading
    from forecourt import Client, QueueOptions
    from forecourt.queues import EventQueue

    reached, go_on = threading.Event(), threading.Event()

    def send(batch):
        if os.getpid() == parent:
            reached.set()
            go_on.wait()
        whose = "parent" if os.getpid() == parent else "child"
        os.write(1, f"{whose} {[each['event_id'] for each in batch]}\\n".encode())
        return {"events": [{"status": "recorded", "fields": {}} for _ in batch]}

    parent = os.getpid()
    client = Client("http://localhost", api_key="x")
    connections = client._http
    queue = EventQueue(send, QueueOptions(seconds=3600))
    queue.add({"kind": "view", "event_id": "1"})
    threading.Thread(target=queue.flush).start()
    reached.wait()  # another thread is in the middle of sending, with its locks
    queue._buffer._lock.acquire()
    if os.fork() == 0:
        signal.alarm(10)
        assert client._http is not connections
        assert len(queue) == 0
        queue.add({"kind": "view", "event_id": "2"})
        assert queue._thread.is_alive()
        ENDING
    queue._buffer._lock.release()
    assert client._http is connections
    _, status = os.wait()
    go_on.set()
    queue.close()
    sys.exit(status)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Nothing forks there.")
@pytest.mark.parametrize("ending", ["queue.flush(); os._exit(0)", "queue.close(); os._exit(0)", "sys.exit(0)"])
def test_a_forked_process_sends_its_own_events_and_no_others(ending):
    program = textwrap.dedent(FORKING).replace("ENDING", ending)
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(SOURCES)}
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert sorted(ran.stdout.splitlines()) == ["child ['2']", "parent ['1']"]
