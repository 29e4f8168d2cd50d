"""One upload, from its first byte to its file: proved before a byte is kept where the token comes first (DS-16)."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from starlette.requests import ClientDisconnect, Request

from waystation import files
from waystation.devices import CallingDevice
from waystation.dialects.dropsync import journal, model, store, wire
from waystation.dialects.dropsync.exchange.receiving import BrokenOff, Form
from waystation.dialects.dropsync.wire import Given
from waystation.files import File, Receiving, Sender, Wanted
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import TooLarge, TooMany
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings

MOST_SPARE_BYTES = 131_072
"""Of the form around the file."""
MOST_UNPROVED = 8
"""Uploads whose token comes after the file, at once: what strangers may make the disk hold."""
PIECE_BYTES = 1 << 18
TOO_LARGE = f"File too large. Maximum size: {model.MOST_FILE_BYTES} bytes"

Prove = Callable[[Given], Awaitable[CallingDevice]]


@dataclass(frozen=True, slots=True)
class Kept:
    file: File
    sync_id: int


class Unproved:
    """A part: how many uploads wait for their token just now."""

    def __init__(self) -> None:
        self.count = 0

    @classmethod
    def of(cls, parts: Parts) -> "Unproved":
        if not parts.has(cls):
            parts.put(cls, cls())
        return parts.get(cls)

    @contextmanager
    def one_more(self) -> Generator[None]:
        if self.count >= MOST_UNPROVED:
            raise TooMany("too many uploads whose token comes last; send the token first", retry_after_seconds=5)
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


class Arriving:
    """The upload of one request. `kept` for a device by its token, `kept_for` for somebody who is known already."""

    def __init__(self, request: Request, parts: Parts) -> None:
        self._parts = parts
        self._query = wire.parse_form(request.url.query.encode())
        self._has_header = request.headers.get("authorization", "").lower().startswith("bearer ")
        self._declared = int(request.headers.get("content-length") or 0)
        self._form = Form(request.headers.get("content-type", ""), request.stream())

    async def kept(self, prove: Prove) -> Kept:
        name = await self._name()
        try:
            if name is None or self._has_token:  # without a file it is said what is missing
                sender = files.sender_of(await prove(self._given))
                return await self._store(sender, self._checked(name), self._form.file())
            return await self._proved_after_all(prove, self._checked(name))
        except ClientDisconnect as gone:
            raise BrokenOff("the upload broke off") from gone

    async def kept_for(self, sender: Sender) -> Kept:
        name = self._checked(await self._name())
        try:
            return await self._store(sender, name, self._form.file())
        except ClientDisconnect as gone:
            raise BrokenOff("the upload broke off") from gone

    @property
    def _has_token(self) -> bool:
        return self._has_header or bool(self._given.optional("token"))

    @property
    def _given(self) -> Given:
        """The form's fields; those of the address where the form has none."""
        return Given(wire.BODY, {**self._query, **self._form.fields})

    async def _name(self) -> str | None:
        if self._declared > model.MOST_FILE_BYTES + MOST_SPARE_BYTES:
            raise TooLarge(TOO_LARGE)
        try:
            return await self._form.next_file()
        except ClientDisconnect as gone:
            raise BrokenOff("the upload broke off") from gone

    def _checked(self, name: str | None) -> str:
        if name is None:
            given = self._given
            given.text("file")
            given.check()
        return model.file_name(name or "")

    async def _proved_after_all(self, prove: Prove, name: str) -> Kept:
        """Beside the files until the token has come; of a stranger nothing is left."""
        with Unproved.of(self._parts).one_more(), await asyncio.to_thread(self._spool) as spool:
            async for piece in limited(self._form.file()):
                await asyncio.to_thread(spool.write, piece)
            await self._form.until_end()
            sender = files.sender_of(await prove(self._given))
            return await self._store(sender, name, _replayed(spool))

    def _spool(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._parts.get(Settings).data)

    async def _store(self, sender: Sender, name: str, pieces: AsyncIterator[bytes]) -> Kept:
        assert sender.device_id is not None
        await asyncio.to_thread(self._check_room, sender)
        file = await self._parts.get(Receiving).whole(sender, name, limited(pieces), most_bytes=model.MOST_FILE_BYTES)
        await self._form.until_end()
        said = self._given.optional("sync_type", journal.UPLOAD)[:32]
        sync_type = journal.UPLOAD if said in (journal.DOWNLOAD, journal.DELETE) else said
        return Kept(file, await asyncio.to_thread(self._synced, file, sync_type))

    def _check_room(self, sender: Sender) -> None:
        """DS-16: of one device all files together."""
        assert sender.device_id is not None
        with self._parts.get(Database).read() as tx:
            _, used = files.count(tx, Wanted(sender.home_id, sender.device_id))
        most = self._parts.get(Settings).dropsync_device_bytes
        if used + max(0, self._declared - MOST_SPARE_BYTES) > most:
            raise TooLarge(f"The files of this device have {used} of {most} bytes; delete some first")

    def _synced(self, file: File, sync_type: str) -> int:
        """The number of its line in the history, which the store of files has just made us write."""
        with self._parts.get(Database).write() as tx:
            return _sync_of(tx, file, sync_type, self._parts)


def _sync_of(tx: Tx, file: File, sync_type: str, parts: Parts) -> int:
    assert file.device_id is not None
    found = store.sync_of_file(tx, file.device_id, file.uid)
    if found is None:
        journal.add_sync(tx, file, sync_type, parts.get(Clock).now())
        found = store.sync_of_file(tx, file.device_id, file.uid)
    elif sync_type != journal.UPLOAD:
        store.set_sync_type(tx, found, sync_type)
    assert found is not None
    return found


async def limited(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """TooLarge with the first byte that is too many."""
    size = 0
    async for piece in pieces:
        size += len(piece)
        if size > model.MOST_FILE_BYTES:
            raise TooLarge(TOO_LARGE)
        yield piece


async def _replayed(spool: IO[bytes]) -> AsyncIterator[bytes]:
    await asyncio.to_thread(spool.seek, 0)
    while piece := await asyncio.to_thread(spool.read, PIECE_BYTES):
        yield piece
