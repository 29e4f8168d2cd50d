"""Files from the disk's cache into the socket without passing through us (ASGI's extension http.response.zerocopysend).

Otherwise each byte is copied twice and a thread is woken for each piece: less than half of what nginx does.
"""

import asyncio
import os
import sys
from math import inf
from typing import Any, Protocol

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from waystation.kernel.sending import ZERO_COPY

MOST_AT_ONCE = 1 << 20  # then others have their turn
AHEAD_BYTES = 8 << 20  # that the disk is asked for before they are needed
PROGRESS_BYTES = 1 << 16  # that a client must take within the write time-out
BREATH_SECONDS = 0.005
IS_HERE = sys.platform == "linux"  # elsewhere sendfile has other arguments


class Line(Protocol):
    """The connection's protocol, as far as it is needed here."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    write_due: float
    sending: "FileOnWire | None"

    @property
    def write_timeout_seconds(self) -> float: ...


class FileOnWire:
    """A part of a file on its way. It ends early when its client is gone, or has been cut for reading too slowly."""

    def __init__(self, line: Line, file: Any, offset: int, count: int) -> None:
        self._line = line
        self._file: int = file.fileno()
        self._offset = offset
        self._left = count
        self._asked = offset  # of the disk, so far
        self._due_at_left = count + PROGRESS_BYTES
        self._waiting: asyncio.Future[None] | None = None
        self._is_cut = False

    async def run(self) -> bool:
        """Whether all of it was sent."""
        await self._flushed()
        if self._is_gone:
            return False
        # The event loop's transport has the socket's own number; under another number the loop lets us wait for it.
        number = os.dup(self._line.transport.get_extra_info("socket").fileno())
        self._line.sending = self
        try:
            while self._left and not self._is_gone:
                await self._step(number)
        except (BrokenPipeError, ConnectionError):
            self._line.transport.abort()
        finally:
            os.close(number)
            self._line.sending, self._line.write_due = None, inf
        return not self._left

    def cut(self) -> None:
        """The connection is gone."""
        self._is_cut = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    @property
    def _is_gone(self) -> bool:
        return self._is_cut or self._line.transport.is_closing()

    async def _flushed(self) -> None:
        """The headers stand in the transport's buffer, and must leave first."""
        breath = 0.0
        while self._line.transport.get_write_buffer_size() and not self._is_gone:
            await asyncio.sleep(breath)
            breath = BREATH_SECONDS

    async def _step(self, number: int) -> None:
        if self._offset + MOST_AT_ONCE > self._asked:
            os.posix_fadvise(self._file, self._asked, AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
            self._asked += AHEAD_BYTES
        try:
            sent = os.sendfile(number, self._file, self._offset, min(self._left, MOST_AT_ONCE))
        except BlockingIOError:
            await self._writable(number)
            return
        if not sent:
            raise EOFError("a file that is being sent became shorter")
        self._offset += sent
        self._left -= sent
        await asyncio.sleep(0)

    async def _writable(self, number: int) -> None:
        line = self._line
        if self._due_at_left - self._left >= PROGRESS_BYTES:
            self._due_at_left = self._left
            line.write_due = line.loop.time() + line.write_timeout_seconds
        self._waiting = line.loop.create_future()
        line.loop.add_writer(number, _wake, self._waiting)
        try:
            await self._waiting
        finally:
            line.loop.remove_writer(number)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


def with_files(line: Line, cycle: Any, app: ASGIApp) -> ASGIApp:
    """The app, which may send files over this connection; `cycle` is uvicorn's of the request."""
    if not IS_HERE:
        return app

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[ZERO_COPY] = {}

        async def send_file_too(message: Message) -> None:
            if message["type"] != ZERO_COPY:
                await send(message)
            elif scope["method"] == "HEAD" or cycle.disconnected:
                await send({"type": "http.response.body", "body": b""})
            elif await FileOnWire(line, message["file"], message["offset"], message["count"]).run():
                cycle.expected_content_length -= message["count"]
                await send({"type": "http.response.body", "body": b"", "more_body": message.get("more_body", False)})

        await app(scope, receive, send_file_too)

    return run
