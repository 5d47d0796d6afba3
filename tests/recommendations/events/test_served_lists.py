"""The writer of served lists survives whatever happens to it, and its last flush ends in time."""

import threading
import time

import pytest
from django.db import DatabaseError, DataError, InterfaceError, OperationalError

from recommendations.events import served_lists
from recommendations.events.served_lists import ServedListWriter
from recommendations.models import ServedList

ANY_EXCEPTION = [
    ValueError("no"), TypeError("no"), KeyError("no"), MemoryError(), RuntimeError("no"), AttributeError("no"),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), DatabaseError("no"), DataError("no"),
    OSError(28, "No space left on device"), RecursionError(), AssertionError(), StopIteration(),
]  # fmt: skip


@pytest.fixture
def writer(settings, monkeypatch):
    settings.SERVED_LIST_THREAD = True
    monkeypatch.setattr(served_lists, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(served_lists.connection, "close", lambda: None)
    return ServedListWriter()


@pytest.mark.parametrize("error", ANY_EXCEPTION, ids=lambda error: type(error).__name__)
def test_the_writer_survives_any_exception(error, writer, monkeypatch):
    written: list[ServedList] = []
    is_broken = True

    def insert(batch: list[ServedList]) -> None:
        if is_broken:
            raise error
        written.extend(batch)

    monkeypatch.setattr(served_lists, "insert", insert)
    writer.write(ServedList())
    assert writer.flush()
    first = writer._thread
    is_broken = False
    writer.write(ServedList())
    assert writer.flush()
    assert len(written) == 1
    assert writer._thread is first


@pytest.mark.parametrize("outage", [OperationalError, InterfaceError])
def test_lists_wait_for_a_database_that_is_away_however_long(outage, writer, monkeypatch):
    written: list[ServedList] = []
    attempts = 0

    def insert(batch: list[ServedList]) -> None:
        nonlocal attempts
        attempts += 1
        if attempts <= 4 * served_lists.ATTEMPTS:
            raise outage("away")
        written.extend(batch)

    monkeypatch.setattr(served_lists, "insert", insert)
    lists = [ServedList(), ServedList()]
    for served in lists:
        writer.write(served)
    assert writer.flush()
    assert written == lists


def test_a_writer_that_ended_is_started_again_and_writes_what_waits(writer, monkeypatch, caplog):
    written: list[ServedList] = []
    monkeypatch.setattr(served_lists, "insert", written.extend)
    monkeypatch.setattr(ServedListWriter, "_run", lambda self: None)  # it ends at once
    writer.write(ServedList())
    writer._thread.join()
    monkeypatch.undo()
    monkeypatch.setattr(served_lists, "insert", written.extend)
    monkeypatch.setattr(served_lists.connection, "close", lambda: None)
    writer.write(ServedList())
    assert writer.flush()
    assert len(written) == 2
    assert "starting it again" in caplog.text


def test_lists_are_gathered_and_written_together_and_the_end_does_not_wait_for_more(writer, monkeypatch):
    batches: list[list[ServedList]] = []
    monkeypatch.setattr(served_lists, "insert", lambda batch: batches.append(list(batch)))
    monkeypatch.setattr(served_lists, "GATHER_SECONDS", 60)
    lists = [ServedList() for _ in range(3)]
    for served in lists:
        writer.write(served)
    assert all(writer.unwritten(served.pk) is served for served in lists)
    writer.end()
    assert batches == [lists]


@pytest.mark.parametrize("hangs", [True, False], ids=["silent", "failing"])
def test_the_flush_at_the_end_is_bounded(hangs, writer, monkeypatch, caplog):
    release = threading.Event()

    def insert(batch: list[ServedList]) -> None:
        if hangs:
            release.wait(30)
        raise OperationalError("the database is away")

    monkeypatch.setattr(served_lists, "insert", insert)
    monkeypatch.setattr(served_lists, "FLUSH_SECONDS", 0.3)
    monkeypatch.setattr(ServedListWriter.flush, "__defaults__", (0.3,))
    for _ in range(3):
        writer.write(ServedList())
    began_at = time.monotonic()
    writer.end()
    release.set()
    assert time.monotonic() - began_at < 2
    assert "not recorded" in caplog.text or "gave up" in caplog.text


def test_a_buyer_gets_their_list_when_the_queue_is_full_and_the_database_away(writer, monkeypatch):
    def insert(batch: list[ServedList]) -> None:
        raise OperationalError("the database is away")

    monkeypatch.setattr(ServedListWriter, "_ensure_running", lambda self: None)
    monkeypatch.setattr(served_lists, "insert", insert)
    writer._queue.maxsize = 1
    writer.write(ServedList())
    writer.write(ServedList())
