"""What is forgotten of notices that went out."""

from datetime import datetime, timedelta

from waystation.alerts.channels import store
from waystation.kernel.db import Tx

KEPT = timedelta(days=90)
AT_ONCE = 500


def forget_deliveries(tx: Tx, now: datetime) -> int:
    return store.forget_deliveries(tx, now - KEPT, AT_ONCE)
