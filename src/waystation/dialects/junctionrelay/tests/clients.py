"""The five Python clients of JunctionRelay as the contract describes them (sections 4.1 to 4.6), on a clock by hand.

As the real ones: one loop of rotate, refresh and health; no call is repeated; a failed refresh is followed by a rotate
at once; a failed rotate wipes the identity; health failures are only printed.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from waystation.dialects.junctionrelay.tests.sealing import sealed_v1

Post = Callable[[str, dict[str, Any], str | None], Awaitable[tuple[int, Any]]]
"""path, body, bearer → status and JSON; status 0 for a connection that failed."""

STATISTICS = {"uptime": 3600, "freeHeap": 1073741824, "totalMemory": 4294967296, "memoryUsage": 25.5, "cpuUsage": 15.2}
SENSORS = {"temperature": "23.5", "humidity": "65", "status": "ok"}


@dataclass(frozen=True)
class Variant:
    name: str
    prefix: str
    needed: tuple[str, ...]
    sensor_data: Callable[[str], Any]


def compact(_: str) -> str:
    return json.dumps({**STATISTICS, **SENSORS}, separators=(",", ":"))


def encrypted(public_key: str) -> str:
    return sealed_v1(compact("").encode(), public_key)


PLAIN, SEALED = ("deviceName", "token"), ("publicKey", "deviceName", "token")
VARIANTS = (
    Variant("health-object", "/cloud/devices", PLAIN, lambda _: {**STATISTICS, **SENSORS}),
    Variant("health-string", "/cloud/devices", PLAIN, compact),
    Variant("health-empty", "/cloud/devices", PLAIN, lambda _: ""),
    Variant("sensors-old", "/cloud/devices", SEALED, encrypted),
    Variant("sensors-new", "/cloud-devices", SEALED, encrypted),
)


@dataclass
class Client:
    """`now` is the client's clock, `told` what came of its calls: `refresh 200` and how often."""

    variant: Variant
    post: Post
    now: Callable[[], float]
    device_id: str
    is_testing: bool = False
    health_seconds: float = 61
    jwt: str = ""
    refresh_token: str = ""
    refresh_expires: float = 0
    last_refresh: float = 0
    last_health: float = float("-inf")
    public_key: str = ""
    wiped: int = 0
    told: Counter[str] = field(default_factory=Counter[str])

    async def paste(self, line: str) -> None:
        pasted = json.loads(line)
        assert all(pasted.get(key) for key in self.variant.needed)
        self.public_key = pasted.get("publicKey", "")
        body = {
            "registrationToken": pasted["token"],
            "actualDeviceId": self.device_id,
            "deviceName": pasted["deviceName"],
        }
        said = await self._call("register", body)
        if said is None or "deviceJwt" not in said:
            return
        self.jwt, self.refresh_token = said["deviceJwt"], said["refreshToken"]
        self._expires(said)
        self.last_refresh, self.last_health = self.now(), float("-inf")

    async def tick(self) -> None:
        """One pass of its loop."""
        if not self.refresh_token:
            return
        if 0 < self.refresh_expires - self.now() <= (60 if self.is_testing else 86_400):
            await self._rotate()
        if self.refresh_token and self.now() - self.last_refresh >= self.refresh_seconds:
            await self._refresh()
        if self.refresh_token and self.now() - self.last_health >= self.health_seconds:
            self.last_health = self.now()
            body = {"Status": "online", "SensorData": self.variant.sensor_data(self.public_key)}
            await self._call("health", body, self.jwt)

    @property
    def refresh_seconds(self) -> float:
        return 300 if self.is_testing else 3600

    def seconds_to_next(self) -> float:
        """Until its loop would do something, in whole passes of a second."""
        if not self.refresh_token:
            return float("inf")
        ends = (
            self.refresh_expires - (60 if self.is_testing else 86_400),
            self.last_refresh + self.refresh_seconds,
            self.last_health + self.health_seconds,
        )
        return max(1, min(end - self.now() for end in ends))

    async def _refresh(self) -> None:
        self.last_refresh = self.now()
        said = await self._call("refresh", self._renewal())
        if said is not None and said.get("success") and said.get("token"):
            self.jwt = said["token"]
        else:
            await self._rotate()

    async def _rotate(self) -> None:
        said = await self._call("refresh-rotate", self._renewal())
        if said is not None and said.get("success") and said.get("token") and said.get("refreshToken"):
            self.jwt, self.refresh_token = said["token"], said["refreshToken"]
            self._expires(said)
            self.last_refresh = self.now()
            return
        self.jwt = self.refresh_token = ""
        self.wiped += 1

    def _expires(self, said: Mapping[str, Any]) -> None:
        """In test mode it believes its own clock; else what it is told, to the second and by the offset."""
        told = datetime.fromisoformat(said["refreshTokenExpiresAt"]).timestamp()
        self.refresh_expires = self.now() + 1080 if self.is_testing else told

    def _renewal(self) -> dict[str, Any]:
        return {"RefreshToken": self.refresh_token, "DeviceId": self.device_id}

    async def _call(self, call: str, body: dict[str, Any], bearer: str | None = None) -> Any:
        """The answer's JSON when its status is 200, else None."""
        status, said = await self.post(f"{self.variant.prefix}/{call}", body, bearer)
        self.told[f"{call} {status}"] += 1
        return said if status == 200 else None
