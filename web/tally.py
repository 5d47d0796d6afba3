"""Counting in fixed windows of time, for throttles: shared through the cache, and in memory while the cache is away."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from django.core.cache import cache

KEYS_AT_MOST = 20_000  # remembered by a process; then those of earlier windows are dropped


@dataclass
class _Count:
    window: int
    total: int = 0  # as the cache last answered, or as this process counted without it
    unreported: int = 0  # counted here and not yet in the cache


class Tally:
    """How often something happened in the present window, by key.

    Every ``step`` the cache is asked once, so a step of 1 is exact over all processes. A larger one saves round trips;
    then each process may be behind by less than a step. When the cache does not answer, each process counts its own.
    """

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}
        self._lock = threading.Lock()

    def add(self, key: str, window: int, amount: int = 1, *, seconds: int, step: int = 1) -> int:
        """Count ``amount`` (negative to take back) in the window of ``seconds`` length; returns the new total."""
        with self._lock:
            count = self._of(key, window)
            count.unreported += amount
            if abs(count.unreported) < step:
                return count.total + count.unreported
            reported, count.unreported = count.unreported, 0
            count.total += reported
        shared = cache.count(f"{key}_{window}", timeout=seconds + 1, amount=reported)  # type: ignore[attr-defined]
        with self._lock:
            if shared > 0:
                count.total = shared
            return count.total + count.unreported

    def _of(self, key: str, window: int) -> _Count:
        count = self._counts.get(key)
        if count is None or count.window != window:
            if len(self._counts) >= KEYS_AT_MOST:
                self._counts = {name: kept for name, kept in self._counts.items() if kept.window == window}
            count = self._counts[key] = _Count(window)
        return count


tally = Tally()
