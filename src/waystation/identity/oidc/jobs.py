"""Sweeps of outside sign-in."""

from datetime import datetime

from waystation.identity.oidc import store
from waystation.kernel.db import Tx


def forget_used_states(tx: Tx, now: datetime) -> int:
    return store.forget_used_states(tx, now)
