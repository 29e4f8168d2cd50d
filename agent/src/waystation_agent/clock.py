"""A clock for machines whose clock may be wrong: pure rules for when the time is known and what a sample's time is.

Three facts go in: the wall clock (may be in 1970, may step), the monotonic clock (microseconds since boot, never
steps), and the newest time already given to a sample. All times are microseconds since 1970, UTC.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

SANE_FROM_US = 1_767_225_600_000_000
"""2026-01-01: this program did not exist before, so a wall clock that says so is wrong."""

STALE_US = 2_000_000
"""How far behind the hub's time a wall clock may be and still count as set; `Date` is no finer than a second."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class GuardedClock:
    """What is believed about the time: `offset_us` is the true time minus the monotonic clock, None while not known."""

    offset_us: int | None = None
    from_hub: bool = False

    def observe(self, wall_us: int, monotonic_us: int, newest_us: int) -> "GuardedClock":
        """Take the wall clock into account.

        A machine without a battery starts in 1970 or at the time of its last shutdown. So after a start the wall clock
        counts only once it is past our own newest sample, and against the hub only once it has caught up with it.
        """
        offset_us = wall_us - monotonic_us
        if wall_us < SANE_FROM_US:
            return self
        if self.offset_us is None and wall_us <= newest_us:
            return self
        if self.from_hub and offset_us < (self.offset_us or 0) - STALE_US:
            return self
        return GuardedClock(offset_us)

    def hear(self, hub_us: int, monotonic_us: int) -> "GuardedClock":
        """Believe the hub where this machine does not know the time itself."""
        unknown = self.offset_us is None or self.from_hub
        if not unknown or hub_us < SANE_FROM_US:
            return self
        return replace(self, offset_us=hub_us - monotonic_us, from_hub=True)

    def time_us(self, monotonic_us: int) -> int | None:
        return None if self.offset_us is None else self.offset_us + monotonic_us


def next_at_us(believed_us: int, newest_us: int, elapsed_us: int) -> int:
    """Return the time of a sample: always later than the newest.

    After a backward step time goes on at half speed, measured from the newest sample, until the clock has caught up:
    no two samples share a time, none goes back, and a curve keeps its shape.
    """
    return max(believed_us, newest_us + max(1, elapsed_us // 2))


def iso(at_us: int) -> str:
    """Return the same text for the same time, always: a sample sent again must carry exactly the same `at`."""
    return (EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")
