"""A cache of ranked candidates, for a buyer who asks for the same list again before anything has changed.

The key holds everything that a ranking depends on: preference, history, the state of the listing index, demand, the
rules of the list. An event, a sold car, an edited placement or a promotion makes another key, so nothing has to be
invalidated; the lifetime limits what the key does not cover (a search saved a moment ago). Cached are ids and scores;
which listings are still for sale is read from the database for every answer.
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
        """The value of a key, or None; counts the hit or the miss."""
        with self._lock:
            value = self._entries.get(key) if settings.LIST_CACHE_SECONDS else None
        LIST_CACHE.labels("miss" if value is None else "hit").inc()
        return value

    def keep(self, key: Hashable, value: T) -> None:
        with self._lock:
            self._entries[key] = value


def lifetime_end(_key: Hashable, _value: object, now: float) -> float:
    """When an entry that is made now expires; the setting is read then, so that tests can change it."""
    return now + settings.LIST_CACHE_SECONDS


def digest_of(buyer_context: BuyerContext, rules: Rules) -> bytes:
    """A digest of a buyer's context and of the rules of a list."""
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
