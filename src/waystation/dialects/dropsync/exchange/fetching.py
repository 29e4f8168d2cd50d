"""The bytes of a kept file, and the note that the device has fetched all of them (DS-17, DS-18)."""

import asyncio
import os
from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from waystation.files.packages import Member
from waystation.kernel import sending
from waystation.kernel.blobs import Blobs

Note = Callable[[], Awaitable[None]]


async def answer(request: Request, blobs: Blobs, member: Member, note: Note) -> Response:
    """With `Range`. Of a resumed download only its last part tells that the device has all of it."""
    opened = await asyncio.to_thread(blobs.open, member.sha256)
    kept = sending.Kept(opened, member.size_bytes, member.sha256)
    found = sending.answer(request.headers, kept, "application/octet-stream", {"cache-control": "no-store"})
    return Fetched(request, found, note) if _reaches_the_end(found, member.size_bytes) else found


def _reaches_the_end(found: Response, size: int) -> bool:
    if found.status_code == 206:
        return found.headers["content-range"].partition("/")[0].endswith(f"-{size - 1}")
    return found.status_code == 200


class Fetched(Response):
    """Holds the last byte back until it is noted that all went out to a client that is still there.

    A client counts the bytes and may hang up with the last of them: what is noted after it would come too late, or
    never. If the note fails, the answer is cut short, and the client asks again.
    """

    def __init__(self, request: Request, answer: Response, note: Note) -> None:
        super().__init__(None, answer.status_code)
        self._request, self._answer, self._note = request, answer, note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def watched(message: Message) -> None:
            early, last = _split(message)
            if early or last:
                for one in (*held, *early):
                    await send(one)
                held[:] = last
            if message["type"] != "http.response.start" and not message.get("more_body", False):
                await self._end(held, send)

        await self._answer(scope, receive, watched)

    async def _end(self, held: list[Message], send: Send) -> None:
        await asyncio.sleep(0)  # a connection that has just broken says so in the loop's next turn
        if not await self._request.is_disconnected():
            await self._note()
        for one in held:
            await send(one)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _split(message: Message) -> tuple[list[Message], list[Message]]:
    """What may go out at once, and what ends with the last byte. Headers are the last of an empty file."""
    if message["type"] == sending.ZERO_COPY:
        at = message["offset"] + message["count"] - 1
        last = os.pread(message["file"].fileno(), 1, at)
        return [{**message, "count": message["count"] - 1, "more_body": True}], [_piece(last)]
    if message["type"] == "http.response.body":
        body: bytes = message["body"]
        return ([_piece(body[:-1])] if body[:-1] else []), ([_piece(body[-1:])] if body else [])
    return [], [message]


def _piece(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}
