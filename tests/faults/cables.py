"""Lines that break where a test says: every byte between a client and the hub goes through one of them."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self

READ_BYTES = 65_536


class Way(Enum):
    TO_HUB = "to the hub"
    FROM_HUB = "from the hub"


@dataclass(frozen=True, slots=True)
class Moment:
    """The first bytes this way that have these words in them."""

    way: Way
    words: bytes = b""

    def is_now(self, way: Way, part: bytes) -> bool:
        return way is self.way and self.words in part


@dataclass(frozen=True, slots=True)
class Trap:
    """At that moment only `keep` of the bytes go on (0 to 1), and then the line is cut."""

    moment: Moment
    keep: float


class Cables:
    """All lines of a test, on an event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cables", daemon=True)
        self._cables: list[Cable] = []
        self._watched: tuple[Moment, Callable[[], None]] | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _fault: BaseException | None, _at: TracebackType | None
    ) -> None:
        for cable in self._cables:
            cable.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def lay(self, hub_port: int) -> "Cable":
        cable = Cable(self, self._loop, hub_port)
        cable.open()
        self._cables.append(cable)
        return cable

    def watch(self, moment: Moment, then: Callable[[], None]) -> None:
        """`then` is called once, on the loop, when those bytes have gone on over any line."""
        self._watched = (moment, then)

    def passed(self, way: Way, part: bytes) -> None:
        watched = self._watched
        if watched is not None and watched[0].is_now(way, part):
            self._watched = None
            watched[1]()


@dataclass
class Cable:
    """Clients connect to `port`. Every method may be called from any thread."""

    all: Cables
    loop: asyncio.AbstractEventLoop
    hub_port: int
    port: int = 0
    _trap: Trap | None = None
    _has_sprung: bool = False
    _ends: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])
    _server: asyncio.Server | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])

    def open(self) -> None:
        asyncio.run_coroutine_threadsafe(self._open(), self.loop).result()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()

    def cut(self) -> None:
        """Both sides lose their connection, without a word."""
        asyncio.run_coroutine_threadsafe(self._cut(), self.loop).result()

    def set_trap(self, trap: Trap | None) -> None:
        self._trap = trap

    def has_sprung(self) -> bool:
        """Whether a trap was sprung since this was asked last."""
        has_sprung, self._has_sprung = self._has_sprung, False
        return has_sprung

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._cut()
        while self._talks:
            await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    async def _cut(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        self._ends.add(writer)
        try:
            await self._connect(reader, writer)
        except OSError:  # the hub is away, or either side has hung up
            pass
        finally:
            writer.transport.abort()
            self._ends.discard(writer)
            self._talks.discard(talk)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hub_reader, hub_writer = await asyncio.open_connection("127.0.0.1", self.hub_port)
        self._ends.add(hub_writer)
        ways = (self._carry(Way.TO_HUB, reader, hub_writer), self._carry(Way.FROM_HUB, hub_reader, writer))
        doing = [asyncio.ensure_future(one) for one in ways]
        try:
            await asyncio.wait(doing, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hub_writer.transport.abort()
            writer.transport.abort()
            self._ends.discard(hub_writer)
            await asyncio.gather(*doing, return_exceptions=True)

    async def _carry(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side hangs up, or the trap is sprung."""
        while part := await reader.read(READ_BYTES):
            trap = self._trap
            if trap is not None and trap.moment.is_now(way, part):
                self._trap = None
                self._has_sprung = True
                writer.write(part[: int(len(part) * trap.keep)])
                await writer.drain()
                return
            writer.write(part)
            await writer.drain()
            self.all.passed(way, part)
