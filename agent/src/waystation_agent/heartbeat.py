"""Which threads are alive: each says when it will be heard of again, and who is silent for longer is stuck."""

import time
from collections.abc import Callable
from threading import Lock

SLACK_SECONDS = 300.0
"""What honest work may take beyond the pause announced: a slow card, a hub that answers at the last moment, again."""


class Heartbeats:
    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = Lock()
        self._due: dict[str, float] = {}

    def beat(self, who: str, *, pause_seconds: float) -> None:
        with self._lock:
            self._due[who] = self._now() + pause_seconds + SLACK_SECONDS

    def stuck(self) -> list[str]:
        with self._lock:
            return sorted(who for who, due in self._due.items() if self._now() > due)
