"""Those who show tokens that nobody was given wait a little, so that guessing is slow and honest devices are not."""

import asyncio
from typing import Self

from waystation.kernel.parts import Parts

WAIT_SECONDS = 0.25
MOST_WAITING = 500


class Strangers:
    """A part of the process, made when the first stranger comes."""

    def __init__(self, wait_seconds: float = WAIT_SECONDS, most_waiting: int = MOST_WAITING) -> None:
        self.waiting = 0
        self._wait_seconds = wait_seconds
        self._most_waiting = most_waiting

    @classmethod
    def of(cls, parts: Parts) -> Self:
        if not parts.has(cls):
            parts.put(cls, cls())
        return parts.get(cls)

    async def wait(self) -> None:
        """Beyond `most_waiting` nobody waits: what they hold open costs more than their guesses, of 256 bits."""
        if self.waiting >= self._most_waiting:
            return
        self.waiting += 1
        try:
            await asyncio.sleep(self._wait_seconds)
        finally:
            self.waiting -= 1
