"""The moment in which a process begins to stop, while its connections are still open."""

from collections.abc import Callable


class Stopping:
    """A part. Whoever holds a connection for long registers how to let go of it; then nobody waits for grace time."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def on_stop(self, call: Callable[[], None]) -> None:
        self._calls.append(call)

    def begin(self) -> None:
        for call in self._calls:
            call()
