"""The listing indexes of versions that serve lists beside the live one: for variants of experiments that name a
version.

Each process holds the few that are in use, since each takes as much memory as the live one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings

from recommendations.exceptions import RankerRefused
from recommendations.listings.index import ListingIndex, borrow_index, is_too_old
from recommendations.models import RankerVersion

HELD_AT_MOST = 2  # versions beside the live one; running experiments may not name more, whichever is live


@dataclass(eq=False)
class Held:
    """One version in a process; a user of its index holds the lock."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    index: ListingIndex | None = None
    checked_at: float = float("-inf")


_lock = threading.Lock()  # of the table; never held while an index is loaded
_held: dict[int, Held] = {}  # the one used last stands last


@contextmanager
def borrow_served_version(version_id: int) -> Iterator[ListingIndex]:
    """Yield the index of a version that serves lists, up to date, for the length of a block.

    Other threads that use the same version wait, as with ``borrow_index``. The first use waits until it is loaded.

    Raises:
        RankerRefused: If the version has no vectors (any more), or its artifact cannot be loaded.
    """
    with borrow_index() as live:
        if live is not None and live.version_id == version_id:
            yield live
            return
    held = _held_for(version_id)
    with held.lock:
        yield _in_step(held, version_id)


def _held_for(version_id: int) -> Held:
    with _lock:
        held = _held.pop(version_id, None) or Held()
        _held[version_id] = held
        for other in list(_held)[:-HELD_AT_MOST]:
            del _held[other]
        return held


def _in_step(held: Held, version_id: int) -> ListingIndex:
    now = time.monotonic()
    if held.index is None or is_too_old(held.index, now):
        held.index = None  # let go of the one before the next takes its memory
        if not RankerVersion.objects.usable().filter(pk=version_id).exists():
            raise RankerRefused(f"v{version_id} is neither live nor ready, so it has no vectors to rank by")
        held.index = ListingIndex(version_id)
    elif now - held.checked_at > settings.WINDOW_STALENESS_SECONDS:
        held.index.sync()
    held.checked_at = time.monotonic()
    return held.index
