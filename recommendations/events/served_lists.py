"""Served lists are written off the hot path: a thread of this process inserts what has gathered.

The caller does not wait for the record of a list. Should the writer fall behind, the caller writes by itself;
when the process ends in an orderly way, what is left is written first.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import threading

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction

from recommendations.models import ServedList
from recommendations.telemetry import SERVED_LISTS_LOGGED

logger = logging.getLogger(__name__)

WAITING_AT_MOST = 5000  # lists
BATCH = 500
ATTEMPTS = 5
PAUSE_SECONDS = 1.0


class ServedListWriter:
    """One per process, started by the first list, because threads do not survive a fork."""

    def __init__(self) -> None:
        self._queue: queue.Queue[ServedList] = queue.Queue(WAITING_AT_MOST)
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._start_lock = threading.Lock()

    def write(self, served: ServedList) -> None:
        """Hand a list over; it will be in the database a moment later."""
        if not settings.SERVED_LIST_THREAD:
            insert([served])
            return
        self._ensure_running()
        try:
            self._queue.put_nowait(served)
        except queue.Full:
            insert([served])

    def flush(self) -> None:
        """Wait until everything handed over has been written."""
        self._queue.join()

    def _ensure_running(self) -> None:
        with self._start_lock:
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._queue = queue.Queue(WAITING_AT_MOST)
                self._thread = threading.Thread(target=self._run, name="served-lists", daemon=True)
                self._thread.start()
                atexit.register(self.flush)

    def _run(self) -> None:
        stopped = threading.Event()
        while True:
            batch = [self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            for _ in range(ATTEMPTS):
                if insert_quietly(batch):
                    break
                stopped.wait(PAUSE_SECONDS)
            else:
                logger.error("gave up on the record of %s served lists", len(batch))
            for _ in batch:
                self._queue.task_done()
            if self._queue.empty():
                connection.close()  # give it back to the pool while nothing is to be written


def insert(batch: list[ServedList]) -> None:
    """Write lists; one whose buyer or version is gone by now is dropped, and the others are not lost with it."""
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


def insert_quietly(batch: list[ServedList]) -> bool:
    try:
        insert(batch)
    except DatabaseError as error:
        logger.warning("could not record served lists, trying again: %s", error)
        connection.close()
        return False
    return True


writer = ServedListWriter()
