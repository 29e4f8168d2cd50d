"""Sweeps of commands."""

from datetime import datetime, timedelta

from waystation.commands import service, store
from waystation.kernel.db import Database, Tx
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings


def lapse(tx: Tx, now: datetime) -> int:
    """Leases that ended, and commands that expired."""
    return service.lapse(tx, now)


def forget(parts: Parts, now: datetime) -> int:
    """Finished commands with their history, after as many days as the owner keeps them."""
    before = now - timedelta(days=parts.get(Settings).command_days)
    with parts.get(Database).write() as tx:
        return store.forget(tx, before) + store.forget_batches(tx, before)
