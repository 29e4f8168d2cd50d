"""When a key ends so soon that somebody must be told."""

from datetime import datetime, timedelta

from waystation.devices.model import Credential

WARNED_AHEAD = timedelta(days=30)


def ends_soon(key: Credential, now: datetime) -> bool:
    """Of a key that is good now. One that waits for its successor's first use ends soon as well, and shall."""
    return key.is_live(now) and key.expires_at is not None and key.expires_at - now <= WARNED_AHEAD
