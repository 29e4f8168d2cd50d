"""Sweeps of identity."""

from datetime import datetime, timedelta

from waystation.identity import store
from waystation.identity.logins import REFRESH_LIFETIME
from waystation.kernel.db import Tx

FORGOTTEN_AFTER = timedelta(days=2)  # far beyond any idle time: the idle check itself is made at every request


def forget_idle_sessions(tx: Tx, now: datetime) -> int:
    return store.forget_idle_sessions(tx, now - FORGOTTEN_AFTER)


def forget_old_logins(tx: Tx, now: datetime) -> int:
    """Expired refresh tokens, and log-ins that have none left."""
    forgotten = store.refresh_tokens.forget(tx, now)
    return forgotten + store.forget_logins(tx, now - REFRESH_LIFETIME - FORGOTTEN_AFTER)
