"""Times that devices say themselves: ISO 8601 or epoch milliseconds, and not too far from now."""

from waystation.kernel.clock import from_micros, iso, micros, parse_iso
from waystation.kernel.errors import Invalid


def own_time(given: float | str, now: int, *, past_days: int, future_seconds: int) -> int:
    """In microseconds, as is `now`; Invalid with a sentence that begins with the time."""
    if isinstance(given, str):
        at = micros(parse_iso(given))
    else:
        at = given * 1000 if isinstance(given, int) else round(given * 1000)
    if at < now - past_days * 86_400_000_000:
        raise Invalid(f"{_shown(at, given)} is more than {past_days} days ago")
    if at > now + future_seconds * 1_000_000:
        raise Invalid(f"{_shown(at, given)} is more than {future_seconds} s ahead")
    return at


def _shown(at: int, given: float | str) -> str:
    """The time as understood: epoch seconds sent for milliseconds show as 1970."""
    try:
        return f"{iso(from_micros(at))} ({str(given)[:40]})"
    except (OverflowError, ValueError):
        return str(given)[:40]
