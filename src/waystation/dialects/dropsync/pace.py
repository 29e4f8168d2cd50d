"""How often one device may call, whichever address it calls from; and how fast strangers may try tokens (DS-19)."""

from waystation.devices import CallingDevice
from waystation.kernel.door import counted_as
from waystation.kernel.errors import TooMany
from waystation.kernel.limits import Limiter, Rate
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings

CALLS_PER_MINUTE, BURST = 600, 300
LEAST_PER_MINUTE = 60
"""A sketch needs twelve calls a minute and some more when it starts."""
PINGS = "100/minute"
GUESSES = Rate(per_minute=60, burst=300)


class Pace:
    """A part. Processes share one bucket of a device in Redis; without it each has its share of what is allowed."""

    def __init__(self, limiter: Limiter, settings: Settings) -> None:
        own = 1 if settings.redis_url.get_secret_value() else settings.workers
        self._limiter = limiter
        self._rate = Rate(max(LEAST_PER_MINUTE, CALLS_PER_MINUTE // own), max(LEAST_PER_MINUTE, BURST // own))

    @classmethod
    def of(cls, parts: Parts) -> "Pace":
        if not parts.has(cls):
            parts.put(cls, cls(parts.get(Limiter), parts.get(Settings)))
        return parts.get(cls)

    async def check(self, device: CallingDevice) -> None:
        """Only who has proved which device it is draws from that device's bucket."""
        allowance = await self._limiter.take_async(self._rate, "dropsync", device.key)
        if allowance.wait:
            raise TooMany("this device calls too often", retry_after_seconds=allowance.wait_seconds)

    async def check_ping(self, device: CallingDevice) -> None:
        await self._limiter.limit_async(PINGS, "ping", device.key)

    def wrong(self, address: str) -> None:
        """TooMany when an address tries one token after the other."""
        allowance = self._limiter.take(GUESSES, "guess a token", counted_as(address))
        if allowance.wait:
            raise TooMany("too many wrong tokens from this address", retry_after_seconds=allowance.wait_seconds)
