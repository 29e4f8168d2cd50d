"""A device may hang up with the last byte: that it has all of it is noted before (DS-17, DS-18)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from starlette.responses import Response
from starlette.types import Message

from waystation.dialects.dropsync.exchange.fetching import Fetched
from waystation.kernel import sending
from waystation.kernel.sending import Kept

CONTENT = bytes(range(256)) * 2048  # two pieces


class Client:
    """Counts bytes as they come, and hangs up when it has `until` of them."""

    def __init__(self, until: int) -> None:
        self.bytes = b""
        self.has_headers = False
        self._until = until

    async def receive(self) -> Message:
        if self.has_headers and len(self.bytes) >= self._until:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        if message["type"] == sending.ZERO_COPY:
            message["file"].seek(message["offset"])
            self.bytes += message["file"].read(message["count"])
        elif message["type"] == "http.response.body":
            self.bytes += message.get("body", b"")
        else:
            self.has_headers = True


@pytest.mark.parametrize("extensions", [{}, {sending.ZERO_COPY: {}}], ids=["pieces", "sendfile"])
@pytest.mark.parametrize("content", [CONTENT, CONTENT[:1], b""], ids=["long", "one byte", "empty"])
@pytest.mark.parametrize("missing", [0, 1])
def test_it_is_noted_before_the_last_byte_and_only_if_the_client_is_there__DS_17(
    content: bytes, extensions: dict[str, Any], missing: int, tmp_path: Path
) -> None:
    if missing > len(content):
        pytest.skip("an empty file has no last byte to miss")
    path = tmp_path / "kept"
    path.write_bytes(content)
    client, noted_at = Client(len(content) - missing), list[int]()
    scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": [], "extensions": extensions}

    async def note() -> None:
        noted_at.append(len(client.bytes))

    async def run() -> None:
        answer = sending.answer({}, Kept(path.open("rb"), len(content), "0" * 64), "application/octet-stream")
        await Fetched(Request(scope, client.receive), answer, note)(scope, client.receive, client.send)

    asyncio.run(run())
    assert client.bytes == content
    is_there = not missing
    assert noted_at == ([max(len(content) - 1, 0)] if is_there else [])


def test_a_note_that_fails_cuts_the_answer_short__DS_17() -> None:
    client = Client(100)
    scope: dict[str, Any] = {"type": "http", "method": "GET", "headers": []}

    async def note() -> None:
        raise OSError("disk full")

    class Whole(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": CONTENT[:100], "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def run() -> None:
        await Fetched(Request(scope, client.receive), Whole(), note)(scope, client.receive, client.send)

    with pytest.raises(OSError, match="disk full"):
        asyncio.run(run())
    assert client.bytes == CONTENT[:99]
