"""What becomes of a device that publishes more than it may: its messages wait in the stream, and then it must."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from waystation.kernel.buckets import SECOND
from waystation.kernel.errors import Unavailable
from waystation.kernel.limits import Allowance
from waystation.kernel.mqtt import MqttLink

log = structlog.get_logger(__name__)

MOST_WAITING, MOST_WAITING_OF_ALL = 200, 2_000  # of the 5,000 that the stream hands out before some are settled
LONGEST_TURN_SECONDS = 30.0
FORGET_SECONDS = 120.0  # by then a waiting message has come again several times, to this process or to another
KICK_SECONDS = 5.0


class Waiting:
    """Which acknowledged messages of a device wait in the stream until its bucket has something for them."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen_at: dict[str, dict[int, float]] = {}
        self._last_turn_at: dict[str, float] = {}

    def put(self, key: str, sequence: int) -> bool:
        """Whether there is room for it, or was before."""
        mine = self._seen_at.setdefault(key, {})
        if sequence not in mine and not self._has_room(mine):
            if not mine:
                del self._seen_at[key]
            return False
        mine[sequence] = self._now()
        return True

    def settled(self, key: str, sequence: int | None) -> None:
        mine = self._seen_at.get(key)
        if mine is None or sequence is None:
            return
        mine.pop(sequence, None)
        if not mine:
            del self._seen_at[key]
            self._last_turn_at.pop(key, None)

    def turn_seconds(self, key: str, allowance: Allowance) -> float:
        """When the next message shall come again: one after the other, as the bucket fills."""
        now = self._now()
        last = self._last_turn_at.get(key, now)
        turn_at = max(now + allowance.wait_seconds, last + allowance.rate.step / SECOND)
        if turn_at <= now + LONGEST_TURN_SECONDS:
            self._last_turn_at[key] = turn_at
        return min(turn_at - now, LONGEST_TURN_SECONDS)

    def count(self, key: str) -> int:
        return len(self._seen_at.get(key, ()))

    def _has_room(self, mine: dict[int, float]) -> bool:
        if len(mine) < MOST_WAITING and self._all() < MOST_WAITING_OF_ALL:
            return True
        self._forget()
        return len(mine) < MOST_WAITING and self._all() < MOST_WAITING_OF_ALL

    def _all(self) -> int:
        return sum(map(len, self._seen_at.values()))

    def _forget(self) -> None:
        """Those that another process has settled in the meantime."""
        before = self._now() - FORGET_SECONDS
        for mine in self._seen_at.values():
            for sequence in [sequence for sequence, at in mine.items() if at < before]:
                del mine[sequence]


class Kicks:
    """Ends connections of devices that do not wait: once in a few seconds is enough for who comes back at once."""

    def __init__(self, link: MqttLink) -> None:
        self._link = link
        self._kicks: dict[str, asyncio.Task[None]] = {}

    def __call__(self, key: str) -> None:
        if key not in self._kicks:
            self._kicks[key] = asyncio.create_task(self._kick(key))
            self._kicks[key].add_done_callback(lambda _: self._kicks.pop(key))

    async def _kick(self, key: str) -> None:
        log.info("MQTT connection of a device ended, because too many of its messages wait", device=key)
        with suppress(Unavailable):
            await self._link.kick(key)
        await asyncio.sleep(KICK_SECONDS)
