"""Uploads from flash, piece by piece.

`send_whole` sends a small file in one call; what arrives damaged is refused by the hub. `Uploads` sends large ones
by tus 1.0: a note in flash says where the hub keeps the beginning, so that after a break, or a power cut, only the
rest is sent. The file must stay as it is meanwhile; one that has changed is sent from its beginning.
Source: https://tus.io/protocols/resumable-upload
"""

import asyncio
import binascii

from . import hashes, storage
from .errors import Damaged, FlashError, LinkError, Refused

_TUS = "Tus-Resumable: 1.0.0\r\n"
_STEP = "%sUpload-Offset: %d\r\nUpload-Checksum: sha256 %s\r\nContent-Type: application/offset+octet-stream\r\n"
_STEP_BYTES = 32768  # one call; what the hub has answered for is never sent again
_CHECKSUM_MISMATCH = 460


async def send_whole(client, path, name=None):
    """The hub's `{"id", "name", "size_bytes", "sha256"}`."""
    sha256 = await hashes.sha256(path)
    where = "/api/uploads/whole?name=%s&sha256=%s" % (quoted(name or _last(path)), sha256)
    with open(path, "rb") as file:
        answer = await client.request(
            "POST", where, file, size=_size(path), headers="Content-Type: application/octet-stream\r\n"
        )
    return answer.json()


class Uploads:
    """One at a time; `note` is the file that remembers it. `turn` is a lock shared with what else takes memory."""

    def __init__(self, client, note="upload", turn=None):
        self._client = client
        self._note = note
        self._turn = turn or asyncio.Lock()

    async def resume(self):
        """Goes on with what a break or a restart cut. True when there was something."""
        async with self._turn:
            kept = storage.load(self._note)
            if kept is None:
                return False
            if storage.size(kept["path"]) is None:
                storage.remove(self._note)
                return False
            await self._send(kept["path"], kept["name"])
            return True

    async def send(self, path, name=None):
        """Returns when the hub has all of it on its disk. Called again after an error it goes on where the hub is."""
        async with self._turn:
            await self._send(path, name or _last(path))

    async def _send(self, path, name):
        size, sha256 = _size(path), await hashes.sha256(path)
        kept = storage.load(self._note)
        offset = None
        if kept is not None:
            if kept["path"] == path and kept["sha256"] == sha256:
                offset = await self._offset(kept["location"])
            else:
                await self._end(kept["location"])
        if offset is None:
            kept = {"path": path, "name": name, "sha256": sha256, "location": await self._create(name, size)}
            storage.save(self._note, kept)
            offset = 0
        with open(path, "rb") as file:
            while offset < size:
                offset = await self._send_step(file, kept, offset, size)
        storage.remove(self._note)

    async def _create(self, name, size):
        label = binascii.b2a_base64(name.encode()).decode().strip()
        headers = "%sUpload-Length: %d\r\nUpload-Metadata: filename %s\r\n" % (_TUS, size, label)
        answer = await self._client.request("POST", "/api/uploads", headers=headers)
        location = answer.headers.get("location", "")
        if location.startswith("http"):
            location = "/" + location.split("/", 3)[3]
        if not location.startswith("/"):
            raise LinkError("the hub does not say where it keeps the upload")
        return location

    async def _offset(self, location):
        """How much of it the hub has; None when it knows nothing of it any more."""
        try:
            answer = await self._client.request("HEAD", location, headers=_TUS)
        except Refused:
            return None
        return answer.number("upload-offset")

    async def _send_step(self, file, kept, offset, size):
        """Where the hub is afterwards. A step that arrives damaged is refused by its own hash."""
        count = min(_STEP_BYTES, size - offset)
        digest = await hashes.digest_of(kept["path"], offset, count)
        checksum = binascii.b2a_base64(digest.digest()).decode().strip()
        headers = _STEP % (_TUS, offset, checksum)
        file.seek(offset)
        try:
            answer = await self._client.request("PATCH", kept["location"], file, size=count, headers=headers)
        except Refused as fault:
            if fault.status == _CHECKSUM_MISMATCH:
                raise Damaged("a part of %s arrived damaged" % kept["path"]) from None
            raise
        reached = answer.number("upload-offset")
        if reached is None or not offset < reached <= size:
            raise LinkError("the hub does not say how much it has")
        return reached

    async def _end(self, location):
        try:
            await self._client.request("DELETE", location, headers=_TUS)
        except Refused:
            pass
        storage.remove(self._note)


def quoted(text):
    """For a query: everything but letters, digits and `-._` by its UTF-8 bytes."""
    quoted = ""
    for byte in text.encode():
        letter = chr(byte)
        if byte < 128 and (letter.isalpha() or letter.isdigit() or letter in "-._"):
            quoted += letter
        else:
            quoted += "%%%02X" % byte
    return quoted


def _size(path):
    size = storage.size(path)
    if size is None:
        raise FlashError("there is no file %s" % path)
    return size


def _last(path):
    return path.rsplit("/", 1)[-1]
