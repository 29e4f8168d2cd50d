"""The machine's clocks, and the one belief about the time that sampling and delivery share."""

import time
from pathlib import Path
from threading import Lock
from typing import Protocol

from waystation_agent.clock import GuardedClock
from waystation_agent.logs import LOG, facts

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Ticks(Protocol):
    """Where raw time comes from."""

    boot: str
    """Names the span in which monotonic times can be compared: one boot of this machine."""

    def wall_us(self) -> int: ...
    def monotonic_us(self) -> int: ...


class MachineTicks:
    def __init__(self) -> None:
        try:
            self.boot = BOOT_ID.read_text().strip()
        except OSError:
            self.boot = f"session {time.time_ns()}"

    def wall_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic_us(self) -> int:
        """Count on through suspend where the kernel can, so that a sample held over a sleep keeps its true age."""
        return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000


class Timekeeper:
    def __init__(self, ticks: Ticks) -> None:
        self.ticks = ticks
        self._lock = Lock()
        self._clock = GuardedClock()

    @property
    def is_known(self) -> bool:
        return self._clock.offset_us is not None

    def observe(self, newest_us: int) -> GuardedClock:
        with self._lock:
            before = self._clock
            self._clock = before.observe(self.ticks.wall_us(), self.ticks.monotonic_us(), newest_us)
            if before.offset_us is None and self.is_known:
                LOG.info("time is known %s", facts(source="wall clock"))
            return self._clock

    def hear(self, hub_us: int | None) -> None:
        if hub_us is None:
            return
        with self._lock:
            before = self._clock
            self._clock = before.hear(hub_us, self.ticks.monotonic_us())
            if before.offset_us is None and self.is_known:
                LOG.info("time is known %s", facts(source="hub"))

    def now_us(self) -> int:
        """Return the best guess for a person's eye, never for a sample."""
        return self.time_us(self.ticks.monotonic_us())

    def time_us(self, monotonic_us: int) -> int:
        """Return the best guess of when that was, in this boot."""
        known = self._clock.time_us(monotonic_us)
        return self.ticks.wall_us() - self.ticks.monotonic_us() + monotonic_us if known is None else known
