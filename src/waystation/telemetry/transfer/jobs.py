"""Exports that nobody comes back for are forgotten."""

from datetime import datetime, timedelta

from waystation.kernel.db import Tx
from waystation.telemetry.transfer import store

KEPT = timedelta(days=7)


def forget_exports(tx: Tx, now: datetime) -> int:
    return store.forget(tx, now - KEPT)
