"""Candidates in order, kept for whoever asks the same again before anything has happened.

The key holds everything an order depends on: the taste, what was dealt with lately, the state of the stock, demand, the
rules of the list. So an event, a sold car, an edited placement or a promotion makes another key, and nothing has to be
told to forget; the lifetime bounds what the key cannot see (a search saved a moment ago). What is kept are ids and
scores: which of the cars are still for sale is read from the database for every answer all the same.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

from django.forms.models import model_to_dict

from recommendations.buyers.shoppers import Shopper
from recommendations.serving.placements import Rules
from recommendations.telemetry import LIST_CACHE

KEPT_AT_MOST = 1000
T = TypeVar("T")


class LifetimeCache(Generic[T]):
    """The newest entries of one process, each for a while; safe to use from several threads."""

    def __init__(self, at_most: int = KEPT_AT_MOST) -> None:
        self._at_most = at_most
        self._entries: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, lifetime_seconds: float) -> T | None:
        """What was kept under a key at most so long ago, and a count of the hit or the miss."""
        with self._lock:
            kept_at, value = self._entries.get(key, (float("-inf"), None))
            is_hit = time.monotonic() - kept_at < lifetime_seconds
            if is_hit:
                self._entries.move_to_end(key)
        LIST_CACHE.labels("hit" if is_hit else "miss").inc()
        return value if is_hit else None

    def keep(self, key: Hashable, value: T) -> None:
        with self._lock:
            self._entries[key] = time.monotonic(), value
            self._entries.move_to_end(key)
            while len(self._entries) > self._at_most:
                self._entries.popitem(last=False)

    def forget(self) -> None:
        with self._lock:
            self._entries.clear()


def digest_of(shopper: Shopper, rules: Rules) -> bytes:
    """Of what is believed of a buyer, and of the rules of the list."""
    digest = hashlib.blake2b(digest_size=16)
    for member in shopper.tastes:
        digest.update(member.taste.mean.tobytes() + f"{member.share} {member.offset}".encode())
    for array in shopper.history:
        digest.update(array.tobytes())
    known = (shopper.buyer.pk if shopper.buyer else 0, shopper.n_events, shopper.is_personal, shopper.place)
    digest.update(repr((known, rules.variant, sorted(model_to_dict(rules.placement).items()))).encode())
    return digest.digest()
