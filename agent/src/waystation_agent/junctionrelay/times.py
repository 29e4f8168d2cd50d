"""Times as JunctionRelay servers and the Python client's file write them (JR-A2). All are seconds since 1970."""

from datetime import UTC, datetime


def parse(text: object) -> float | None:
    """Return the time; None if it is none. Takes `Z`, `±hh:mm`, `±hhmm`, up to nine digits of a fraction.

    Without an offset it is UTC.
    """
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def parse_false_z(text: object) -> float | None:
    """Return the time that the Python client meant: local, though it ends in `Z`."""
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def false_z(at: float | None) -> str:
    """Write a time as the Python client reads it back: local, with a `Z` that is not true."""
    if not at:
        return ""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%dT%H:%M:%SZ")


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
