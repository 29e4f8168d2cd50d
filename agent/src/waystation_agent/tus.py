"""Sends one file to the hub piece by piece, and goes on after a break where the hub stands (tus 1.0)."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from waystation_agent.caller import Caller, Later
from waystation_agent.errors import BadInput

LEAST_PIECE, FIRST_PIECE, MOST_PIECE = 16 * 1_024, 1_024 * 1_024, 4 * 1_024 * 1_024
"""A line that breaks gets far smaller pieces at once, so that something arrives; larger ones while it holds."""
TUS = {"Tus-Resumable": "1.0.0"}
GONE = {404, 410}
OUT_OF_STEP = {409}


@dataclass(frozen=True)
class Sent:
    """How far a file has got: `where` is its address at the hub, empty before there is one."""

    where: str
    offset: int


class Sender:
    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._piece = FIRST_PIECE

    def create(self, name: str, size: int) -> Sent:
        """Announce a file. Raises BadInput with the hub's reason where it is refused, here as in `send_piece`."""
        filename = base64.b64encode(name.encode()).decode()
        headers = {"Upload-Length": str(size), "Upload-Metadata": f"filename {filename}", **TUS}
        answer = self._caller.call("POST", "/api/uploads", b"", headers)
        where = answer.headers.get("Location", "")
        if answer.status >= 400:
            raise BadInput(answer.problem())
        if answer.status != 201 or "/api/uploads/" not in where:
            raise Later("what answers there does not take files")
        return Sent("/api/uploads/" + where.rpartition("/")[2], 0)

    def stand(self, where: str) -> Sent | None:
        """Return where the hub stands; None when it has forgotten the upload."""
        answer = self._caller.call("HEAD", where, None, TUS)
        if answer.status in GONE:
            return None
        return Sent(where, _offset(answer.headers.get("Upload-Offset")))

    def send_piece(self, path: Path, sent: Sent) -> Sent | None:
        """Send the next bytes and return where the hub stands then; None when it must be asked where.

        Without `Upload-Checksum`, so that the hub keeps what came before a break in the middle of a piece.
        """
        with path.open("rb") as file:
            file.seek(sent.offset)
            piece = file.read(self._piece)
        headers = {
            "Content-Type": "application/offset+octet-stream",
            "Upload-Offset": str(sent.offset),
            **TUS,
        }
        try:
            answer = self._caller.call("PATCH", sent.where, piece, headers)
        except Later:
            self._piece = max(LEAST_PIECE, len(piece) // 4)
            raise
        if answer.status in OUT_OF_STEP | GONE:
            return None
        if answer.status >= 400:
            raise BadInput(answer.problem())
        self._piece = min(MOST_PIECE, self._piece * 2)
        return Sent(sent.where, _offset(answer.headers.get("Upload-Offset")))


def digest(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """Return the SHA-256 of a file in hex, and tell how many bytes have been read."""
    found = sha256()
    done = 0
    with path.open("rb") as file:
        while part := file.read(1_048_576):
            found.update(part)
            done += len(part)
            progress(done)
    return binascii.hexlify(found.digest()).decode()


def _offset(text: str | None) -> int:
    if text is None or not (text.isascii() and text.isdigit()):
        raise Later("what answers there does not take files")
    return int(text)
