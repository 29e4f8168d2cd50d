"""Sweeps of accounts."""

from datetime import datetime

from waystation.identity.account import store
from waystation.kernel.db import Tx


def forget_reset_links(tx: Tx, now: datetime) -> int:
    return store.forget_reset_links(tx, now)
