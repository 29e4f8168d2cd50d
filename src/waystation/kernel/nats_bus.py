"""The bus of a site with several processes: in this process at once, to the others through NATS."""

import asyncio
import contextlib

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from waystation.kernel.bus import RESUMED, LocalBus, OnNotice, Unsubscribe
from waystation.kernel.nats_session import Hear, Line, Where, caught_up, keep_session

PREFIX = "ws."
MOST_WAITING = 10_000


class NatsBus:
    """Meets the Bus promise without waiting for a server: notices to this process itself never take the way over NATS.

    While the server is away, notices to others wait for it, but not without end, and theirs to us are missed. After
    such a gap every process gets the notice `bus.resumed`.
    """

    def __init__(self, where: Where) -> None:
        self._where = where
        self._local = LocalBus()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outgoing: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MOST_WAITING)
        self._wanted: dict[str, int] = {}
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._had_session = False
        self.lost = 0  # notices that others did not get because too many were waiting
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(keep_session(self._where, self._session, name="bus"))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def publish(self, subject: str, body: bytes) -> None:
        self._local.publish(subject, body)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._send, subject, body)

    def subscribe(self, pattern: str, on_notice: OnNotice) -> Unsubscribe:
        unsubscribe = self._local.subscribe(pattern, on_notice)
        self._want(pattern, 1)

        def unsubscribe_everywhere() -> None:
            unsubscribe()
            self._want(pattern, -1)

        return unsubscribe_everywhere

    async def settled(self) -> None:
        """Until the server knows of every subscription made so far: from here on other processes' notices come."""
        await self._settled.wait()

    def _want(self, pattern: str, more: int) -> None:
        self._wanted[pattern] = self._wanted.get(pattern, 0) + more
        self._settled.clear()
        self._changed.set()

    def _send(self, subject: str, body: bytes) -> None:
        try:
            self._outgoing.put_nowait((subject, body))
        except asyncio.QueueFull:
            self.lost += 1

    async def _session(self, line: Line) -> None:
        if self._had_session:
            self.publish(RESUMED, b"")
        self._had_session = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_all(line))
                tasks.create_task(self._keep_subscribed(line))
        finally:
            self._settled.clear()

    async def _send_all(self, line: Line) -> None:
        while True:
            subject, body = await self._outgoing.get()
            await line.publish(PREFIX + subject, body)

    async def _keep_subscribed(self, line: Line) -> None:
        """The server is asked only for what somebody listens to; the rest never crosses the wire."""
        subscribed: dict[str, Subscription] = {}
        while True:
            self._changed.clear()
            wanted = {pattern for pattern, listeners in self._wanted.items() if listeners > 0}
            for pattern in wanted - subscribed.keys():
                subscribed[pattern] = await line.subscribe(PREFIX + pattern, cb=self._hearing(pattern))
            for pattern in subscribed.keys() - wanted:
                await subscribed.pop(pattern).unsubscribe()
            await caught_up(line)
            if not self._changed.is_set():
                self._settled.set()
            await self._changed.wait()

    def _hearing(self, pattern: str) -> Hear:
        async def hear(message: Msg) -> None:
            self._local.deliver(pattern, message.subject.removeprefix(PREFIX), message.data)

        return hear
