"""What every way to a hub has in common."""

from typing import Protocol


class Fault(Exception):
    """No acknowledgement; the same reading may be sent again."""


class RefusedForGood(Exception):
    """The hub answered that it does not want this, and would not another time."""


class Line(Protocol):
    """One device's way to the hub. `send` returns when the reading is acknowledged, that is, durable."""

    @property
    def is_open(self) -> bool: ...
    async def send(self, body: bytes) -> None: ...
    async def close(self) -> None: ...
