"""Short-lived notices between the parts and processes of a site. What must not be lost is a row in the outbox first."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import structlog

log = structlog.get_logger(__name__)

OnNotice = Callable[[str, bytes], None]
Unsubscribe = Callable[[], None]

RESUMED = "bus.resumed"
"""Told to every process after one was cut off: notices may have been missed, so copies of rows are to be dropped."""


class Bus(Protocol):
    """Subjects are words joined by dots. A pattern's `*` is any one word, a last `>` one or more words (as in NATS)."""

    def publish(self, subject: str, body: bytes) -> None:
        """From any thread; at most once, to everybody who listens now, also to this process itself."""
        ...

    def subscribe(self, pattern: str, on_notice: OnNotice) -> Unsubscribe:
        """Call on the event loop; `on_notice(subject, body)` is called there too and must not block."""
        ...


def matches(pattern: str, subject: str) -> bool:
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">" and len(given) >= len(wanted):
        wanted, given = wanted[:-1], given[: len(wanted) - 1]
    return len(wanted) == len(given) and all(word in ("*", met) for word, met in zip(wanted, given, strict=True))


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
        for pattern in [pattern for pattern in self._listening if matches(pattern, subject)]:
            self.deliver(pattern, subject, body)

    def deliver(self, pattern: str, subject: str, body: bytes) -> None:
        """To those who asked with this very pattern; one that fails does not keep it from the others."""
        for on_notice in list(self._listening.get(pattern, ())):
            try:
                on_notice(subject, body)
            except Exception:
                log.exception("a listener failed", subject=subject)
