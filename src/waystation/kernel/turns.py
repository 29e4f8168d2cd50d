"""A lock that is handed on in the order in which it was asked for.

Python's own lock goes to whoever is quickest. A sweep that takes it for one small step after another is always quicker
than a thread that must first wake up, and so would keep readings waiting for many steps, where one is meant.
"""

import threading
from collections import deque
from types import TracebackType


class Turns:
    """For `with`; not to be entered twice by one thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._is_taken:
                self._is_taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            mine.acquire()  # until __exit__ of the one before lets it go
        except BaseException:  # Ctrl-C
            self._give_up(mine)
            raise

    def __exit__(
        self, _kind: type[BaseException] | None, _fault: BaseException | None, _at: TracebackType | None
    ) -> None:
        with self._guard:
            self._hand_on()

    def _hand_on(self) -> None:
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._is_taken = False

    def _give_up(self, mine: threading.Lock) -> None:
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                self._hand_on()
