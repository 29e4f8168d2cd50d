"""How the courier sends what waits for channels, and what is noted of every outcome."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from waystation.alerts.channels import store
from waystation.alerts.channels.kinds import KINDS
from waystation.alerts.channels.model import Config, Parcel, Sending
from waystation.alerts.channels.service import WHERE, Desk
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.outbox import Fault, GiveUp, Sender
from waystation.kernel.sealing import Sealing
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

PATIENCE = timedelta(days=4)
LONGEST_WAIT = timedelta(minutes=5)
LANES = 8
PARCEL = msgspec.json.Decoder(Parcel)


@dataclass(frozen=True, slots=True)
class Room:
    """What a try to send needs."""

    database: Database
    clock: Clock
    settings: Settings
    sealing: Sealing

    def send(self, _subject: str, body: bytes) -> None:
        parcel = PARCEL.decode(body)
        kind, config = self._channel(parcel)
        site = public_url(self.settings)
        KINDS[kind].send(Sending(parcel, config, self.settings, site, self.clock.now()))

    def _channel(self, parcel: Parcel) -> tuple[str, Config]:
        """As it is now: what has been corrected meanwhile counts."""
        with self.database.read() as tx:
            row: Any = store.by_id(tx, parcel.notice.home_id, parcel.channel_id)
        if row is None:
            raise GiveUp("the channel has been removed")
        if not row.is_enabled and parcel.notice.kind != "test":
            raise GiveUp("the channel is switched off")
        public: Mapping[str, str] = {name: value for name, value in row.config.items() if name != WHERE}
        return row.kind, {**public, **Desk(self.sealing, self.settings).secrets_of(row)}


def sender(database: Database, clock: Clock, settings: Settings, sealing: Sealing) -> Sender:
    """Channels beside each other, the notices of one in turn. A channel that is away is tried every five minutes."""
    room = Room(database, clock, settings, sealing)
    return Sender(room.send, lanes=LANES, patience=PATIENCE, longest_wait=LONGEST_WAIT, settled=note)


def note(tx: Tx, row: Any, fault: Fault | None, now: datetime) -> None:
    """In the transaction that settles the row, so that what is shown as sent will not be sent again."""
    number = PARCEL.decode(row.body).delivery_id
    if fault is None:
        store.note_sent(tx, number, now)
    else:
        store.note_fault(tx, number, now, fault=fault.text, is_final=fault.is_final)
