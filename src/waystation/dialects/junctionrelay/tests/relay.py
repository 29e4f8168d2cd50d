"""A small site with the dialect, as an owner and as devices see it."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from httpx2 import Response

from waystation import devices
from waystation.devices import AccessChanged, Device, Gate, registration
from waystation.devices.registration import Offer, Wanted
from waystation.dialects import junctionrelay
from waystation.dialects.junctionrelay.strangers import Strangers
from waystation.kernel.db import Database
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing
from waystation.telemetry.tests.house import OWNER, House, house

MAC = "02:FC:00:00:00:01"


@dataclass
class Relay:
    house: House

    def offer(self, name: str = "Porch Pi", **wanted: Any) -> Offer:
        return self._write(
            lambda tx: registration.offer(
                tx,
                Sealing(self.house.parts.get(KeyRing)),
                OWNER,
                wanted.pop("home_id", self.house.home_id),
                wanted=Wanted(name=name, **wanted),
                now=self.now,
            )
        )

    async def register(self, token: str, said_id: str = MAC, **more: Any) -> Response:
        body = {"registrationToken": token, "actualDeviceId": said_id, "deviceName": "Porch Pi"}
        return await self.post("register", body | more)

    async def device(self, said_id: str = MAC, **wanted: Any) -> dict[str, Any]:
        """What a newly registered device holds, and its id."""
        answer = await self.register(self.offer(**wanted).token, said_id)
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "id": said_id}

    async def refresh(self, held: Mapping[str, Any], **other: Any) -> Response:
        return await self.post("refresh", {"RefreshToken": held["refreshToken"], "DeviceId": held["id"]} | other)

    async def rotate(self, held: Mapping[str, Any], **other: Any) -> Response:
        return await self.post("refresh-rotate", {"RefreshToken": held["refreshToken"], "DeviceId": held["id"]} | other)

    async def rotated(self, held: Mapping[str, Any]) -> dict[str, Any]:
        told = (await self.rotate(held)).json()
        return {**held, **told, "deviceJwt": told["token"]}

    async def health(self, held: Mapping[str, Any], body: Any = None) -> Response:
        body = {"Status": "online", "SensorData": ""} if body is None else body
        return await self.post("health", body, jwt=held["deviceJwt"])

    async def post(self, call: str, body: Any, *, jwt: str | None = None, prefix: str = "/cloud/devices") -> Response:
        headers = {"content-type": "application/json", "user-agent": "python-requests/2.32.3"}
        if jwt is not None:
            headers["authorization"] = f"Bearer {jwt}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.house.client.post(f"{prefix}/{call}", content=content, headers=headers)

    async def ask(self, method: str, path: str, body: Any = None, who: Mapping[str, str] | None = None) -> Response:
        """As the owner, or as whoever is named."""
        given = {} if body is None else {"json": body}
        return await self.house.client.request(method, path, headers=dict(who or self.house.owner), **given)

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    def turn(self, seconds: float) -> None:
        self.house.clock.turn(seconds)

    def found(self, said_id: str = MAC) -> list[Device]:
        with self.house.database.read() as tx:
            whole = devices.search(tx, self.house.home_id, "", 100)
        return [one for one in whole if one.said_id == said_id]

    def revoke(self, device: Device) -> None:
        self._write(lambda tx: devices.revoke(tx, OWNER, device, self.now))

    def rows(self) -> dict[str, Any]:
        """The last value of everything that was measured."""
        return dict(self.house.rows())

    def outbox(self, kind: str) -> list[dict[str, Any]]:
        with self.house.database.read() as tx:
            rows = tx.connection.exec_driver_sql(f"select body from outbox where kind = '{kind}' order by id").all()
        return [json.loads(row[0]) for row in rows]

    def _write(self, do: Any) -> Any:
        with self.house.database.write() as tx:
            return do(tx)


@asynccontextmanager
async def relay(database: Database, folder: Path, **settings: Any) -> AsyncGenerator[Relay]:
    async with house(database, folder, devices.feature, junctionrelay.feature, **settings) as home:
        gate, parts = home.parts.get(Gate), home.parts
        home.clock.at = datetime(2026, 11, 21, 7, 19, 6, 250_000, UTC)
        database.listeners[AccessChanged] = [  # type: ignore[index]
            lambda tx, told, _: tx.after_commit(partial(gate.drop, told.device_id))
        ]
        parts.put(Strangers, Strangers(wait_seconds=0))
        yield Relay(home)
