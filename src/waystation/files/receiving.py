"""Bytes that arrive: in pieces, into a draft, durable before they are acknowledged, never held in memory."""

import asyncio
import hashlib
import hmac
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.files import model, service, store
from waystation.files.model import File, Upload
from waystation.files.service import Content, Sender
from waystation.files.sniff import HEAD_BYTES, media_type
from waystation.kernel import blob_rows
from waystation.kernel.blobs import PIECE_BYTES, SYNC_BYTES, Blobs, Draft, Drafts
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, DomainError, Invalid, NotFound
from waystation.kernel.parts import Parts
from waystation.kernel.room import Room
from waystation.kernel.settings import Settings

WHOLE = "whole-"  # how drafts of uploads in one call begin: nobody goes on with those


class ChecksumMismatch(DomainError):
    """tus 1.0, checksum extension: this part is thrown away."""

    status, word = 460, "checksum_mismatch"


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the client says of one part; `algorithm` as hashlib names it."""

    algorithm: str
    digest: bytes


class Receiving:
    """A part: where uploads come in, over whatever edge."""

    def __init__(self, parts: Parts) -> None:
        self._database = parts.get(Database)
        self._clock = parts.get(Clock)
        self._blobs = parts.get(Blobs)
        self._room = parts.get(Room)
        self._settings = parts.get(Settings)
        self.drafts = parts.get(Drafts)

    def check(self, sender: Sender, name: str, size_bytes: int, most_bytes: int | None = None) -> None:
        """Whether so much may come, before the first byte has; call in a thread."""
        model.check_type(model.check_name(name), self._settings.file_types)
        model.check_size(size_bytes, most_bytes or self._settings.max_file_bytes)
        self._room.check(sender.home_id, size_bytes)
        self.drafts.check_free(size_bytes)

    async def whole(
        self,
        sender: Sender,
        name: str,
        pieces: AsyncIterable[bytes],
        *,
        size_bytes: int | None = None,
        sha256: str = "",
        most_bytes: int | None = None,
    ) -> File:
        """All of the stream as one file, or nothing of it. `size_bytes` when it is known before. With `sha256`, in hex,
        Conflict for anything else.
        """
        most_bytes = most_bytes or self._settings.max_file_bytes
        await asyncio.to_thread(self.check, sender, name, size_bytes or 0, most_bytes)
        with ExitStack() as stack:
            draft = await _entered(stack, self.drafts.open, WHOLE + model.new_uid(), new=True)
            stack.callback(draft.discard)
            async for batch in batches(pieces):
                model.check_size(draft.size + len(batch), most_bytes)
                await asyncio.to_thread(draft.append, batch)
            return await asyncio.to_thread(self._kept, sender, name, draft, sha256.lower())

    def _kept(self, sender: Sender, name: str, draft: Draft, sha256: str) -> File:
        if sha256 and not hmac.compare_digest(sha256.encode(), draft.sha256.encode()):
            raise Conflict("what arrived has another SHA-256, so it was not kept; send it again")
        self._room.check(sender.home_id, draft.size)
        content = self._durable(draft)
        with self._database.write() as tx:
            return service.keep(tx, sender, self._clock.now(), name=name, content=content)

    def _durable(self, draft: Draft) -> Content:
        return durable(self._database, self._blobs, draft, self._clock.now())

    # Resumable (tus 1.0)

    def begin(self, sender: Sender, name: str, size_bytes: int, told: str) -> Upload:
        """Call in a thread. A file without bytes is whole at once."""
        self.check(sender, name, size_bytes)
        with self._database.write() as tx:
            upload = service.begin(tx, sender, self._clock.now(), name=name, size_bytes=size_bytes, told=told)
            self.drafts.make(upload.uid)
        if size_bytes:
            return upload
        with self.drafts.open(upload.uid) as draft:
            return self.ended(sender, upload, draft)

    def find(self, sender: Sender, uid: str) -> Upload:
        """Call in a thread."""
        with self._database.read() as tx:
            return service.find_upload(tx, sender, uid)

    def give_up(self, sender: Sender, uid: str) -> None:
        """Call in a thread. Locked while a part of it arrives."""
        upload = self.find(sender, uid)
        with ExitStack() as stack:
            if upload.file_uid is None:
                with suppress(NotFound):
                    stack.enter_context(self.drafts.open(uid, upload.offset_bytes))
            with self._database.write() as tx:
                service.give_up(tx, upload, self._clock.now())
            self.drafts.remove(uid)

    async def go_on(
        self,
        sender: Sender,
        upload: Upload,
        offset: int,
        pieces: AsyncIterable[bytes],
        *,
        size_bytes: int | None = None,
        checksum: Checksum | None = None,
    ) -> Upload:
        """The next part, from `offset` on; every byte of what the answer counts is on the disk. Locked while another
        part arrives, Conflict when it is at another offset. What came before the client was cut off is kept, unless it
        has a checksum: then the part counts as a whole or not at all.
        """
        if upload.file_uid is not None and offset == upload.size_bytes:
            return upload
        with ExitStack() as stack:
            draft = await _entered(stack, self.drafts.open, upload.uid, upload.offset_bytes)
            upload = await asyncio.to_thread(self.find, sender, upload.uid)  # nobody else writes it from now on
            part = Part(self, sender, upload, draft, checksum=checksum)
            part.check(offset, size_bytes)
            try:
                async for batch in batches(pieces):
                    await asyncio.to_thread(part.add, batch)
            except BaseException:
                await asyncio.to_thread(part.broken)
                raise
            return await asyncio.to_thread(part.whole)

    def advanced(self, upload: Upload, offset: int) -> Upload:
        """Its draft is synced so far."""
        with self._database.write() as tx:
            now = self._clock.now()
            if not store.advance(tx, upload.id, before=upload.offset_bytes, offset=offset, now=now):
                raise Conflict("this upload has just ended")
            return store.upload_by_uid(tx, upload.uid) or upload

    def ended(self, sender: Sender, upload: Upload, draft: Draft) -> Upload:
        """All of it is there. The last step is one transaction: an offset at the end means that there is a file."""
        content = self._durable(draft)
        with self._database.write() as tx:
            service.end(tx, sender, upload, self._clock.now(), content=content)
            ended = store.upload_by_uid(tx, upload.uid) or upload
        draft.discard()
        return ended


def durable(database: Database, blobs: Blobs, draft: Draft, now: datetime) -> Content:
    """The draft's bytes, which somebody must refer to within the hour."""
    sha256 = blob_rows.keep(database, blobs, draft, now)
    return Content(sha256, draft.size, media_type(draft.head(HEAD_BYTES)))


class Part:
    """One PATCH: a draft that goes on from where its upload is. Its methods wait for the disk: call them in threads."""

    def __init__(
        self, receiving: Receiving, sender: Sender, upload: Upload, draft: Draft, *, checksum: Checksum | None
    ) -> None:
        self._receiving = receiving
        self._sender = sender
        self._upload = upload
        self._draft = draft
        self._checksum = checksum
        self._hash = None if checksum is None else hashlib.new(checksum.algorithm, usedforsecurity=False)
        self._turn = threading.Lock()  # a batch may still be on its way to the disk when its call is cancelled

    def check(self, offset: int, size_bytes: int | None) -> None:
        upload = self._upload
        if offset != upload.offset_bytes:
            raise Conflict(f"this upload is at {upload.offset_bytes}, not at {offset}; ask with HEAD and go on there")
        if size_bytes is not None and offset + size_bytes > upload.size_bytes:
            raise Invalid(f"this is more than the {upload.size_bytes:,} bytes that were announced")

    def add(self, batch: bytes) -> None:
        with self._turn:
            self._add(batch)

    def _add(self, batch: bytes) -> None:
        if self._draft.size + len(batch) > self._upload.size_bytes:
            raise Invalid(f"this is more than the {self._upload.size_bytes:,} bytes that were announced")
        self._draft.append(batch)
        if self._hash is not None:
            self._hash.update(batch)
        elif self._draft.size - self._upload.offset_bytes >= SYNC_BYTES and self._draft.size < self._upload.size_bytes:
            self._note()

    def whole(self) -> Upload:
        if self._checksum is not None and self._hash is not None and self._hash.digest() != self._checksum.digest:
            self._draft.cut(self._upload.offset_bytes)
            raise ChecksumMismatch("this part has another checksum than it says; send it again")
        if self._draft.size == self._upload.size_bytes:
            return self._receiving.ended(self._sender, self._upload, self._draft)
        self._note()
        return self._upload

    def broken(self) -> None:
        """The stream ended in the middle: what came is kept for the next part, if it may be."""
        with self._turn:
            if self._checksum is not None or self._draft.size <= self._upload.offset_bytes:
                self._draft.cut(self._upload.offset_bytes)
            elif self._draft.size == self._upload.size_bytes:
                self._receiving.ended(self._sender, self._upload, self._draft)
            else:
                self._note()

    def _note(self) -> None:
        self._draft.sync()
        self._upload = self._receiving.advanced(self._upload, self._draft.size)


async def batches(pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in batches that are worth a thread's while; the last before a break too, and then the break."""
    waiting: list[bytes] = []
    size = 0
    broken: Exception | None = None
    try:
        async for piece in pieces:
            waiting.append(piece)
            size += len(piece)
            if size >= PIECE_BYTES:
                yield b"".join(waiting)
                waiting, size = [], 0
    except Exception as fault:  # noqa: BLE001  whatever ended the stream, what had come has come
        broken = fault
    if size:
        yield b"".join(waiting)
    if broken is not None:
        raise broken


async def _entered(stack: ExitStack, opened: Callable[..., Any], *given: Any, **named: Any) -> Any:
    return await asyncio.to_thread(lambda: stack.enter_context(opened(*given, **named)))
