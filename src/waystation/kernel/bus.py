"""Short-lived notices between the parts and processes of a site. What must not be lost is a row in the outbox first."""

import asyncio
from collections.abc import Callable
from typing import Protocol

OnNotice = Callable[[str, bytes], None]
Unsubscribe = Callable[[], None]


class Bus(Protocol):
    """Subjects are words joined by dots. A pattern's `*` stands for one word, a last `>` for one or more (as in NATS)."""

    def publish(self, subject: str, body: bytes) -> None:
        """From any thread; at most once, to everybody who listens now, also to this process itself."""
        ...

    def subscribe(self, pattern: str, on_notice: OnNotice) -> Unsubscribe:
        """Call on the event loop; `on_notice(subject, body)` is called there too and must not block."""
        ...


def matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted, given = wanted[:-1], given[: max(len(wanted) - 1, 0)] if len(given) >= len(wanted) else [""]
    return len(wanted) == len(given) and all(w in ("*", g) for w, g in zip(wanted, given, strict=True))


class LocalBus:
    """The bus of a site with one process."""

    def __init__(self) -> None:
        self._listening: dict[str, list[OnNotice]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def publish(self, subject: str, body: bytes) -> None:
        if self._loop is not None and self._listening and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._deliver, subject, body)

    def subscribe(self, pattern: str, on_notice: OnNotice) -> Unsubscribe:
        self._loop = asyncio.get_running_loop()
        listeners = self._listening.setdefault(pattern, [])
        listeners.append(on_notice)

        def unsubscribe() -> None:
            listeners.remove(on_notice)
            if not listeners:
                self._listening.pop(pattern, None)

        return unsubscribe

    def _deliver(self, subject: str, body: bytes) -> None:
        for pattern, listeners in list(self._listening.items()):
            if matches(pattern, subject):
                for on_notice in list(listeners):
                    on_notice(subject, body)
