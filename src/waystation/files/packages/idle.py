"""Devices for which nothing is staged, as this process knows: their polls do not reach the database."""

import time
from collections.abc import Callable

LOOK_SECONDS = 30.0  # after which one is looked up anew, whatever was heard
MOST = 200_000


class Idle:
    """A part. `ask` before the database, `note` what it said; the bus makes it forget (`drop`)."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._until: dict[str, float] = {}
        self._drops = 0
        self._monotonic = monotonic

    def knows(self, key: str) -> bool:
        """Whether nothing is staged for the device of this key."""
        return self._until.get(key, 0.0) > self._monotonic()

    @property
    def drops(self) -> int:
        """Take it before the database is asked, and give it with `note`."""
        return self._drops

    def note(self, key: str, drops: int) -> None:
        """Nothing was staged; believed unless something has been since."""
        if drops != self._drops:
            return
        if len(self._until) >= MOST:
            self._until.clear()
        self._until[key] = self._monotonic() + LOOK_SECONDS

    def drop(self, key: str) -> None:
        self._drops += 1
        self._until.pop(key, None)

    def drop_all(self) -> None:
        """Notices may have been missed."""
        self._drops += 1
        self._until.clear()
