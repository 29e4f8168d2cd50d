"""A home with devices that write lines, on a database with tables and nothing else in them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from waystation import devices, messages
from waystation.devices import Device
from waystation.homes import store as home_rows
from waystation.homes import the_home
from waystation.kernel.audit import Actor
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.messages import Message, NewMessage, Severity, store
from waystation.messages.store import Wanted

OWNER = Actor("person:owner@example.org")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def line(
    content: str, seconds: float | None = None, severity: Severity = Severity.INFO, kind: str = "log"
) -> NewMessage:
    return NewMessage(None if seconds is None else at(seconds), severity, kind, content)


@dataclass
class House:
    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))

    def __post_init__(self) -> None:
        with self.database.write() as tx:
            self.home_id = the_home(tx, NOON).id
        self.porch = self.device("Porch")

    def move(self) -> None:
        """Into a home with nothing in it but a new porch."""
        with self.database.write() as tx:
            self.home_id = home_rows.add_home(tx, "Another", NOON).id
        self.porch = self.device("Porch")

    def device(self, name: str) -> Device:
        with self.database.write() as tx:
            made = devices.register(tx, OWNER, self.home_id, self.clock.now(), name=name)
            return devices.find(tx, self.home_id, made.key)

    def write(self, *lines: NewMessage, device: Device | None = None) -> int:
        with self.database.write() as tx:
            return messages.write(tx, device or self.porch, self.clock.now(), lines)

    def all(self, **wanted: object) -> list[Message]:
        """Newest first."""
        with self.database.read() as tx:
            return store.newest(tx, Wanted(self.home_id, **wanted), most=100_000)  # type: ignore[arg-type]

    def said(self, **wanted: object) -> list[tuple[str, int]]:
        """Content and count, oldest first."""
        return [(one.content, one.count) for one in reversed(self.all(**wanted))]
