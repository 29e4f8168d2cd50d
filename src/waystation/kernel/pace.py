"""How much happens a second, over the last minute."""

import time
from collections import deque

WINDOW_SECONDS = 60


class Pace:
    """Counted by one thread, read by any."""

    def __init__(self) -> None:
        self._began_at = time.monotonic()
        self._seconds: deque[tuple[int, int]] = deque(maxlen=WINDOW_SECONDS + 1)

    def count(self, number: int) -> None:
        second = int(time.monotonic())
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = second, self._seconds[-1][1] + number
        else:
            self._seconds.append((second, number))

    def per_second(self) -> float:
        now = time.monotonic()
        recent = sum(number for second, number in list(self._seconds) if second > now - WINDOW_SECONDS)
        return recent / max(1.0, min(WINDOW_SECONDS, now - self._began_at))
