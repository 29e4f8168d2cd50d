"""A small site for tests of alerts: a home with devices, a clock turned by hand, and an evaluator stepped by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from msgspec import json

from waystation import devices
from waystation.alerts import channels, service, store
from waystation.alerts.channels.model import Parcel
from waystation.alerts.evaluator import Evaluator
from waystation.alerts.model import Condition, Incident, Rule, When, Wish
from waystation.alerts.notice import Notice
from waystation.devices import Device
from waystation.homes import first_home, the_home
from waystation.kernel import outbox
from waystation.kernel.audit import Actor
from waystation.kernel.clock import ManualClock, micros
from waystation.kernel.db import Database, Tx
from waystation.telemetry import at_of, seal
from waystation.telemetry.last import last_values
from waystation.telemetry.model import Row, Stamped, Value, kind_of, own
from waystation.telemetry.store import SeriesIds, append

OWNER = Actor("person:owner@example.org")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOT = Wish("Too hot", When(Condition.ABOVE, 30.0), metric="temp", cooldown_seconds=0)


@dataclass
class Site:
    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    ids: SeriesIds = field(default_factory=SeriesIds)

    def __post_init__(self) -> None:
        self.evaluator = Evaluator(self.database, self.clock)
        with self.database.write() as tx:
            self.home_id = the_home(tx, self.clock.now()).id
            console = {"kind": "console", "name": "log", "config": {}, "sealed": None, "is_enabled": True}
            channels.store.add(tx, self.home_id, self.clock.now(), **console)

    @classmethod
    def reopened(cls, database: Database, clock: ManualClock) -> "Site":
        """The same site in another process."""
        site = cls.__new__(cls)
        site.database, site.clock, site.ids = database, clock, SeriesIds()
        site.evaluator = Evaluator(database, clock)
        with database.read() as tx:
            home = first_home(tx)
        assert home is not None
        site.home_id = home.id
        return site

    def devices(self) -> list[Device]:
        with self.database.read() as tx:
            return devices.search(tx, self.home_id, "", 1000)

    def has_said(self, device: Device, metric: str = "temp") -> bool:
        """Whether a reading of this very time is stored."""
        with self.database.read() as tx:
            found = last_values(tx, [device.id], [metric])
        return any(at_of(one.stamp) >= micros(self.clock.now()) for one in found)

    def add_device(self, name: str = "Kitchen", model: str = "") -> Device:
        with self.database.write() as tx:
            made = devices.register(tx, OWNER, self.home_id, self.clock.now(), name=name, model_text=model)
            return devices.find(tx, self.home_id, made.key)

    def add_rule(self, wish: Wish = HOT) -> Rule:
        with self.database.write() as tx:
            return service.add(tx, OWNER, self.home_id, self.clock.now(), wish=wish)

    def say(self, device: Device, value: Value, *, seconds: float = 0, metric: str = "temp") -> None:
        """A reading, stored as if it was taken so many seconds from now."""
        self.say_all([(device, value)], seconds=seconds, metric=metric)

    def say_all(self, said: Sequence[tuple[Device, Value]], *, seconds: float = 0, metric: str = "temp") -> None:
        stamp = own(micros(self.clock.now()) + round(seconds * 1_000_000))
        stamped = [Stamped(device.id, [_row(metric, stamp, value)]) for device, value in said]
        with self.database.write() as tx:
            append(tx, self.ids, stamped)
            devices.seen(tx, [(device.id, self.clock.now(), None) for device, _ in said])

    def step(self, seconds: float = 0) -> None:
        """Turns the clock, then evaluates all there is."""
        self.clock.turn(seconds)
        while self.evaluator.step():
            pass

    def crash(self) -> None:
        """The process is gone; another one finds what it had kept."""
        self.evaluator = Evaluator(self.database, self.clock)

    def seal(self) -> int:
        return seal.seal(self.database, self.clock.now())

    def incidents(self, *, is_open: bool | None = None) -> list[Incident]:
        """The oldest first."""
        with self.database.read() as tx:
            return store.incidents(tx, store.Wanted(self.home_id, is_open=is_open), most=10_000)[::-1]

    def notices(self) -> list[Notice]:
        """All that leaves the house, in order."""
        with self.database.read() as tx:
            return [json.decode(row.body, type=Parcel).notice for row in outbox.waiting(tx, channels.OUTBOX)]

    def mail_to_owner(self, tx: Tx) -> None:
        """A channel that mails, beside the log."""
        mail = {"kind": "mail", "name": "mail", "config": {"to": "owner@example.org"}, "sealed": None}
        channels.store.add(tx, self.home_id, self.clock.now(), is_enabled=True, **mail)

    def mails(self) -> list[Notice]:
        with self.database.read() as tx:
            parcels = [json.decode(row.body, type=Parcel) for row in outbox.waiting(tx, channels.OUTBOX)]
        return [parcel.notice for parcel in parcels if parcel.to]

    def told(self) -> list[tuple[str, str]]:
        return [(notice.kind, notice.subject) for notice in self.notices()]


def _row(metric: str, stamp: int, value: Value) -> Row:
    return metric, kind_of(value), stamp, value if isinstance(value, str) else float(value)
