"""The listing index of this process: borrowed by readers, kept up to date, and shared with other processes by files.

In a web process a thread reads changes and loads other versions, while readers use the index they have; it takes the
readers' lock only while arrays are copied.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from recommendations.exceptions import RankerRefused
from recommendations.listings import shared
from recommendations.listings.listing_index import ListingIndex as ListingIndex
from recommendations.models import RankerVersion

logger = logging.getLogger(__name__)
RELOAD_AFTER_ASLEEP_SECONDS = 1800  # lines of changes are swept after an hour (tasks.maintenance)
PATIENCE_SECONDS = 0.02  # a reader waits so long for what changed; a large import or another version takes longer
IDLE_SECONDS = 5.0  # then the thread that keeps the index gives its connection back
PAUSE_SECONDS = 1.0  # after a failure
PART_PAUSE_SECONDS = 0.05  # between two parts of a large import, so that requests have the processor too
RELOAD_AFTER_SECONDS = 86_400  # to let go of listings that ended long ago
_lock = threading.RLock()
_index: ListingIndex | None = None
_checked_at = float("-inf")
_n_borrowed = 0  # blocks of the thread that holds the lock
_borrower = 0  # that thread


@contextmanager
def borrow_index(*, is_stale_allowed: bool = False) -> Iterator[ListingIndex | None]:
    """Yield the index of the live version, up to date, for the length of a block; None before the first promotion.

    Other threads of the process wait meanwhile, so keep the block short. Promotions and rollbacks of other processes
    are noticed every ``settings.WINDOW_STALENESS_SECONDS``. With ``settings.LISTING_INDEX_THREAD`` a thread beside the
    requests loads and updates the index, and until a new version is loaded the previous one is used: a block waits for
    a load only where there is no index at all. Without the thread, if the database does not answer, a caller that needs
    nothing else of it may get the index as it is (``is_stale_allowed``); others get the database's error.
    """
    global _n_borrowed, _borrower
    if settings.LISTING_INDEX_THREAD and _is_due() and not _is_borrower():
        keeper.look(PATIENCE_SECONDS if _is_due(2 * settings.WINDOW_STALENESS_SECONDS) else 0.0)
    with _lock:
        if not _n_borrowed and (_index is None or not settings.LISTING_INDEX_THREAD):
            try:
                _follow_live_version()  # a borrower who calls another must not have the index changed underneath
            except (OperationalError, InterfaceError):
                if not is_stale_allowed or _index is None:
                    raise
        _n_borrowed += 1
        _borrower = threading.get_ident()
        try:
            yield _index
        finally:
            _n_borrowed -= 1
            _borrower = _borrower if _n_borrowed else 0


def drop_index() -> None:
    """Drop the index, so that the next reader loads a new one."""
    global _index, _checked_at
    with _lock:
        _index, _checked_at = None, float("-inf")


def _is_due(seconds: float | None = None) -> bool:
    """Whether the last check was longer ago than ``seconds``; by default, than an index may be behind."""
    seconds = settings.WINDOW_STALENESS_SECONDS if seconds is None else seconds
    return _index is not None and time.monotonic() - _checked_at > seconds


def _is_borrower() -> bool:
    """Whether this thread holds the index already; then it must not wait for another one."""
    return _borrower == threading.get_ident()


def _follow_live_version() -> None:
    """Load or update the index, in the thread that holds the lock."""
    global _index, _checked_at
    now = time.monotonic()
    if now - _checked_at <= settings.WINDOW_STALENESS_SECONDS:
        return
    live_id = live_version_id()
    if live_id is None:
        _index = None
    elif _index is None or needs_another(_index, live_id, now):
        _index = load_index(live_id)
    else:
        _index.sync()
    _checked_at = time.monotonic()


def _follow_beside_requests() -> None:
    """Load or update the index without the lock, which is taken only to replace it."""
    global _index, _checked_at
    held, now = _index, time.monotonic()
    if held is None:
        return  # the next reader loads it
    live_id = live_version_id()
    if live_id is not None and not needs_another(held, live_id, now):
        update = held.read_update()
        with _lock:
            held.apply(update)
            _checked_at = time.monotonic()
        renew_files(held)
        return
    another = load_index(live_id) if live_id is not None else None
    with _lock:
        if _index is held:
            _index = another
        _checked_at = time.monotonic()


def live_version_id() -> int | None:
    return RankerVersion.objects.filter(status=RankerVersion.Status.LIVE).values_list("id", flat=True).first()


def load_index(version_id: int) -> ListingIndex | None:
    """Return the index of a version: from the files of this machine where they are usable, else from the database."""
    try:
        if not shared.is_on():
            return ListingIndex(version_id)
        with shared.only_one():
            return mapped_index(version_id) or write_down(ListingIndex(version_id))
    except RankerRefused as refusal:
        logger.error("cannot load the live ranker: %s", refusal)
        return None


def mapped_index(version_id: int) -> ListingIndex | None:
    taken_down = shared.read(version_id)
    if taken_down is None or time.time() - taken_down.rest["loaded_at"] > RELOAD_AFTER_SECONDS:
        return None
    return ListingIndex(version_id, taken_down)


def write_down(listing_index: ListingIndex) -> ListingIndex:
    """Write an index to files for other processes; returns one mapped from the files, so that they share its memory."""
    if not listing_index.is_complete:
        return listing_index
    taken_down = shared.Shared(*listing_index.taken_down())
    is_written = shared.write(listing_index.version_id, taken_down)
    return (mapped_index(listing_index.version_id) if is_written else None) or listing_index


def renew_files(listing_index: ListingIndex) -> None:
    """Write an index again before its files are too old for a starting process; called by the process that updates
    it."""
    if not shared.is_on() or not listing_index.is_complete or listing_index.is_behind:
        return
    if shared.age_of(listing_index.version_id) > shared.RENEWED_AFTER_SECONDS:
        with shared.only_one():
            if shared.age_of(listing_index.version_id) > shared.RENEWED_AFTER_SECONDS:
                shared.write(listing_index.version_id, shared.Shared(*listing_index.taken_down()))


def needs_another(listing_index: ListingIndex, live_id: int, now: float) -> bool:
    """Whether an index is of another version than the live one, or so old that it is loaded again."""
    return listing_index.version_id != live_id or is_too_old(listing_index, now)


def is_too_old(listing_index: ListingIndex, now: float) -> bool:
    return (
        now - listing_index.synced_at > RELOAD_AFTER_ASLEEP_SECONDS
        or now - listing_index.loaded_at > RELOAD_AFTER_SECONDS
    )


class IndexKeeper:
    """The thread of a process that keeps its index up to date. It runs when a reader finds the index due, so that an
    idle process does not query the database."""

    def __init__(self) -> None:
        self._start_lock = threading.Lock()
        self._pid = 0
        self._asked = threading.Event()
        self._looked = threading.Condition()
        self._n_looks = 0

    def look(self, patience: float) -> None:
        """Request an update, and wait at most ``patience`` seconds for it; usually little has changed.

        For consecutive requests none has to wait: the update requested by one is done for the next.
        """
        self._ensure_running()
        if not patience:
            self._asked.set()
            return
        with self._looked:
            n_looks = self._n_looks
            self._asked.set()
            self._looked.wait_for(lambda: self._n_looks > n_looks, patience)

    def _ensure_running(self) -> None:
        with self._start_lock:
            if self._pid != os.getpid():  # threads do not survive a fork
                self._pid = os.getpid()
                self._asked, self._looked = threading.Event(), threading.Condition()
                threading.Thread(target=self._run, name="listing-index", daemon=True).start()

    def _run(self) -> None:
        while True:
            if not self._asked.wait(IDLE_SECONDS):
                connection.close()  # give it back to the pool while no list is asked for
                self._asked.wait()
            self._asked.clear()
            try:
                _follow_beside_requests()
                if _index is not None and _index.is_behind:  # the rest of a large import
                    PAUSE.wait(PART_PAUSE_SECONDS)
                    self._asked.set()
            except Exception:  # readers go on with the index they have, and the next one asks again
                logger.exception("the listing index could not be brought in step")
                connection.close()
                PAUSE.wait(PAUSE_SECONDS)
            with self._looked:
                self._n_looks += 1
                self._looked.notify_all()


PAUSE = threading.Event()  # never set
keeper = IndexKeeper()
