"""What this process knows of devices for which nothing is due, so that their polls need no database."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

LONGEST = timedelta(seconds=60)
"""After this it is looked up anew, should a notice ever be lost."""


class Waiting:
    """A part, used on the event loop alone. Knows until when nothing is due for a device, and who waits for it.

    On each link a device has one that waits: a newer poll ends the older, whose connection the device has lost.
    """

    def __init__(self) -> None:
        self._quiet_until: dict[int, datetime] = {}
        self._woken: dict[int, int] = {}
        self._wakes = 0
        self._epoch = 0
        self._waiters: dict[int, dict[str, asyncio.Future[bool]]] = {}
        self._newest: dict[tuple[int, str], int] = {}
        self._tickets = 0
        self._stopped = False

    def may_have(self, device_id: int, now: datetime) -> bool:
        """False when it is certain that nothing is due for the device now."""
        until = self._quiet_until.get(device_id)
        return until is None or until <= now

    def mark(self, device_id: int) -> tuple[int, int]:
        """Ask before looking into the database, and hand it to `quiet` after."""
        return self._epoch, self._woken.get(device_id, 0)

    def quiet(self, device_id: int, mark: tuple[int, int], now: datetime, *, next_at: datetime | None) -> bool:
        """Nothing is due before `next_at`. False when something was queued while it was looked up."""
        if mark != self.mark(device_id):
            return False
        latest = now + LONGEST
        self._quiet_until[device_id] = latest if next_at is None else min(latest, next_at)
        return True

    def wake(self, device_ids: Iterable[int]) -> None:
        """Something is queued for them."""
        self._wakes += 1
        for device_id in device_ids:
            self._quiet_until.pop(device_id, None)
            self._woken[device_id] = self._wakes
            self._release(device_id)

    def wake_all(self) -> None:
        """Notices may have been missed."""
        self._epoch += 1
        self._quiet_until.clear()
        self._woken.clear()
        for device_id in list(self._waiters):
            self._release(device_id)

    def stop(self) -> None:
        """The process stops: nobody waits any more, now or later."""
        self._stopped = True
        for device_id in list(self._waiters):
            self._release(device_id, look_again=False)

    def arrive(self, device_id: int, link: str) -> int:
        """The device begins to ask over this link, and who asked there before gives up; its ticket to `wait` with."""
        before = self._waiters.get(device_id, {}).get(link)
        if before is not None:
            _finish(before, look_again=False)
        self._tickets += 1
        self._newest[device_id, link] = self._tickets
        return self._tickets

    async def wait(self, device_id: int, ticket: int, now: datetime, *, link: str, seconds: float) -> bool:
        """Until something may be due, at most so long. False when the caller shall give up: the process stops, or the
        device asks anew on another connection.
        """
        if self._stopped or self._newest.get((device_id, link)) != ticket:
            return False
        quiet_seconds = (self._quiet_until.get(device_id, now) - now).total_seconds()
        waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(device_id, {})[link] = waiter
        end = asyncio.get_running_loop().call_later(max(0.0, min(seconds, quiet_seconds)), _finish, waiter)
        try:
            return await waiter
        finally:
            end.cancel()
            self._leave(device_id, link, waiter)

    def _leave(self, device_id: int, link: str, waiter: asyncio.Future[bool]) -> None:
        mine = self._waiters.get(device_id, {})
        if mine.get(link) is waiter:
            del mine[link]
        if not mine:
            self._waiters.pop(device_id, None)

    def _release(self, device_id: int, *, look_again: bool = True) -> None:
        for waiter in self._waiters.get(device_id, {}).values():
            _finish(waiter, look_again=look_again)


def _finish(waiter: asyncio.Future[bool], *, look_again: bool = True) -> None:
    if not waiter.done():
        waiter.set_result(look_again)
