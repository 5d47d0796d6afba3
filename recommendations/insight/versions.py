"""The listing index of a version that is not live, to compare versions."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from recommendations.exceptions import RankerRefused
from recommendations.listings.index import ListingIndex, borrow_index, is_too_old
from recommendations.models import RankerVersion

_lock = threading.Lock()
_other_index: ListingIndex | None = (
    None  # of a version that is not live; one per process, for it is as large as the live one
)


@contextmanager
def borrow_version(version_id: int | None = None) -> Iterator[ListingIndex]:
    """Yield the listing index of a version, up to date, for the length of a block; of the live version if none is
    named. Raises RankerRefused if the version has no vectors (any more), or none is live."""
    with borrow_index() as live:
        if live is not None and version_id in (None, live.version_id):
            yield live
            return
    if version_id is None:
        raise RankerRefused("no ranker version is live yet; train one first")
    with _lock:
        yield _index_of(version_id)


def _index_of(version_id: int) -> ListingIndex:
    global _other_index
    if (
        _other_index is not None
        and _other_index.version_id == version_id
        and not is_too_old(_other_index, time.monotonic())
    ):
        _other_index.sync()
        return _other_index
    if not RankerVersion.objects.usable().filter(pk=version_id).exists():
        raise RankerRefused(f"v{version_id} is neither live nor ready, so it has no vectors to rank by")
    _other_index = None  # free the memory of the previous one first
    _other_index = ListingIndex(version_id)
    return _other_index
