"""Which device is calling: a cache of proven credentials in front of the database, dropped on any change."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from waystation.devices import renewal, store
from waystation.devices.chosen import store as chosen
from waystation.devices.model import CallingDevice, CredentialState
from waystation.kernel import jwt
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import Refused, Unauthenticated
from waystation.kernel.reader import Reader
from waystation.kernel.secrets import digest

WRONG = "Invalid device credentials"
MOST_KNOWN = 200_000


class Gate:
    """`known` is a look into the cache; `admit` goes to the database when it must.

    Refusals are never cached, and cost the same for an unknown device as for a wrong key: one look-up by digest (G-7).
    """

    def __init__(self, database: Database, clock: Clock, tokens: jwt.Tokens) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._known: dict[bytes, tuple[CallingDevice, datetime | None]] = {}
        self._by_key: dict[str, CallingDevice] = {}
        self._drops = 0
        self._used: dict[int, datetime] = {}
        self._heard: dict[int, tuple[datetime, str | None]] = {}
        self._live_keys = Reader[bytes, Any](database, lambda tx, digests: store.live_keys(tx, digests, clock.now()))

    def known(self, authorization: bytes | None) -> CallingDevice | None:
        """The device, when this very header was good a moment ago."""
        if authorization is None:
            return None
        return self._still_known(digest(authorization))

    async def admit(self, authorization: bytes | None, client_ip: str | None = None) -> CallingDevice:
        """Unauthenticated when the header is absent or malformed, Refused when it is wrong (contract table TH 4.2)."""
        del client_ip
        device = self.known(authorization)
        if device is not None:
            return device
        name, secret = parse(authorization)
        assert authorization is not None
        return await self._ask(digest(authorization), name, secret)

    def admit_here(self, authorization: bytes | None) -> CallingDevice:
        """The same in a thread that may wait."""
        device = self.known(authorization)
        if device is not None:
            return device
        name, secret = parse(authorization)
        assert authorization is not None
        return self._look_up(digest(authorization), name, secret)

    async def admit_login(self, user: str, password: str) -> CallingDevice:
        """An MQTT log-in: the user is the device's key or serial, the password its API key."""
        return await self._ask(digest(f"mqtt {user}:{password}"), user, password)

    async def admit_named(self, name: str, proof: str) -> CallingDevice:
        """The device with this serial or key, which somebody has vouched for in its place; Refused when it is unknown
        or disabled. `proof` holds the secret that vouched, and is remembered as a key of its own would be.
        """
        known = self._known.get(digest(proof))
        return known[0] if known is not None else await asyncio.to_thread(self._look_up_named, digest(proof), name)

    async def admit_called(self, kind: str, value: str, secret: str) -> CallingDevice:
        """The device with this external id, by a key or token of its own; Refused otherwise."""
        proof = chosen.bound_digest(kind, value, secret)
        device = self._still_known(proof)
        return device or await asyncio.to_thread(self._look_up_called, kind, value, secret)

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

    def note(self, device_id: int, credential_id: int, client_ip: str | None) -> None:
        """A use that wrote nothing itself, for the sweep; from any thread."""
        now = self._clock.now()
        self._used[credential_id] = now
        self._heard[device_id] = now, client_ip

    def hear(self, device_id: int, now: datetime, client_ip: str | None) -> None:
        """Traffic that wrote nothing itself, for the sweep; from any thread."""
        self._heard[device_id] = now, client_ip

    def take_heard(self) -> dict[int, tuple[datetime, str | None]]:
        """Devices that were noted since the last call, with the time and their address."""
        heard, self._heard = self._heard, {}
        return heard

    def _still_known(self, proof: bytes) -> CallingDevice | None:
        entry = self._known.get(proof)
        if entry is None:
            return None
        device, expires_at = entry
        return device if expires_at is None or expires_at > self._clock.now() else None

    async def _ask(self, proof: bytes, name: str | None, secret: str) -> CallingDevice:
        """As `_look_up`, together with all who come now."""
        if name is None and jwt.looks_like_one(secret):
            return await asyncio.to_thread(self._look_up, proof, name, secret)
        drops = self._drops
        row = _named(await self._live_keys.ask(digest(secret)), name)
        if row.state == CredentialState.CANDIDATE:
            drops = await asyncio.to_thread(self._take_over, row.credential_id, self._clock.now())
        return self._remember(proof, row, row.expires_at, drops=drops)

    def _look_up(self, proof: bytes, name: str | None, secret: str) -> CallingDevice:
        drops, now = self._drops, self._clock.now()
        if name is None and jwt.looks_like_one(secret):
            row, expires_at = self._by_access_token(secret, now)
        else:
            row, expires_at = self._by_key_or_secret(name, secret, now)
        if row.state == CredentialState.CANDIDATE:
            drops = self._take_over(row.credential_id, now)
        return self._remember(proof, row, expires_at, drops=drops)

    def _look_up_called(self, kind: str, value: str, secret: str) -> CallingDevice:
        """Strangers cost the same look-up whatever they name (G-7)."""
        drops, now = self._drops, self._clock.now()
        proof = chosen.bound_digest(kind, value, secret)
        with self._database.read() as tx:
            live = store.live_keys(tx, [digest(secret), proof], now)
            both = (live.get(digest(secret)), live.get(proof))
            row = next((found for found in both if chosen.is_called(tx, found, kind, value)), None)
        if row is None:
            raise Refused(WRONG)
        if row.state == CredentialState.CANDIDATE:
            drops = self._take_over(row.credential_id, now)
        return self._remember(proof, row, row.expires_at, drops=drops)

    def _remember(self, proof: bytes, row: Any, expires_at: datetime | None, *, drops: int) -> CallingDevice:
        device = CallingDevice(row.id, row.key, row.serial, row.name, row.home_id)
        self._used[row.credential_id] = self._clock.now()
        if drops == self._drops:  # nothing was revoked while we looked
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
                self._by_key.clear()
            self._known[proof] = device, expires_at
            self._by_key[device.key] = device
        return device

    def _look_up_named(self, proof: bytes, name: str) -> CallingDevice:
        drops = self._drops
        with self._database.read() as tx:
            row = store.by_able_name(tx, name)
        if row is None:
            raise Refused(WRONG)
        device = CallingDevice(row.id, row.key, row.serial, row.name, row.home_id)
        if drops == self._drops and len(self._known) < MOST_KNOWN:
            self._known[proof] = device, None
        return device

    def _by_key_or_secret(self, name: str | None, secret: str, now: datetime) -> tuple[Any, datetime | None]:
        with self._database.read() as tx:
            row = _named(store.live_keys(tx, [digest(secret)], now).get(digest(secret)), name)
        return row, row.expires_at

    def _by_access_token(self, token: str, now: datetime) -> tuple[Any, datetime]:
        """Unauthenticated unless the refresh token that it came with, or its successor in waiting, is still good."""
        claims = self._tokens.read(renewal.ACCESS, token, now)
        with self._database.read() as tx:
            row = store.live_lineage(tx, claims["cid"], now) if isinstance(claims.get("cid"), int) else None
        if row is None or row.key != claims.get("sub"):
            raise Unauthenticated(jwt.WRONG)
        return row, datetime.fromtimestamp(claims["exp"], UTC)

    def _take_over(self, credential_id: int, now: datetime) -> int:
        """The first use of a candidate retires its predecessor, in a transaction of its own."""
        with self._database.write() as tx:
            opens = renewal.first_use(tx, credential_id, now)
        if not opens:
            raise Refused(WRONG)
        return self._drops

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


def _named(row: Any, name: str | None) -> Any:
    """The row found by a secret, when whoever brought it gave no name or the right one."""
    if row is None or (name is not None and name not in (row.serial, row.key)):
        raise Refused(WRONG)
    return row


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
