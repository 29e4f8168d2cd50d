"""A home with devices on a real database, on a clock turned by hand."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from waystation import commands, devices
from waystation.commands import Command, NewCommand, State, Targets
from waystation.commands.store import Batch
from waystation.devices import Device
from waystation.homes import the_home
from waystation.kernel.audit import Actor
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database

OWNER = Actor("person:owner@example.org")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclass
class Site:
    database: Database
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))
    told: list[object] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database.listeners = {
            commands.CommandFinished: [lambda _tx, told, _now: self.told.append(told)],
            devices.DeviceDeleted: [commands.feature.listens[devices.DeviceDeleted]],
        }
        with self.database.write() as tx:
            self.home_id = the_home(tx, self.clock.now()).id

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def later(self, seconds: float) -> datetime:
        return self.now + timedelta(seconds=seconds)

    def device(self, name: str = "Porch", model: str = "") -> Device:
        with self.database.write() as tx:
            made = devices.register(tx, OWNER, self.home_id, self.now, name=name, model_text=model)
            return devices.find(tx, self.home_id, made.key)

    def send(self, device: Device, name: str = "ping", **wanted: Any) -> Command:
        with self.database.write() as tx:
            return commands.send(
                tx, OWNER, device.id, self.now, home_id=self.home_id, wanted=NewCommand(name, **wanted)
            )

    def send_to(self, to: Targets, name: str = "ping", **wanted: Any) -> Batch:
        with self.database.write() as tx:
            return commands.send_to_many(tx, OWNER, self.home_id, self.now, to=to, wanted=NewCommand(name, **wanted))

    def take(self, device: Device, link: str = "http", **how: Any) -> Command | None:
        with self.database.write() as tx:
            return commands.take(tx, device.id, self.now, link=link, **how)

    def given(self, device: Device) -> Command:
        """Taken, and there was one."""
        taken = self.take(device)
        assert taken is not None
        return taken

    def finish(self, device: Device, command: Command, state: State = State.DONE, **said: Any) -> Command:
        with self.database.write() as tx:
            return commands.finish(tx, device.id, self.now, uid=command.uid, state=state, **said)

    def do(self, verb: Any, one: Any) -> Any:
        """What a person does with a command or batch."""
        with self.database.write() as tx:
            return verb(tx, OWNER, one, self.now)

    def sweep(self) -> int:
        with self.database.write() as tx:
            return commands.jobs.lapse(tx, self.now)

    def seen(self, command: Command) -> Command:
        """As it is now."""
        with self.database.read() as tx:
            return commands.find(tx, self.home_id, command.uid)

    def history(self, command: Command) -> list[str]:
        with self.database.read() as tx:
            return [str(one.what) for one in commands.events(tx, command.number)]

    def progress(self, batch: Batch) -> commands.Progress:
        with self.database.read() as tx:
            return commands.progress(tx, [batch])[batch.uid]
