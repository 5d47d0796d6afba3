"""A look into the broker: what waits in the queues, which workers answer; and taking a task out again."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery import current_app
from django.conf import settings
from kombu.connection import Connection
from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 2

SHOWN_WAITING = 50


@dataclass(frozen=True)
class WaitingTask:
    """A message that no worker has taken yet; ``args`` as Python writes them."""

    task_id: str
    name: str
    args: str
    queue: str


@dataclass(frozen=True)
class Worker:
    """A worker that answered: what it is doing now, as (task, id) pairs, and which queues it takes from."""

    name: str
    running: tuple[tuple[str, str], ...]
    queues: tuple[str, ...]


def queue_depths() -> dict[str, int] | None:
    """How many tasks wait in each of our queues; None when the broker does not answer."""
    try:
        with _broker() as connection:
            channel = connection.default_channel
            # Declared as a worker would, since kombu's question whether a Redis queue exists ignores our key prefix.
            return {
                name: current_app.amqp.queues[name](channel).queue_declare().message_count for name in settings.QUEUES
            }
    except (KombuError, OSError) as error:
        logger.warning("the broker did not report its queues: %s", error)
        return None


def waiting_tasks(queue: str, most: int = SHOWN_WAITING) -> list[WaitingTask] | None:
    """The tasks that wait in a queue, the next one first; None where the broker cannot be asked, or only counts."""
    try:
        with _broker() as connection:
            messages = _peek(connection, queue, most)
    except (KombuError, OSError):
        return None
    return None if messages is None else [_parsed(message, queue) for message in messages]


def drop_waiting(task_id: str) -> bool:
    """Take a task out of the queue it waits in; whether it was there. A worker that has it already keeps it."""
    for queue in settings.QUEUES:
        try:
            with _broker() as connection:
                messages = _peek(connection, queue, -1) or []
                for message in messages:
                    if _parsed(message, queue).task_id == task_id:
                        redis, key = _redis_list(connection, queue)
                        return bool(redis.lrem(key, 1, message))
        except (KombuError, OSError):
            return False
    return False


def workers_alive() -> list[Worker]:
    """The workers that answer within a second, which this takes; none when the broker is away."""
    try:
        with _broker() as connection:
            ask = current_app.control.inspect(timeout=1.0, connection=connection)
            active, queues = ask.active() or {}, ask.active_queues() or {}
    except (KombuError, OSError):
        return []
    return [
        Worker(
            name,
            tuple((str(task["name"]), str(task["id"])) for task in running),
            tuple(str(queue["name"]) for queue in queues.get(name, [])),
        )
        for name, running in sorted(active.items())
    ]


def ask_to_stop(task_id: str) -> None:
    """Ask the worker that runs a task to break it off, as its soft time limit would; one that waits is not begun."""
    with _broker() as connection:
        current_app.control.revoke(task_id, terminate=True, signal="SIGUSR1", connection=connection)


@contextmanager
def _broker() -> Iterator[Connection]:
    """A connection that is tried once and not again, as kombu would for ever."""
    with current_app.connection_for_write(connect_timeout=PATIENCE_SECONDS) as connection:
        connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=PATIENCE_SECONDS)
        yield connection


def _peek(connection: Connection, queue: str, most: int) -> list[bytes] | None:
    """Messages as they lie in Redis, the next to be taken first (workers take from the right end)."""
    if connection.transport.driver_type != "redis":
        return None
    redis, key = _redis_list(connection, queue)
    return list(reversed(redis.lrange(key, -most if most > 0 else 0, -1)))


def _redis_list(connection: Connection, queue: str) -> tuple[Any, str]:
    """Kombu puts our key prefix before the commands it uses itself, which do not include these."""
    channel: Any = connection.default_channel
    return channel.client, f"{channel.global_keyprefix}{queue}"


def _parsed(message: bytes, queue: str) -> WaitingTask:
    headers: dict[str, Any] = json.loads(message).get("headers", {})
    return WaitingTask(
        str(headers.get("id", "")), str(headers.get("task", "")), str(headers.get("argsrepr", "")), queue
    )
