"""How the rest of the project hands work to the queue: by name, after commit, and without depending on the broker.

The event log is the truth and reads repair what they find stale, so a queue that is down costs speed and nothing
else. It must not cost a request either: a failed hand-over is logged, counted, and for a few seconds not tried again.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError
from prometheus_client import Counter

from jobs import tracing  # noqa: F401  (sends the request's id along)

logger = logging.getLogger(__name__)

QUEUE_FAILURES = Counter("forecourt_queue_failures_total", "Tasks the broker did not take, by task.", ["task"])

PAUSE_SECONDS = 2.0  # after a failure, so that a hanging broker slows one request down and not all of them

_paused_until = 0.0


def enqueue_on_commit(task: str, *args: object) -> None:
    """Hand the task of that name to the broker once the running transaction has committed.

    Never raises for the broker. A name that no task has is found by a test over all calls, not here.
    """
    transaction.on_commit(partial(enqueue, task, *args), robust=True)


def enqueue(task: str, *args: object) -> bool:
    """Hand the task of that name to the broker now; returns whether it was taken."""
    return enqueue_named(task, args)


def enqueue_named(
    task: str, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None, **how: Any
) -> bool:
    """The same with named arguments, and with ``how`` for Celery: a queue, headers."""
    global _paused_until
    if time.monotonic() < _paused_until:
        QUEUE_FAILURES.labels(task).inc()
        return False
    try:
        current_app.send_task(task, args=tuple(args), kwargs=dict(kwargs or {}), retry=False, **how)
    except (OperationalError, OSError) as error:
        _paused_until = time.monotonic() + PAUSE_SECONDS
        QUEUE_FAILURES.labels(task).inc()
        logger.warning("the broker did not take %s: %s", task, error)
        return False
    return True


def resume() -> None:
    """Try the broker again at the next task, whatever happened before."""
    global _paused_until
    _paused_until = 0.0
