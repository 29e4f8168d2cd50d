"""Server-sent events that are read from the database: a notice only says that there is something to look for."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from waystation.kernel.bus import Bus
from waystation.kernel.parts import Parts

HOLD_SECONDS = 0.2  # a stream tells at most five times a second
PING_SECONDS = 15.0
SEND_SECONDS = 20.0
MOST_NOTICES = 500
PING = b": ping\n\n"


class Watch:
    """One open stream: what the bus has said since it was asked last, and whether it has ended."""

    def __init__(self) -> None:
        self.ended = False
        self._notices: list[bytes] = []
        self._something = asyncio.Event()

    def tell(self, _subject: str, body: bytes) -> None:
        if len(self._notices) < MOST_NOTICES:
            self._notices.append(body)
        self._something.set()

    def end(self, _subject: str = "", _body: bytes = b"") -> None:
        self.ended = True
        self._something.set()

    async def notices(self, seconds: float) -> list[bytes] | None:
        """Those that came, or come within so long; None when none does. Empty once it has ended."""
        try:
            async with asyncio.timeout(seconds):
                await self._something.wait()
        except TimeoutError:
            return None
        self._something.clear()
        told, self._notices = self._notices, []
        return told


class Streams:
    """A part: the streams that are open in this process, which end when it does."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._open: set[Watch] = set()

    def end_all(self) -> None:
        for watch in list(self._open):
            watch.end()

    @contextmanager
    def watch(self, woken_by: Sequence[str], ended_by: Sequence[str]) -> Generator[Watch]:
        watch = Watch()
        ends = [self._bus.subscribe(subject, watch.tell) for subject in woken_by]
        ends += [self._bus.subscribe(subject, watch.end) for subject in ended_by]
        self._open.add(watch)
        try:
            yield watch
        finally:
            self._open.discard(watch)
            for unsubscribe in ends:
                unsubscribe()


class EventStream(Response):
    """Tells a watcher `news` until it leaves, may not watch any more, or reads too slowly.

    It looks whenever something came on `woken_by`, and every `look_seconds` when that is not None.
    """

    look_seconds: float | None = None

    def __init__(self, parts: Parts, *, woken_by: Sequence[str], ended_by: Sequence[str]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(media_type="text/event-stream", headers=headers)
        del self.headers["content-length"]
        self._streams = parts.get(Streams)
        self._woken_by = woken_by
        self._ended_by = ended_by

    def news(self, notices: Sequence[bytes]) -> bytes:
        """What is new since the last call, as events; the first call comes before any notice. Runs in a thread."""
        raise NotImplementedError

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        with self._streams.watch(self._woken_by, self._ended_by) as watch:
            gone = asyncio.create_task(_end_when_gone(receive, watch))
            try:
                await self._follow(watch, send)
            finally:
                gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _follow(self, watch: Watch, send: Send) -> None:
        said = b"retry: 2000\n\n" + await asyncio.to_thread(self.news, ())
        while not watch.ended:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": said, "more_body": True})
            except TimeoutError:
                return
            notices = await watch.notices(self.look_seconds or PING_SECONDS)
            if notices is None and self.look_seconds is None:
                said = PING
                continue
            said = await asyncio.to_thread(self.news, notices or ()) or PING
            await asyncio.sleep(HOLD_SECONDS)


async def _end_when_gone(receive: Receive, watch: Watch) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watch.end()


def event(name: str, said: str, place: str = "") -> str:
    """As it stands in the stream; `place` is what a client names when it comes back."""
    known = [f"id: {place}"] if place else []
    return "\n".join([f"event: {name}", *known, *(f"data: {line}" for line in said.split("\n")), "\n"])
