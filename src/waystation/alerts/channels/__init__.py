"""Ways out of the house for notices: a folder for each kind, and one outbox for all."""

from waystation.alerts.channels.jobs import forget_deliveries
from waystation.alerts.channels.model import Channel, Delivery
from waystation.alerts.channels.sending import sender
from waystation.alerts.channels.service import (
    OUTBOX,
    Desk,
    channels,
    deliveries_of_incident,
    find,
    newest_deliveries,
    put,
    remove,
    reseal,
    send_again,
    test,
)

__all__ = [
    "OUTBOX",
    "Channel",
    "Delivery",
    "Desk",
    "channels",
    "deliveries_of_incident",
    "find",
    "forget_deliveries",
    "newest_deliveries",
    "put",
    "remove",
    "reseal",
    "send_again",
    "sender",
    "test",
]
