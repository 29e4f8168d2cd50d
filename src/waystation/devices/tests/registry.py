"""A home with devices on a real database, and the gate in front of them, wired as in the app."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from waystation import devices
from waystation.devices import CallingDevice, Device, Gate, NewClaim, Provisioned, service
from waystation.homes import the_home
from waystation.kernel.audit import Actor
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import DomainError
from waystation.kernel.jwt import Tokens
from waystation.kernel.secrets import KeyRing

OWNER = Actor("person:owner@example.org")
OWN_KEY = "k" * 43
OTHER_KEY = "o" * 43


@dataclass
class Registry:
    database: Database
    clock: ManualClock
    gate: Gate
    home_id: int

    def register(self, name: str = "Kitchen", serial: str = "") -> Provisioned:
        with self.database.write() as tx:
            return devices.register(tx, OWNER, self.home_id, self.clock.now(), name=name, serial=serial)

    def offer(self, name: str = "", **more: Any) -> NewClaim:
        with self.database.write() as tx:
            return devices.offer_claim(tx, OWNER, self.home_id, self.clock.now(), name=name, **more)

    def claim(self, code: str, api_key: str = "", **external_ids: str) -> Provisioned:
        with self.database.write() as tx:
            now = self.clock.now()
            return service.claim(tx, now, code=code, name="Pi", external_ids=external_ids, api_key=api_key)

    def device(self, made: Provisioned) -> Device:
        with self.database.read() as tx:
            return devices.find(tx, self.home_id, made.key)

    def revoke(self, made: Provisioned, credential_id: int | None = None) -> int:
        device = self.device(made)
        with self.database.write() as tx:
            return devices.revoke(tx, OWNER, device, self.clock.now(), credential_id=credential_id)

    def change(self, made: Provisioned, verb: Any, **more: Any) -> None:
        device = self.device(made)
        with self.database.write() as tx:
            verb(tx, OWNER, device, self.clock.now(), **more)

    def credential_ids(self, made: Provisioned) -> list[int]:
        with self.database.read() as tx:
            return [one.id for one in devices.credentials(tx, self.device(made).id)]

    def admit(self, authorization: bytes) -> CallingDevice:
        return asyncio.run(self.gate.admit(authorization))

    def answer(self, authorization: bytes | None) -> int:
        """The status that a device with this header gets."""
        try:
            asyncio.run(self.gate.admit(authorization))
        except DomainError as refused:
            return refused.status
        return 200


def proof(made: Provisioned, *, name: str | None = None) -> bytes:
    return f"Device {name or made.serial}:{made.api_key}".encode()


@contextmanager
def registry(database: Database, folder: Path) -> Generator[Registry]:
    clock = ManualClock()
    gate = Gate(database, clock, Tokens(KeyRing(folder / "keys")))
    database.listeners = {
        devices.AccessChanged: [lambda tx, told, _now: tx.after_commit(partial(gate.drop, told.device_id))]
    }
    with database.write() as tx:
        home_id = the_home(tx, clock.now()).id
    yield Registry(database, clock, gate, home_id)
