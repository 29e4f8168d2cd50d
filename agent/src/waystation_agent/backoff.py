"""How long to wait before trying again."""

from random import SystemRandom

FIRST_SECONDS = 1.0
CAP_SECONDS = 60.0
LONGEST_ASKED_SECONDS = 3_600.0

chance = SystemRandom().random


def pause_seconds(failures: int, luck: float, asked_seconds: float = 0.0) -> float:
    """Return the pause after the n-th failure in a row: exponential with full jitter, or longer if the hub asks.

    `luck` is from [0, 1), as `chance` returns it.
    What the hub asks for is itself capped, so that one wrong `Retry-After` cannot silence a device for a year.
    """
    ceiling = min(CAP_SECONDS, FIRST_SECONDS * 2 ** min(failures - 1, 10))
    return max(luck * ceiling, min(asked_seconds, LONGEST_ASKED_SECONDS))


def jittered(period_seconds: float, luck: float) -> float:
    """Return the period ±10 %, so that a fleet started together does not stay together."""
    return period_seconds * (0.9 + 0.2 * luck)
