"""Sweeps of devices."""

from datetime import datetime, timedelta

from waystation.devices import store
from waystation.kernel.db import Tx


def forget_claims(tx: Tx, now: datetime) -> int:
    return store.forget_claims(tx, now - timedelta(days=30))


def forget_credentials(tx: Tx, now: datetime) -> int:
    """Those that ended long ago by themselves: a device that renews leaves one every few days."""
    return store.keys.forget(tx, now - timedelta(days=30))


def forget_registrations(tx: Tx, now: datetime) -> int:
    return store.forget_registrations(tx, now - timedelta(days=30))
