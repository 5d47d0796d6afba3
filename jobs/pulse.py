"""Which worker took from each queue last, and when it was alive last: workers say so, and the cache keeps it.

A worker that ends says nothing more. The cache may lose it all: living workers have said it again within seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import current_app
from celery.signals import heartbeat_sent
from django.core.cache import cache
from django.utils import timezone

EVERY_SECONDS = 15.0  # of Celery's own beats, one every two seconds
KEPT_SECONDS = 30 * 86_400  # so that a worker that is away since weeks is still named
_written: dict[str, float] = {}  # by worker, of this process


@dataclass(frozen=True)
class Pulse:
    worker: str
    seen_at: datetime


def key_of(queue: str) -> str:
    return f"worker-pulse:{queue}"


def note_pulse(sender: Any, **kwargs: Any) -> None:
    """In the main process of a worker, whatever its tasks are doing: one write for all of its queues."""
    worker, now = str(sender.eventer.hostname), time.monotonic()
    if now - _written.get(worker, -EVERY_SECONDS) < EVERY_SECONDS:
        return
    _written[worker] = now
    pulse = {"worker": worker, "seen_at": timezone.now()}
    cache.set_many({key_of(queue): pulse for queue in current_app.amqp.queues.consume_from}, KEPT_SECONDS)


heartbeat_sent.connect(note_pulse, dispatch_uid="jobs.note_pulse")


def pulses_of(queues: Iterable[str]) -> dict[str, Pulse]:
    """The last sign of life from each queue's workers; queues that no worker has taken from are left out."""
    names = list(queues)
    found = cache.get_many([key_of(name) for name in names])
    return {name: Pulse(**found[key_of(name)]) for name in names if key_of(name) in found}
