"""Write served lists off the hot path: a thread of each process inserts them in batches.

The caller does not wait for the write. If the writer falls behind, the caller writes by itself. When the process ends
in an orderly way, the remaining lists are written first, for at most ``FLUSH_SECONDS``. While the database does not
answer, lists wait until it does. A failed write neither ends the writer nor reaches the buyer: it is logged and
counted, and the next list restarts a writer that has ended.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading
import time
import uuid

from django.conf import settings
from django.db import Error, IntegrityError, InterfaceError, OperationalError, connection, transaction

from recommendations.models import ServedList
from recommendations.telemetry import (
    SERVED_LIST_WRITERS_ENDED,
    SERVED_LISTS_LOGGED,
    SERVED_LISTS_LOST,
    SERVED_LISTS_WAITING,
)

logger = logging.getLogger(__name__)

WAITING_AT_MOST = 5000  # lists
BATCH = 500
GATHER_SECONDS = 0.05  # that a list waits for others: a transaction of its own costs as much as a tenth of the list
ATTEMPTS = 5  # at lists that the database refuses; where it does not answer there is no end of them
OUTAGES = (OperationalError, InterfaceError)
PAUSE_SECONDS = 1.0
LOOKS = 6  # for a list that another process may be writing
LOOK_AGAIN_SECONDS = 0.05
FLUSH_SECONDS = 5.0  # below the patience of gunicorn and of the supervisor, which would kill the process


class ServedListWriter:
    """The writer of one process, started by the first list, because threads do not survive a fork."""

    def __init__(self) -> None:
        self._queue: queue.Queue[ServedList] = queue.Queue(WAITING_AT_MOST)
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._start_lock = threading.Lock()
        self._is_ending = threading.Event()
        self._unwritten: dict[uuid.UUID, ServedList] = {}

    def unwritten(self, list_id: uuid.UUID) -> ServedList | None:
        """Return a list that this process has handed over and not written yet."""
        return self._unwritten.get(list_id)

    def write(self, served: ServedList) -> None:
        """Hand a list over to be written."""
        if not settings.SERVED_LIST_THREAD:
            insert([served])
            return
        self._ensure_running()
        self._unwritten[served.pk] = served
        try:
            self._queue.put_nowait(served)
        except queue.Full:
            self._unwritten.pop(served.pk, None)
            write_or_lose([served])
        SERVED_LISTS_WAITING.set(self._queue.qsize())

    def flush(self) -> bool:
        """Wait up to ``FLUSH_SECONDS`` until all lists handed over are written; returns whether they are."""
        deadline = time.monotonic() + FLUSH_SECONDS
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not self._is_alive():
                    return False
                self._queue.all_tasks_done.wait(min(remaining, 0.2))
        return True

    def end(self) -> None:
        """Write the remaining lists at the end of the process, without a retry, and log those that failed."""
        self._is_ending.set()
        if self._pid == os.getpid() and not self.flush():
            logger.error("ended with %s served lists not recorded", self._queue.unfinished_tasks)

    def _is_alive(self) -> bool:
        return self._thread is not None and self._pid == os.getpid() and self._thread.is_alive()

    def _ensure_running(self) -> None:
        if self._is_alive():
            return
        with self._start_lock:
            if self._is_alive():
                return
            if self._pid == os.getpid():  # it lives no more, which no exception of ours should bring about
                logger.error("the writer of served lists had ended; starting it again")
                SERVED_LIST_WRITERS_ENDED.inc()
            else:
                self._pid = os.getpid()
                self._queue = queue.Queue(WAITING_AT_MOST)
                self._unwritten = {}
                self._is_ending = threading.Event()
                atexit.register(self.end)
            self._thread = threading.Thread(target=self._run, name="served-lists", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            batch = [self._queue.get()]
            try:
                self._is_ending.wait(GATHER_SECONDS)
                while len(batch) < BATCH and not self._queue.empty():
                    batch.append(self._queue.get_nowait())
                self._insert_patiently(batch)
            except Exception:
                SERVED_LISTS_LOST.inc(len(batch))
                logger.exception("lost the record of %s served lists", len(batch))
            finally:
                for served in batch:
                    self._unwritten.pop(served.pk, None)
                    self._queue.task_done()
            self._rest()

    def _insert_patiently(self, batch: list[ServedList]) -> None:
        refusals = 0
        while refusals < ATTEMPTS:
            try:
                insert(batch)
                return
            except Error as error:
                logger.warning("could not record served lists, trying again: %s", error)
                connection.close()
                refusals += not isinstance(error, OUTAGES)
            if self._is_ending.wait(PAUSE_SECONDS):
                break
        SERVED_LISTS_LOST.inc(len(batch))
        logger.error("gave up on the record of %s served lists", len(batch))

    def _rest(self) -> None:
        """Return the connection to the pool while there is nothing to write."""
        SERVED_LISTS_WAITING.set(self._queue.qsize())
        if self._queue.empty():
            try:
                connection.close()
            except Exception:
                logger.exception("could not give back the connection of the writer of served lists")


def insert(batch: list[ServedList]) -> None:
    """Write lists; one whose buyer or version was removed is dropped, and the others are written."""
    try:
        with transaction.atomic():
            ServedList.objects.bulk_create(batch, ignore_conflicts=True)
    except IntegrityError as error:
        if len(batch) == 1:
            logger.info("a served list is not recorded: %s", error)
            return
        for served in batch:
            insert([served])
        return
    SERVED_LISTS_LOGGED.inc(len(batch))


def write_or_lose(batch: list[ServedList]) -> None:
    """Write lists in the thread that serves a buyer, who gets their list even if this fails."""
    try:
        insert(batch)
    except Exception:
        SERVED_LISTS_LOST.inc(len(batch))
        logger.exception("lost the record of %s served lists", len(batch))


writer = ServedListWriter()


def find_served_list(list_id: uuid.UUID) -> ServedList | None:
    """Return a list with its buyer and placement, also one that any process has just answered."""
    for _ in range(LOOKS):
        if own := writer.unwritten(list_id):
            return own
        lists = ServedList.objects.select_related("buyer", "placement").filter(pk=list_id).order_by()
        served = lists.lately().first() or lists.first()
        if served or not settings.SERVED_LIST_THREAD:
            return served
        time.sleep(LOOK_AGAIN_SECONDS)
    return None
