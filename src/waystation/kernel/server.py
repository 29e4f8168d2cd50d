"""Runs the app: one process or several workers, an orderly stop, and an orderly stop to begin again."""

import asyncio
import ctypes
import gc
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from email.utils import formatdate

import structlog
import uvicorn
import uvloop
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from waystation.kernel.door import Limits, Traffic
from waystation.kernel.edge import Edge
from waystation.kernel.hot import Hot
from waystation.kernel.http_guard import protocols
from waystation.kernel.settings import Settings
from waystation.kernel.sockets import BACKLOG, allow_connections
from waystation.kernel.stopping import Stopping

log = structlog.get_logger(__name__)

GARBAGE_OBJECTS = 20_000
"""That come before the collector looks: a few megabytes, and a tenth less work for a small request than at 700."""

BuildApp = Callable[[Settings], Hot]
Ready = Callable[[], None]

SLOT = "WAYSTATION_SLOT"
GRACE_SECONDS = 10
AGAIN = -1
"""Instead of an exit code: SIGUSR2 asked for a new start, and the sockets are still listening."""


def spare_the_collector() -> None:
    """What was made so far stays: the collector need not walk it, a tenth of a second, again and again. What starting
    up has used and no longer needs goes back to the system.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def slot() -> int:
    """Which of the site's HTTP processes this is, from 1."""
    return int(os.environ.get(SLOT, "1"))


def serve(
    build_app: BuildApp, settings: Settings, sockets: Sequence[socket.socket], *, on_ready: Ready | None = None
) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit code, or until SIGUSR2 and returns AGAIN.

    `build_app` is called once in every process that serves; with several workers it is a function that another process
    can import.
    """
    if settings.workers > 1:
        from waystation.kernel import workers  # noqa: PLC0415  it needs this module in its children

        return workers.supervise(build_app, settings, sockets, on_ready=on_ready)
    return serve_here(build_app(settings), Limits.of(settings), sockets, on_ready=on_ready)


def serve_here(
    hot: Hot,
    limits: Limits,
    sockets: Sequence[socket.socket],
    *,
    on_ready: Ready | None = None,
    stop_when: Callable[["Server"], Awaitable[None]] | None = None,
) -> int:
    """Serves in this process, until a signal or until `stop_when(server)` calls `server.stop()`."""
    allow_connections(limits.max_connections)
    server = Server(hot, limits, on_ready=on_ready, stop_when=stop_when)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(server.serve(sockets=list(sockets)))
        except SystemExit:
            return 1
    if not server.started:
        return 1
    return AGAIN if server.begins_again else 0


class Server(uvicorn.Server):
    """uvicorn's, with our protocol, our signals and a second that ticks once a second."""

    def __init__(
        self,
        hot: Hot,
        limits: Limits,
        *,
        on_ready: Ready | None = None,
        stop_when: Callable[["Server"], Awaitable[None]] | None = None,
    ) -> None:
        self.edge = Edge(hot, limits)
        hot.parts.put(Traffic, self.edge.traffic)
        super().__init__(_config(self.edge))
        self._on_ready = on_ready
        self._stop_when = stop_when
        self._stop = asyncio.Event()
        self._beside: list[asyncio.Task[None]] = []
        self.begins_again = False

    def begin_again(self) -> None:
        """Stops in order; whoever started this process starts it anew."""
        self.begins_again = True
        self.stop()

    def stop(self) -> None:
        """The first call stops in order; a second one no longer waits for answers under way."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._stop.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._beside.append(asyncio.create_task(self.edge.door.watch(), name="door"))
        if self._stop_when is not None:
            self._beside.append(asyncio.create_task(_as_coroutine(self._stop_when(self)), name="stop when"))
        spare_the_collector()
        if self._on_ready is not None:
            self._on_ready()

    async def main_loop(self) -> None:
        """Ticks on the full second, for the Date header; a stop is noticed at once."""
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            await self.on_tick(0)
            self.edge.date_line = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), 1 - loop.time() % 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.edge.stopping = True
        if self.edge.hot.parts.has(Stopping):
            self.edge.hot.parts.get(Stopping).begin()
        await super().shutdown(sockets)
        for task in self._beside:
            task.cancel()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Unlike uvicorn we end with exit code 0 when asked to end, instead of raising the signal again."""
        loop = asyncio.get_running_loop()
        wanted = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGUSR2: self.begin_again}
        signals = [number for number, call in wanted.items() if _listens_to(loop, number, call)]
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def _config(edge: Edge) -> uvicorn.Config:
    http, ws = protocols(edge)
    trusted = list(edge.limits.trusted_proxies)
    config = uvicorn.Config(
        ProxyHeadersMiddleware(edge.hot.app, trusted) if trusted else edge.hot.app,  # type: ignore[arg-type]
        http=http,
        ws=ws,
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        ws_max_size=edge.limits.max_body_bytes,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    config.load()
    return config


def _listens_to(loop: asyncio.AbstractEventLoop, number: signal.Signals, call: Callable[[], None]) -> bool:
    try:
        loop.add_signal_handler(number, call)
    except (ValueError, RuntimeError):  # not in the main thread, as in tests
        return False
    return True


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable
