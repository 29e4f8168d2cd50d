"""How often a device may send readings, whichever edge it uses."""

from collections.abc import Callable

from waystation.devices import CallingDevice
from waystation.kernel.errors import TooMany
from waystation.kernel.limits import Allowance, Limiter, Rate
from waystation.kernel.mqtt_waiting import Waiting
from waystation.kernel.settings import Settings

Planned = Callable[[int], int | None]
"""What the plan of a home's owner says of calls a minute; None leaves it to the settings."""


class Throttle:
    """A part. One bucket a device: a call draws one from it, however many readings it brings."""

    def __init__(self, limiter: Limiter, settings: Settings, planned: Planned | None = None) -> None:
        self.waiting = Waiting()
        self._limiter = limiter
        self._planned = planned
        self._per_minute = settings.ingest_per_minute
        self._burst = settings.ingest_burst
        self._rates: dict[int, Rate] = {}

    async def take(self, device: CallingDevice) -> Allowance | None:
        """None when nothing limits the device."""
        rate = self.rate_of(device.home_id)
        return None if rate is None else await self._limiter.take_async(rate, "readings", device.key)

    async def check(self, device: CallingDevice) -> None:
        """Takes, and raises TooMany when the device must wait."""
        allowance = await self.take(device)
        if allowance is not None and allowance.wait:
            raise too_many(allowance)

    def rate_of(self, home_id: int) -> Rate | None:
        per_minute = None if self._planned is None else self._planned(home_id)
        if per_minute is None:
            per_minute = self._per_minute
        if not per_minute:
            return None
        rate = self._rates.get(per_minute)
        if rate is None:
            rate = self._rates[per_minute] = Rate(per_minute, self._burst or per_minute)
        return rate


def too_many(allowance: Allowance) -> TooMany:
    return TooMany(
        f"this device may call {allowance.rate.per_minute} times a minute; wait, or send several readings in one call",
        retry_after_seconds=allowance.wait_seconds,
    )


def must_wait(allowance: Allowance) -> TooMany:
    return TooMany(
        f"this device sends more than {allowance.rate.per_minute} messages a minute, so its messages wait; "
        "send several readings in one"
    )
