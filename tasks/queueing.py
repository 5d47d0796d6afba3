"""How the rest of the project hands work to the queue: after commit, and without depending on the broker.

The event log is the truth and reads repair what they find stale, so a queue that is down costs speed and nothing
else. It must not cost a request either: a failed hand-over is logged, counted, and for a few seconds not tried again.
"""

import logging
import time
from functools import partial

from celery import Task
from django.db import transaction
from kombu.exceptions import OperationalError
from prometheus_client import Counter

logger = logging.getLogger(__name__)

QUEUE_FAILURES = Counter("forecourt_queue_failures_total", "Tasks the broker did not take, by task.", ["task"])

PAUSE_SECONDS = 2.0  # after a failure, so that a hanging broker slows one request down and not all of them
_paused_until = 0.0


def enqueue_on_commit(task: Task, *args: object) -> None:
    """Hand ``task(*args)`` to the broker once the running transaction has committed; never raises for the broker."""
    transaction.on_commit(partial(enqueue, task, *args), robust=True)


def enqueue(task: Task, *args: object) -> bool:
    """Hand ``task(*args)`` to the broker now; returns whether it was taken."""
    global _paused_until
    if time.monotonic() < _paused_until:
        QUEUE_FAILURES.labels(task.name).inc()
        return False
    try:
        task.apply_async(args=args, retry=False)
    except (OperationalError, OSError) as error:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        QUEUE_FAILURES.labels(task.name).inc()
        logger.warning("the broker did not take %s: %s", task.name, error)
        return False
    return True


def resume() -> None:
    """Try the broker again at the next task, whatever happened before."""
    global _paused_until
    _paused_until = 0.0
