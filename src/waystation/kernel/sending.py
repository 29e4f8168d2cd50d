"""Answers that are a file or a part of one: cached by their hash, resumable, straight from the disk to the socket."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import BinaryIO

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from waystation.kernel import ranges
from waystation.kernel.ranges import Span

PIECE_BYTES = 1 << 18
ZERO_COPY = "http.response.zerocopysend"  # the ASGI extension; our server has it (kernel.zero_copy)


class Kept:
    """An open file of this size that never changes, and the hash by which clients know it. Closed by its answer."""

    def __init__(self, file: BinaryIO, size: int, sha256: str) -> None:
        self.file = file
        self.size = size
        self.etag = f'"{sha256}"'


def answer(asked: Mapping[str, str], kept: Kept, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    """200, 206, 304 or 416, as the request's headers want it."""
    named = {"etag": kept.etag, "accept-ranges": "bytes", **(headers or {})}
    if ranges.is_named(asked.get("if-none-match", ""), kept.etag):
        kept.file.close()
        return Response(status_code=304, headers=named)
    holds = ranges.still_holds(asked.get("if-range", ""), kept.etag)
    wanted = ranges.span(asked.get("range", ""), kept.size) if holds else None
    if wanted is None:
        return Part(kept, Span(0, kept.size), 200, media_type=media_type, headers=named)
    if not wanted.length:
        kept.file.close()
        return Response(status_code=416, headers={**named, "content-range": f"bytes */{kept.size}"})
    last = wanted.start + wanted.length - 1
    named["content-range"] = f"bytes {wanted.start}-{last}/{kept.size}"
    return Part(kept, wanted, 206, media_type=media_type, headers=named)


class Part(Response):
    """Some bytes of the file, in constant memory."""

    def __init__(self, kept: Kept, span: Span, status: int, *, media_type: str, headers: Mapping[str, str]) -> None:
        self._kept = kept
        self._span = span
        super().__init__(None, status, {**headers, "content-length": str(span.length)}, media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        with self._kept.file as file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if ZERO_COPY in scope.get("extensions", {}) and self._span.length:
                start, count = self._span
                await send({"type": ZERO_COPY, "file": file, "offset": start, "count": count, "more_body": False})
            else:
                await self._send_pieces(file, send)

    async def _send_pieces(self, file: BinaryIO, send: Send) -> None:
        start, left = self._span
        await asyncio.to_thread(file.seek, start)
        while left:
            piece = await asyncio.to_thread(partial(file.read, min(left, PIECE_BYTES)))
            if not piece:
                raise EOFError("a file that is being sent became shorter")
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
