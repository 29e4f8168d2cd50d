"""How often somebody may do a thing (G-16).

Slow limits (sign-ins, registrations) are moving windows that all processes count together: in Redis, else in
PostgreSQL, else in the one process there is. Fast ones (readings) are token buckets, in Redis or each process's own.
"""

import asyncio
import threading
import time
from collections.abc import Callable

import structlog
from limits import RateLimitItem, parse
from limits.errors import StorageError
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from waystation.kernel.buckets import Allowance, Buckets, Rate, RedisBuckets, monotonic_micros
from waystation.kernel.errors import DomainError, Invalid, TooMany
from waystation.kernel.feature import Every, Feature
from waystation.kernel.together import Together
from waystation.kernel.tries import Tries, forget_tries

__all__ = ["Allowance", "Limiter", "Rate", "feature"]

log = structlog.get_logger(__name__)

AWAY_SECONDS = 60.0
ANSWER_SECONDS = 0.5

feature = Feature(name="limits", jobs=(Every(600, forget_tries),))


class Limiter:
    """`limit("5/minute", "sign-in", address)` counts one try, or raises TooMany with the time to wait.

    `take` and `take_async` draw from a token bucket and never raise. A Redis or a database that does not answer stops
    nobody: for a minute this process counts by itself, then it asks again.
    """

    def __init__(
        self,
        redis_url: str = "",
        *,
        tries: Tries | None = None,
        away_seconds: float = AWAY_SECONDS,
        now: Callable[[], int] = monotonic_micros,
    ) -> None:
        """`tries` are where processes count together without Redis; `now` is the time of this process's buckets."""
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        self._tries = tries
        self._buckets = Buckets(now)
        self._away_seconds = away_seconds
        self._ask_again_at = 0.0  # of time.monotonic()
        self._telling = threading.Lock()
        self._windows: MovingWindowRateLimiter | None = None
        self._together: Together | None = None
        if redis_url:
            storage = _redis(redis_url)
            self._windows = MovingWindowRateLimiter(storage)
            self._together = Together(RedisBuckets(storage.storage).take, away_seconds=away_seconds)

    def limit(self, rule: str, what: str, *identity: str) -> None:
        wait_seconds = self._count(parse(rule), what, *identity)
        if wait_seconds is not None:
            raise TooMany(f"too many tries to {what}; wait and try again", retry_after_seconds=max(1.0, wait_seconds))

    async def limit_async(self, rule: str, what: str, *identity: str) -> None:
        """The same on the event loop, which must not wait for Redis or the database."""
        if self._asks_redis or self._tries is not None:
            await asyncio.to_thread(self.limit, rule, what, *identity)
        else:
            self.limit(rule, what, *identity)

    def take(self, rate: Rate, what: str, *identity: str, count: int = 1) -> Allowance:
        """From this process's own bucket; call it on the event loop."""
        return self._buckets.take((what, *identity), rate, count)

    async def take_async(self, rate: Rate, what: str, *identity: str) -> Allowance:
        """From the bucket in Redis that all processes share, when there is one."""
        if self._together is not None and (asked := self._together.take(":".join((what, *identity)), rate)) is not None:
            told = await asked
            if told is not None:
                return told
        return self._buckets.take((what, *identity), rate)

    def close(self) -> None:
        if self._tries is not None:
            self._tries.close()

    @property
    def _asks_redis(self) -> bool:
        return self._windows is not None and time.monotonic() >= self._ask_again_at

    def _count(self, window: RateLimitItem, *who: str) -> float | None:
        if self._windows is not None and self._asks_redis:
            try:
                return _counted(self._windows, window, *who)
            except StorageError as fault:
                self._do_without(fault)
        if self._tries is not None:
            try:
                return self._tries.count(window.key_for(*who), window.amount, window.get_expiry())
            except DomainError as fault:
                log.warning("the database does not count tries; each process counts by itself", fault=fault.sentence)
        return _counted(self._alone, window, *who)

    def _do_without(self, fault: StorageError) -> None:
        with self._telling:
            if not self._asks_redis:
                return  # the first of those who waited has said so
            self._ask_again_at = time.monotonic() + self._away_seconds
            log.warning("Redis does not answer; each process counts tries by itself", fault=repr(fault.storage_error))


def _counted(windows: MovingWindowRateLimiter, window: RateLimitItem, *who: str) -> float | None:
    """None when this try is within the limit, else the seconds until one will be."""
    if windows.hit(window, *who):
        return None
    return windows.get_window_stats(window, *who).reset_time - time.time()


def _redis(url: str) -> RedisStorage:
    """A connection that Redis has closed in the meantime is opened anew once; beyond that nobody waits."""
    try:
        from redis.backoff import NoBackoff  # noqa: PLC0415  an extra
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError as missing:
        raise Invalid("REDIS_URL needs one more library: pip install 'waystation[redis]'") from missing
    retry: object = Retry(NoBackoff(), 1)
    try:
        return RedisStorage(
            url,
            key_prefix="waystation",
            wrap_exceptions=True,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=retry,  # type: ignore[arg-type]
        )
    except ValueError as wrong:
        raise Invalid(f"REDIS_URL is not the address of a Redis: {wrong}") from wrong
