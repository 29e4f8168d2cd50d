"""How often somebody may do a thing: moving windows, in memory or in a Redis that all processes share."""

import time

from limits import parse
from limits.storage import Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from waystation.kernel.errors import TooMany


class Limiter:
    """`limit("5/minute", "sign-in", address)` counts one try, or raises TooMany with the time to wait (G-16)."""

    def __init__(self, storage_url: str = "memory://") -> None:
        storage = storage_from_string(storage_url)
        assert isinstance(storage, Storage)
        self._windows = MovingWindowRateLimiter(storage)

    def limit(self, rule: str, what: str, *identity: str) -> None:
        window = parse(rule)
        if self._windows.hit(window, what, *identity):
            return
        reset = self._windows.get_window_stats(window, what, *identity).reset_time
        raise TooMany(
            f"too many tries to {what}; wait and try again", retry_after_seconds=max(1.0, reset - time.time())
        )
