"""Which device is calling: a cache of proven credentials in front of the database, dropped on any change."""

import asyncio
from datetime import datetime

from waystation.devices import store
from waystation.devices.model import CallingDevice
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import Refused, Unauthenticated
from waystation.kernel.secrets import digest

WRONG = "Invalid device credentials"
MOST_KNOWN = 200_000


class Gate:
    """`known` is a look into the cache; `admit` goes to the database when it must.

    Refusals are never cached, and cost the same for an unknown device as for a wrong key: one look-up by digest (G-7).
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[bytes, tuple[CallingDevice, datetime | None]] = {}
        self._by_key: dict[str, CallingDevice] = {}
        self._drops = 0
        self._used: dict[int, datetime] = {}

    def known(self, authorization: bytes | None) -> CallingDevice | None:
        """The device, when this very header was good a moment ago."""
        if authorization is None:
            return None
        entry = self._known.get(digest(authorization))
        if entry is None:
            return None
        device, expires_at = entry
        return device if expires_at is None or expires_at > self._clock.now() else None

    async def admit(self, authorization: bytes | None, client_ip: str | None = None) -> CallingDevice:
        """Unauthenticated when the header is absent or malformed, Refused when it is wrong (contract table TH 4.2)."""
        del client_ip
        device = self.known(authorization)
        if device is not None:
            return device
        name, secret = parse(authorization)
        assert authorization is not None
        return await asyncio.to_thread(self._look_up, digest(authorization), name, secret)

    async def admit_login(self, user: str, password: str) -> CallingDevice:
        """An MQTT log-in: the user is the device's key or serial, the password its API key."""
        return await asyncio.to_thread(self._look_up, digest(f"mqtt {user}:{password}"), user, password)

    async def by_key(self, key: str) -> CallingDevice | None:
        """The device that a broker let in under this key; None when it is deleted."""
        return self._by_key.get(key) or await asyncio.to_thread(self._find, key)

    def drop(self, device_id: int) -> None:
        """Forget what was proven; from any thread."""
        self._drops += 1
        for key in [key for key, device in list(self._by_key.items()) if device.id == device_id]:
            self._by_key.pop(key, None)
        for proof in [proof for proof, (device, _) in list(self._known.items()) if device.id == device_id]:
            self._known.pop(proof, None)

    def drop_all(self) -> None:
        """Notices may have been missed."""
        self._drops += 1
        self._known.clear()
        self._by_key.clear()

    def take_used(self) -> dict[int, datetime]:
        """Credential uses since the last call, for the sweep that writes them down."""
        used, self._used = self._used, {}
        return used

    def _look_up(self, proof: bytes, name: str | None, secret: str) -> CallingDevice:
        drops, now = self._drops, self._clock.now()
        with self._database.read() as tx:
            row = store.live_credential(tx, digest(secret), now)
        if row is None or (name is not None and name not in (row.serial, row.key)):
            raise Refused(WRONG)
        device = CallingDevice(row.id, row.key, row.serial, row.name, row.home_id)
        self._used[row.credential_id] = now
        if drops == self._drops:  # nothing was revoked while we looked
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[proof] = device, row.expires_at
        return device

    def _find(self, key: str) -> CallingDevice | None:
        drops = self._drops
        with self._database.read() as tx:
            row = store.by_proven_key(tx, key)
        if row is None:
            return None
        device = CallingDevice(row.id, row.key, row.serial, row.name, row.home_id)
        if drops == self._drops and len(self._by_key) < MOST_KNOWN:
            self._by_key[key] = device
        return device


def parse(authorization: bytes | None) -> tuple[str | None, str]:
    """`Device <serial or key>:<API key>`, split at the first colon, or `Bearer <API key>`."""
    scheme, _, rest = (authorization or b"").decode("latin-1").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return None, rest.strip()
    if scheme.lower() != "device":
        raise Unauthenticated("Missing or invalid Authorization header")
    name, colon, secret = rest.strip().partition(":")
    if not (name and colon and secret):
        raise Unauthenticated("Invalid device credentials format")
    return name, secret
