"""A cache that may be gone: when Redis does not answer, a read is a miss and a write is forgotten.

Nothing that must be right lives in the cache, so its loss may slow a page down but never break it. Nor many of them:
after the first failure a breaker does without the cache until it answers again.

Why not django-redis with ``IGNORE_EXCEPTIONS``: its ``add`` answers None when Redis is away, which callers read as
"another was first", where ours answers True; its ``set_many`` does not name the keys that were not written; it forgives
connection errors and timeouts but not every ``RedisError``; and it counts nothing for the metrics.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from django.core.cache.backends.redis import RedisCache
from prometheus_client import Counter
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, RedisError
from redis.retry import Retry

from web.outage import Breaker

T = TypeVar("T")

logger = logging.getLogger(__name__)

CACHE_ERRORS = Counter(
    "forecourt_cache_errors_total", "Cache calls that Redis did not answer, by operation.", ["operation"]
)


_breakers: dict[str, Breaker] = {}  # by server: each thread has a cache object of its own


class ForgivingRedisCache(RedisCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        # A connection that the server closed meanwhile is made anew once, and nothing is waited for
        options = {"retry": Retry(NoBackoff(), 1, supported_errors=(ConnectionError,)), **params.get("OPTIONS", {})}
        super().__init__(server, {**params, "OPTIONS": options})
        self.breaker = _breakers.setdefault(str(server), Breaker("cache", self._problem))

    def _problem(self) -> str:
        try:
            self._cache.get_client(None, write=True).ping()
        except (RedisError, OSError) as error:
            return str(error)
        return ""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._forgive("get", default, key, default, version)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        return self._forgive("get_many", {}, keys, version)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self._forgive("has_key", False, key, version)

    def add(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> bool:
        # True: the caller goes on as if it were the first, which costs a repetition and never a loss
        return self._forgive("add", True, key, value, *args, **kwargs)

    def set(self, key: Any, value: Any, *args: Any, **kwargs: Any) -> None:
        return self._forgive("set", None, key, value, *args, **kwargs)

    def set_many(self, data: Mapping[Any, Any], *args: Any, **kwargs: Any) -> list[Any]:
        return self._forgive("set_many", list(data), data, *args, **kwargs)

    def touch(self, key: Any, *args: Any, **kwargs: Any) -> bool:
        return self._forgive("touch", False, key, *args, **kwargs)

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._forgive("delete", False, key, version)

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        return self._forgive("delete_many", None, keys, version)

    def _forgive(self, operation: str, fallback: T, *args: Any, **kwargs: Any) -> T:
        if self.breaker.is_open:
            CACHE_ERRORS.labels(operation).inc()
            return fallback
        try:
            answer: T = getattr(super(), operation)(*args, **kwargs)
            return answer
        except (RedisError, OSError) as error:
            CACHE_ERRORS.labels(operation).inc()
            logger.warning("cache %s failed, going on without: %s", operation, error)
            self.breaker.trip(error)
            return fallback

    def count(self, key: str, timeout: int, amount: int = 1) -> int:
        """``amount`` more of something, counted for ``timeout`` seconds from its last; 0 when Redis does not answer.

        Django's own ``add`` and ``incr`` would take three round trips where this takes one.
        """
        redis_key = self.make_and_validate_key(key)
        if self.breaker.is_open:
            CACHE_ERRORS.labels("count").inc()
            return 0
        try:
            with self._cache.get_client(redis_key, write=True).pipeline(transaction=False) as commands:
                commands.incrby(redis_key, amount)
                commands.expire(redis_key, timeout)
                n_counted: int = commands.execute()[0]
        except (RedisError, OSError) as error:
            CACHE_ERRORS.labels("count").inc()
            logger.warning("cache count failed, going on without: %s", error)
            self.breaker.trip(error)
            return 0
        return n_counted

    def empty(self) -> None:
        """Forget every key of this installation; ``clear`` would take along whatever else lives in the same Redis."""
        try:
            client = self._cache.get_client(None, write=True)
            for key in client.scan_iter(match=self.make_key("*"), count=1000):
                client.unlink(key)
        except (RedisError, OSError) as error:
            CACHE_ERRORS.labels("empty").inc()
            logger.warning("the cache was not emptied: %s", error)
