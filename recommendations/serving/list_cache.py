"""Candidates in order, kept for a caller that asks the same again before anything has happened.

The key holds everything an order depends on: the taste, what was dealt with lately, the state of the stock, demand, the
rules of the list. So an event, a sold car, an edited placement or a promotion makes another key, and nothing has to be
invalidated; the lifetime bounds what the key cannot see (a search saved a moment ago). What is kept are ids and
scores: which of the cars are still for sale is read from the database for every answer all the same.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import TLRUCache
from django.conf import settings
from django.forms.models import model_to_dict

from recommendations.buyers.context import BuyerContext
from recommendations.serving.rules import Rules
from recommendations.telemetry import LIST_CACHE

KEPT_AT_MOST = 1000
T = TypeVar("T")


class LifetimeCache(Generic[T]):
    """Entries of one process, each for ``LIST_CACHE_SECONDS``; safe to use from several threads, and counted."""

    def __init__(self, at_most: int = KEPT_AT_MOST, timer: Callable[[], float] = time.monotonic) -> None:
        self._entries: TLRUCache[Hashable, T] = TLRUCache(at_most, lifetime_end, timer)
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """What was kept under a key, and a count of the hit or the miss."""
        with self._lock:
            value = self._entries.get(key) if settings.LIST_CACHE_SECONDS else None
        LIST_CACHE.labels("miss" if value is None else "hit").inc()
        return value

    def keep(self, key: Hashable, value: T) -> None:
        with self._lock:
            self._entries[key] = value


def lifetime_end(_key: Hashable, _value: object, now: float) -> float:
    """When an entry that is made now is over; the setting is read then, so that tests can change it."""
    return now + settings.LIST_CACHE_SECONDS


def digest_of(buyer_context: BuyerContext, rules: Rules) -> bytes:
    """Of what is believed of a buyer, and of the rules of the list."""
    digest = hashlib.blake2b(digest_size=16)
    for interest in buyer_context.interests:
        digest.update(interest.taste.mean.tobytes() + f"{interest.share} {interest.offset}".encode())
    for array in buyer_context.history:
        digest.update(array.tobytes())
    known = (
        buyer_context.buyer.pk if buyer_context.buyer else 0,
        buyer_context.n_events,
        buyer_context.is_personal,
        buyer_context.location,
        buyer_context.wishes,
    )
    digest.update(repr((known, rules.variant, rules.plan, sorted(model_to_dict(rules.placement).items()))).encode())
    return digest.digest()
