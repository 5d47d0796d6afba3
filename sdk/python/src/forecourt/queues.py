"""Events that are gathered and sent many at once, in the background, when asked to, and at the end.

An event gets its id and its time when it is added, so it may be sent as often as it takes, and as late. It leaves the
queue when the site has answered for it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import logging
import threading
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from forecourt.core import begin_anew_when_forked, json_of
from forecourt.errors import ForecourtError, Invalid, TooLarge
from forecourt.types import Event, Recorded

logger = logging.getLogger("forecourt")

NOT_KEPT = ("refused", "conflict")  # what becomes of an event that the site will never record


@dataclass(frozen=True)
class Refused:
    """An event that the site does not record, and why, by field. Sent again it would be refused again."""

    event: Event
    fields: dict[str, list[str]]


OnRefused = Callable[[Refused], None]


@dataclass(frozen=True)
class QueueOptions:
    """How events are gathered.

    Attributes:
        seconds: Between two times that what was gathered is sent in the background.
        at_once: Events of one request; when so many wait they are sent without waiting for the time.
        limit: Events that may wait. While there are more, as when the site is away, to add one sends first, and raises
            where that fails: what cannot be kept is not taken.
        on_refused: Called for each event that the site will not record; the log says so in any case.
    """

    seconds: float = 1.0
    at_once: int = 500
    limit: int = 100_000
    on_refused: OnRefused | None = None


def completed(event: Mapping[str, Any]) -> Event:
    """The event with an id and the time, where it has none."""
    own = {"event_id": str(uuid.uuid4()), "occurred_at": datetime.now(UTC).isoformat()}
    return cast(Event, {**own, **{name: value for name, value in event.items() if value is not None}})


class Buffer:
    """The events that wait, oldest first."""

    def __init__(self, options: QueueOptions) -> None:
        self.options = options
        self._waiting: deque[Event] = deque()
        self._lock = threading.Lock()
        self._is_closed = False

    def forked(self) -> None:
        """Of a forked process: the events are those of the process that took them."""
        self._waiting, self._lock = deque(), threading.Lock()

    def close(self) -> None:
        """Take no more: what was added before is all that there will be."""
        with self._lock:
            self._is_closed = True

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self.options.limit

    @property
    def is_batch(self) -> bool:
        return len(self._waiting) >= self.options.at_once

    def add(self, event: Mapping[str, Any]) -> None:
        """As it will be sent. Raises ValueError or TypeError for what JSON cannot hold: it would stop all behind it;
        and RuntimeError once it is closed."""
        kept: Event = json.loads(json_of(completed(event)))
        with self._lock:
            if self._is_closed:
                raise RuntimeError("The client is closed.")
            self._waiting.append(kept)

    def events(self) -> list[Event]:
        with self._lock:
            return list(self._waiting)

    def first(self, size: int) -> list[Event]:
        with self._lock:
            return [self._waiting[index] for index in range(min(size, len(self._waiting)))]

    def answered(self, events: list[Event], answer: Recorded) -> None:
        """Drop the first events, which the site has answered for."""
        for event, result in zip(events, answer.get("events", []), strict=False):
            if result["status"] in NOT_KEPT:
                self.refused(event, result["fields"])
        self._drop(len(events))

    def cannot_be_sent(self, event: Event, problem: Invalid | TooLarge) -> None:
        """Drop the first event, which the site cannot even read."""
        self.refused(event, problem.fields or {"": [problem.message]})
        self._drop(1)

    def refused(self, event: Event, fields: dict[str, list[str]]) -> None:
        logger.warning("an event was refused: %s: %s", event.get("event_id"), fields)
        if self.options.on_refused:
            try:
                self.options.on_refused(Refused(event, fields))
            except Exception:
                logger.exception("on_refused failed")

    def _drop(self, n: int) -> None:
        with self._lock:
            for _ in range(min(n, len(self._waiting))):
                self._waiting.popleft()


def halved(batch: list[Event]) -> int:
    return max(1, len(batch) // 2)


class EventQueue:
    """Used from any number of threads, and in forked processes; `send` sends one batch and raises ForecourtError."""

    def __init__(self, send: Callable[[list[Event]], Recorded], options: QueueOptions) -> None:
        self._send = send
        self._buffer = Buffer(options)
        self._is_closed = False
        self._begin()
        begin_anew_when_forked(self)

    def _begin(self) -> None:
        self._sending = threading.Lock()
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def forked(self) -> None:
        """A forked process has no thread, and leaves the events that it copied to the process that took them."""
        self._buffer.forked()
        self._begin()

    def __len__(self) -> int:
        """Events that are yet to be sent."""
        return len(self._buffer)

    @property
    def unsent(self) -> list[Event]:
        return self._buffer.events()

    def add(self, event: Mapping[str, Any]) -> None:
        """Take an event to send it soon. Raises ForecourtError only where `limit` events wait and cannot be sent."""
        self._start()
        if self._buffer.is_full:
            self.flush()
        self._buffer.add(event)
        if self._buffer.is_batch:
            self._wake.set()

    def flush(self) -> None:
        """Send all that waits, and return when the site has answered. Raises ForecourtError; nothing is lost by it."""
        with self._sending:
            size = self._buffer.options.at_once
            while batch := self._buffer.first(size):
                try:
                    self._buffer.answered(batch, self._send(batch))
                except (Invalid, TooLarge) as problem:
                    if len(batch) == 1:
                        self._buffer.cannot_be_sent(batch[0], problem)
                    size = halved(batch)

    def close(self) -> None:
        """Send what waits and take no more. Where that fails the error is raised and `unsent` has the events."""
        with self._starting:
            self._is_closed = True
            thread = self._thread
        self._buffer.close()
        self._wake.set()
        if thread:
            thread.join()
        atexit.unregister(self._try_to_flush)
        self.flush()

    def _start(self) -> None:
        """The thread, once there is something for it to do: one, however many threads add at the same time."""
        with self._starting:
            if self._is_closed:
                raise RuntimeError("The client is closed.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="forecourt-events", daemon=True)
                self._thread.start()
                atexit.unregister(self._try_to_flush)  # of the process that this one was forked from
                atexit.register(self._try_to_flush)  # for a program that ends without closing the client

    def _work(self) -> None:
        while not self._is_closed:
            self._wake.wait(self._buffer.options.seconds)
            self._wake.clear()
            if not self._is_closed:
                self._try_to_flush()

    def _try_to_flush(self) -> None:
        try:
            self.flush()
        except ForecourtError as problem:
            logger.warning("%d events wait: %s", len(self), problem)
        except Exception:  # an answer that is none: whatever it was, the next attempt may be better
            logger.exception("%d events wait", len(self))


class AsyncEventQueue:
    """For one event loop; `send` sends one batch and raises ForecourtError."""

    def __init__(self, send: Callable[[list[Event]], Awaitable[Recorded]], options: QueueOptions) -> None:
        self._send = send
        self._buffer = Buffer(options)
        self._sending = asyncio.Lock()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def __len__(self) -> int:
        """Events that are yet to be sent."""
        return len(self._buffer)

    @property
    def unsent(self) -> list[Event]:
        return self._buffer.events()

    async def add(self, event: Mapping[str, Any]) -> None:
        """Take an event to send it soon. Raises ForecourtError only where `limit` events wait and cannot be sent."""
        if self._is_closed:
            raise RuntimeError("The client is closed.")
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name="forecourt-events")
        if self._buffer.is_full:
            await self.flush()
        self._buffer.add(event)
        if self._buffer.is_batch:
            self._wake.set()

    async def flush(self) -> None:
        """Send all that waits, and return when the site has answered. Raises ForecourtError; nothing is lost by it."""
        async with self._sending:
            size = self._buffer.options.at_once
            while batch := self._buffer.first(size):
                try:
                    self._buffer.answered(batch, await self._send(batch))
                except (Invalid, TooLarge) as problem:
                    if len(batch) == 1:
                        self._buffer.cannot_be_sent(batch[0], problem)
                    size = halved(batch)

    async def close(self) -> None:
        """Send what waits and take no more. Where that fails the error is raised and `unsent` has the events."""
        self._is_closed = True
        self._buffer.close()
        self._wake.set()
        if self._task:
            await self._task
        await self.flush()

    async def _work(self) -> None:
        while not self._is_closed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._buffer.options.seconds)
            self._wake.clear()
            if not self._is_closed:
                await self._try_to_flush()

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except ForecourtError as problem:
            logger.warning("%d events wait: %s", len(self), problem)
        except Exception:  # an answer that is none: whatever it was, the next attempt may be better
            logger.exception("%d events wait", len(self))
