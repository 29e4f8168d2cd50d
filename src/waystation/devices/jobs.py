"""Sweeps of devices."""

from datetime import datetime, timedelta

from waystation.devices import store
from waystation.kernel.db import Tx


def forget_claims(tx: Tx, now: datetime) -> int:
    return store.forget_claims(tx, now - timedelta(days=30))
