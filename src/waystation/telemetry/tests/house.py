"""A small site for tests of the edges: real database, gate, writer and bus, without server and NATS."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from waystation import devices, telemetry
from waystation.devices import Device, Gate, Provisioned
from waystation.homes import the_home
from waystation.identity import new_token
from waystation.kernel import faults
from waystation.kernel.audit import Actor
from waystation.kernel.bus import Bus, LocalBus
from waystation.kernel.clock import Clock, ManualClock, micros
from waystation.kernel.db import Database, Listener
from waystation.kernel.feature import Feature, loaded
from waystation.kernel.hot import Hot
from waystation.kernel.jwt import Tokens
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings
from waystation.telemetry import Ingest, Live, Throttle

OWNER = Actor("person:owner@example.org")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_MS = 1_767_268_800_000


@dataclass
class House:
    """One home with an owner's and a viewer's API token, and as many devices as a test adds."""

    parts: Parts
    app: Hot
    client: AsyncClient
    clock: ManualClock
    home_id: int
    owner: Mapping[str, str]
    stranger: Mapping[str, str] = field(default_factory=lambda: {"authorization": "Bearer ws_nobody"})

    @property
    def database(self) -> Database:
        return self.parts.get(Database)

    @property
    def ingest(self) -> Ingest:
        return self.parts.get(Ingest)

    def add_device(self, name: str = "Kitchen", serial: str = "", home_id: int | None = None) -> Provisioned:
        with self.database.write() as tx:
            return devices.register(tx, OWNER, home_id or self.home_id, self.clock.now(), name=name, serial=serial)

    def device(self, made: Provisioned) -> Device:
        with self.database.read() as tx:
            return devices.find(tx, self.home_id, made.key)

    def revoke(self, made: Provisioned) -> None:
        device = self.device(made)
        with self.database.write() as tx:
            devices.revoke(tx, OWNER, device, self.clock.now())
        self.parts.get(Gate).drop(device.id)

    def rows(self) -> list[tuple[str, Any]]:
        """Everything in the tail as (metric, value), in order of arrival."""
        statement = "select s.metric, t.text, t.value from tail t join series s on s.id = t.series_id order by t.id"
        with self.database.read() as tx:
            found = tx.connection.exec_driver_sql(statement)
            return [(metric, value if text is None else text) for metric, text, value in found]


def as_device(made: Provisioned) -> dict[str, str]:
    return {"authorization": f"Device {made.serial}:{made.api_key}"}


@asynccontextmanager
async def house(database: Database, folder: Path, *features: Feature, **settings: Any) -> AsyncGenerator[House]:
    """Telemetry, and the further features, on a database with tables and nothing in them."""
    served = (telemetry.feature, *features)
    parts = _parts(database, served, Settings(data=folder, **settings))
    clock = parts.get(ManualClock)
    with parts.get(Database).write() as tx:
        home_id = the_home(tx, clock.now()).id
        token = new_token(tx, OWNER, clock.now(), name="owner", role="owner")
    framework = FastAPI(redirect_slashes=False)
    framework.state.parts = parts
    faults.install(framework)
    for feature in served:
        for router in feature.routes:
            framework.include_router(loaded(router))
    app = Hot(framework, [route for feature in served for route in feature.hot], parts, 1_048_576)
    client = AsyncClient(transport=ASGITransport(app=app, client=("192.0.2.7", 1)), base_url="http://hub")
    async with client, telemetry.take_readings(parts), telemetry.show_readings(parts):
        yield House(parts, app, client, clock, home_id, {"authorization": f"Bearer {token}"})


def _parts(database: Database, served: Sequence[Feature], settings: Settings) -> Parts:
    listeners: dict[type, list[Listener]] = {}
    database.listeners = listeners
    for feature in served:
        for event, listener in feature.listens.items():
            listeners.setdefault(event, []).append(listener)
    clock = ManualClock(NOON)
    bus = LocalBus()
    live = Live(bus)
    ingest = Ingest(database, clock, settings, seen=devices.seen, told=(live.readings_stored,))
    keys = KeyRing(settings.data / "keys")
    tokens = Tokens(keys)
    limiter = Limiter(now=lambda: micros(clock.now()))
    parts = Parts(database, clock, settings, live, ingest, Gate(database, clock, tokens), limiter, tokens, keys)
    parts.put(Throttle, Throttle(limiter, settings, planned=ingest.quota.per_minute))
    parts.put(Bus, bus)
    parts.put(Clock, clock)
    return parts
