"""How fast strangers may guess what proves a device."""

import asyncio
from typing import Self

from waystation.kernel.door import counted_as
from waystation.kernel.errors import TooMany
from waystation.kernel.limits import Limiter, Rate
from waystation.kernel.parts import Parts

GUESSES = Rate(per_minute=30, burst=60)
GUESS_SECONDS = 1.0
MOST_GUESSING = 256


class Guesses:
    """Wrong credentials, counted by address. Right ones never are, so that nobody shuts out who shares an address."""

    def __init__(self, limiter: Limiter, wait_seconds: float = GUESS_SECONDS) -> None:
        self._limiter = limiter
        self._wait_seconds = wait_seconds
        self._guessing = 0

    @classmethod
    def of(cls, parts: Parts) -> Self:
        if not parts.has(cls):
            parts.put(cls, cls(parts.get(Limiter)))
        return parts.get(cls)

    async def count(self, address: str) -> None:
        """TooMany, after a pause, beyond what somebody who only mistyped would try."""
        allowance = self._limiter.take(GUESSES, "guess", counted_as(address))
        if not allowance.wait:
            return
        if self._guessing < MOST_GUESSING:
            self._guessing += 1
            try:
                await asyncio.sleep(self._wait_seconds)
            finally:
                self._guessing -= 1
        raise TooMany(
            "too many wrong credentials from this address; wait and try again",
            retry_after_seconds=allowance.wait_seconds,
        )
