"""How the rest of the project hands work to the queue: by name, after commit, and without depending on the broker.

The event log is the truth and reads repair what they find stale, so a queue that is down costs speed and nothing
else. It must not cost a request either: a failed hand-over is logged, counted, and not tried again until the broker
answers. Producers have short timeouts of their own; a worker may wait for its messages for longer.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from kombu import pools
from kombu.exceptions import LimitExceeded, OperationalError
from prometheus_client import Counter

from jobs import tracing  # noqa: F401  (sends the request's id along)
from web.outage import Breaker
from web.servers import broker_problem

logger = logging.getLogger(__name__)

QUEUE_FAILURES = Counter("forecourt_queue_failures_total", "Tasks the broker did not take, by task.", ["task"])

# A message or the end of its note may be lost: then another one is sent after so long. It is longer than a queue waits
# behind slow workers, or that would grow by one message for each buyer in that time; what beat repairs comes before.
WAITING_SECONDS = 120

PATIENCE_SECONDS = 0.5  # of a producer, for connecting and for an answer

breaker = Breaker("broker", broker_problem)


def enqueue_on_commit(task: str, *args: object) -> None:
    """Hand the task of that name to the broker once the running transaction has committed.

    Never raises for the broker. A name that no task has is found by a test over all calls, not here.
    """
    transaction.on_commit(partial(enqueue, task, *args), robust=True)


def enqueue_once_on_commit(task: str, *args: object) -> None:
    """The same for a task that looks at all there is when it begins, and calls ``taken_up`` then.

    While one with these arguments waits, another would do nothing, and behind workers that are slower than what comes
    in the queue would grow with each call. So one is sent in ``WAITING_SECONDS`` at most, unless a task begins.
    """
    transaction.on_commit(partial(_enqueue_once, task, *args), robust=True)


def _enqueue_once(task: str, *args: object) -> None:
    key = _waiting_key(task, args)
    if not breaker.is_open and not cache.add(key, 1, WAITING_SECONDS):
        return
    is_sent = False
    try:
        is_sent = enqueue_named(task, args)
    finally:
        if not is_sent:
            cache.delete(key)


def taken_up(task: str, *args: object) -> None:
    """What happens from now on is news to the task: the next ``enqueue_once_on_commit`` sends another one."""
    cache.delete(_waiting_key(task, args))


def _waiting_key(task: str, args: Sequence[object]) -> str:
    return ":".join(["queued", task, *(str(each) for each in args)])


def enqueue(task: str, *args: object) -> bool:
    """Hand the task of that name to the broker now; returns whether it was taken."""
    return enqueue_named(task, args)


def enqueue_named(
    task: str, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None, **how: Any
) -> bool:
    """The same with named arguments, and with ``how`` for Celery: a queue, headers."""
    if breaker.is_open:
        QUEUE_FAILURES.labels(task).inc()
        return False
    try:
        with _producers().acquire(block=True, timeout=PATIENCE_SECONDS) as producer:
            current_app.send_task(
                task, args=tuple(args), kwargs=dict(kwargs or {}), retry=False, producer=producer, **how
            )
    except (OperationalError, LimitExceeded, OSError) as error:
        breaker.trip(error)
        QUEUE_FAILURES.labels(task).inc()
        logger.warning("the broker did not take %s: %s", task, error)
        return False
    return True


def _producers() -> Any:
    """The pool of this process, of connections that give up soon; kombu would try again for ever."""
    options = dict(current_app.conf.broker_transport_options or {})
    if current_app.conf.broker_write_url.startswith("redis"):
        options |= {"socket_connect_timeout": PATIENCE_SECONDS / 2, "socket_timeout": PATIENCE_SECONDS}
    options |= {"max_retries": 0, "interval_start": 0, "interval_step": 0}
    connection = current_app.connection_for_write(connect_timeout=PATIENCE_SECONDS, transport_options=options)
    return pools.producers[connection]
