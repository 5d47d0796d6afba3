"""Advisory locks that keep two processes from computing the same buyer's preference at the same time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connection
from django.db.backends.utils import CursorWrapper

from web.postgres.pooling import keeps_session

TURN_SECONDS = 0.25  # to wait for another process's computation, which takes a tenth of that
LOCK_SPACE = 0x7A57E << 40  # keeps our advisory locks apart from others


@contextmanager
def lock_buyer(buyer_id: int) -> Iterator[bool]:
    """Let one process at a time compute a buyer's preference; yields whether this one had to wait.

    A worker and a reader often notice the same event at the same moment, and the lock saves the second of them the
    work. Correctness does not depend on it: a process that waited for too long goes on without it, and behind
    PgBouncer, where a session's lock would pass to other clients, none is taken.
    """
    if not keeps_session():
        yield False
        return
    deadline = time.monotonic() + TURN_SECONDS
    had_to_wait = False
    with connection.cursor() as cursor:
        while not (is_mine := try_lock(cursor, buyer_id)) and time.monotonic() < deadline:
            had_to_wait = True
            time.sleep(TURN_SECONDS / 50)
        try:
            yield had_to_wait
        finally:
            if is_mine:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK_SPACE + buyer_id])


@contextmanager
def lock_buyers(buyer_ids: Sequence[int]) -> Iterator[set[int]]:
    """Lock those of many buyers that no other process has locked; yields their ids. It never waits: no deadlocks."""
    if not keeps_session():
        yield set(buyer_ids)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, pg_try_advisory_lock(%s + id) FROM unnest(%s::bigint[]) AS id",
                       [LOCK_SPACE, list(buyer_ids)])  # fmt: skip
        mine = {buyer_id for buyer_id, is_mine in cursor.fetchall() if is_mine}
        try:
            yield mine
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s + id) FROM unnest(%s::bigint[]) AS id",
                           [LOCK_SPACE, sorted(mine)])  # fmt: skip


def try_lock(cursor: CursorWrapper, buyer_id: int) -> bool:
    cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK_SPACE + buyer_id])
    is_locked: bool = cursor.fetchone()[0]
    return is_locked
