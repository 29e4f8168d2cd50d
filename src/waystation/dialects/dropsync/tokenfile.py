"""`device_auth.json`: an owner adds a device by writing its id and token there (DS-3).

A line counts once, when it is new or has changed. What an administrator did later, by API, page or command, stays; what
they did before gives way to the line, and so the last deed wins, by the file's time.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import structlog

from waystation import devices, homes
from waystation.devices import Device
from waystation.dialects.dropsync import journal, model, service, store
from waystation.dialects.dropsync.model import KIND
from waystation.dialects.dropsync.store import Entry
from waystation.kernel import server
from waystation.kernel.audit import Actor
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError
from waystation.kernel.jobs import Sweeper
from waystation.kernel.parts import Parts
from waystation.kernel.secrets import digest
from waystation.kernel.settings import Settings

log = structlog.get_logger(__name__)

NAME = "device_auth.json"
LOOK_SECONDS = 2.0
MOST_BYTES = 4_194_304
MOST_ENTRIES = 10_000
MOST_TOKEN = 256
BY = Actor(NAME)
Tokens = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the lines: ids of devices, and why some were left out."""

    taken: list[str]
    ended: list[str]
    skipped: dict[str, str]


def read(text: str) -> tuple[Tokens, dict[str, str]]:
    """The tokens by device id, and what was left out and why; ValueError when it is not such a file."""
    given = json.loads(text)
    if not isinstance(given, dict):
        raise ValueError("a JSON object of device ids and tokens is wanted")  # noqa: TRY004  as json.loads says it
    tokens: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for name, token in list(cast("dict[str, Any]", given).items())[:MOST_ENTRIES]:
        if not model.is_device_id(name):
            skipped[name[:64]] = "a device id has 1 to 64 of the characters A-Z a-z 0-9 . _ : -"
        elif not isinstance(token, str) or not token.strip() or len(token) > MOST_TOKEN or not token.isprintable():
            skipped[name] = f"its token is no text of 1 to {MOST_TOKEN} printable characters"
        else:
            tokens[name] = token.strip()
    return tokens, skipped


def take(tx: Tx, home_id: int, now: datetime, *, tokens: Tokens, written_at: datetime) -> Outcome:
    """Brings the lines in that are new or changed, and ends the tokens of lines that are gone."""
    known, done = store.entries(tx, home_id), Outcome([], [], {})
    for name, token in tokens.items():
        mark = digest(token)
        if name in known and known[name].digest == mark:
            continue
        credential_id = _taken(tx, home_id, now, name=name, token=token, written_at=written_at)
        if credential_id is None:
            done.skipped[name] = "an administrator changed its token after the file was written"
        else:
            done.taken.append(name)
        store.keep_entry(tx, home_id, Entry(name, mark, credential_id))
    for gone in known.keys() - tokens.keys():
        if _ended(tx, home_id, known[gone], now):
            done.ended.append(gone)
        store.forget_entry(tx, home_id, gone)
    return done


def _taken(tx: Tx, home_id: int, now: datetime, *, name: str, token: str, written_at: datetime) -> int | None:
    """The credential that the line is now; None when somebody's later deed stands against it."""
    device = devices.by_external_id(tx, home_id, KIND, name)
    if device is not None and _says_the_same(tx, device, name, token):
        return devices.keep_token(tx, BY, device, now, token=token, kind=KIND, value=name)
    if device is not None and _changed_since(tx, device, written_at):
        return None
    device = service.ensure(tx, BY, home_id, now, name=name)
    made = devices.keep_token(tx, BY, device, now, token=token, kind=KIND, value=name)
    devices.end_tokens(tx, BY, device, now, but=made)
    journal.note(tx, home_id, now, "device_registered", source=name, said=f"Device {name} registered by {NAME}")
    return made


def _says_the_same(tx: Tx, device: Device, name: str, token: str) -> bool:
    """As when the command-line tool wrote down what it had just been given."""
    return device.disabled_at is None and devices.is_live_token(tx, device, token, kind=KIND, value=name)


def _changed_since(tx: Tx, device: Device, written_at: datetime) -> bool:
    deeds = (devices.newest_change(tx, device.id), device.disabled_at)
    return any(at is not None and at > written_at for at in deeds)


def _ended(tx: Tx, home_id: int, gone: Entry, now: datetime) -> bool:
    device = devices.by_external_id(tx, home_id, KIND, gone.name)
    live = {one.id for one in devices.credentials(tx, device.id) if one.is_live(now)} if device else set[int]()
    if device is None or gone.credential_id not in live:
        return False
    devices.revoke(tx, BY, device, now, credential_id=gone.credential_id)
    journal.note(
        tx, home_id, now, "device_revoked", source=gone.name, said=f"Device {gone.name} is no longer in {NAME}"
    )
    return True


class TokenFile:
    """The file as it was last read."""

    def __init__(self, parts: Parts) -> None:
        settings = parts.get(Settings)
        self.path = Path(settings.device_auth_file) if settings.device_auth_file else settings.data / NAME
        self._database = parts.get(Database)
        self._clock = parts.get(Clock)
        self._seen: tuple[int, int, int] | None = None

    def look(self) -> None:
        """Call in a thread. What cannot be read changes nothing, and is told once."""
        try:
            stat = self.path.stat()
        except OSError:
            return
        seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            if stat.st_size > MOST_BYTES:
                raise ValueError(f"it is larger than {MOST_BYTES} bytes")  # noqa: TRY301
            tokens, skipped = read(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as fault:
            log.warning("the token file is not read; what was read before stays", path=str(self.path), fault=str(fault))
            return
        self._take(tokens, skipped, datetime.fromtimestamp(stat.st_mtime, UTC))

    def _take(self, tokens: Tokens, skipped: dict[str, str], written_at: datetime) -> None:
        now = self._clock.now()
        try:
            with self._database.write() as tx:
                home = homes.the_home(tx, now)
                done = take(tx, home.id, now, tokens=tokens, written_at=written_at)
        except DomainError as fault:
            self._seen = None  # it is tried again
            log.warning("the token file is not taken over yet", fault=fault.sentence)
            return
        for name, why in (skipped | done.skipped).items():
            log.warning("a line of the token file does not count", device=name, why=why)
        if done.taken or done.ended:
            log.info("the token file was read", registered=len(done.taken), ended=len(done.ended))


@asynccontextmanager
async def follow(parts: Parts) -> AsyncGenerator[None]:
    """Reads the file before the first device is served, then whenever it has changed."""
    file = TokenFile(parts)
    if server.slot() == 1:
        await asyncio.to_thread(file.look)
    looking = asyncio.create_task(_look_on(file, parts.get(Sweeper)))
    try:
        yield
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking


async def _look_on(file: TokenFile, sweeper: Sweeper) -> None:
    """In one process, whichever sweeps."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if sweeper.owns:
            await asyncio.to_thread(file.look)
