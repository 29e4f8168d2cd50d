"""Devices over MQTT, which a NATS server speaks: what they send, what they are told, and ending their connections."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import structlog
from nats.aio.msg import Msg

from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt_callout import Admit, Admitted, Callout
from waystation.kernel.mqtt_inbox import (
    Later,
    MqttMessage,
    PassingInbox,
    Settle,
    Settled,
    StoredInbox,
    keep_from_empty,
    prepare,
)
from waystation.kernel.mqtt_reach import Reach
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.nats_session import API_SECONDS, Line, Where, caught_up, keep_session

__all__ = ["Admit", "Admitted", "Later", "MqttLink", "MqttMessage", "Settle", "Settled"]

log = structlog.get_logger(__name__)

CONNECTIONS = "$SYS.REQ.ACCOUNT.PING.CONNZ"
KICK_AGAIN_AFTER_SECONDS = (0.0, 0.3, 0.6)
REDELIVER_SECONDS = 20.0  # what a process took and never settled, because it died, goes to another one
KEEP_AGAIN_SECONDS = 30.0  # by then the stream may have begun a new file
FIRST_ANSWER_SECONDS, QUIET_SECONDS = 1.0, 0.2


class MqttLink:
    """One process's link to the server, embedded or a cluster. Call `serve` for every name first, then `start`.

    The order of a session is a promise: the durable consumers exist before the callout answers its first question, so
    no device is connected before its QoS 1 messages have somewhere to wait.
    """

    def __init__(
        self,
        where: Where,
        key: AccountKey,
        admit: Admit,
        *,
        before_devices: Callable[[], None] | None = None,
        redeliver_seconds: float = REDELIVER_SECONDS,
    ) -> None:
        """`before_devices` runs in a thread when the stream is made and no device can connect yet."""
        self._where = where
        self._callout = Callout(key, admit)
        self._before_devices = before_devices
        self._redeliver_seconds = redeliver_seconds
        self._served: dict[str, Settle] = {}
        self._line: Line | None = None
        self._reach: Reach | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def serve(self, name: str, settle: Settle) -> None:
        """Hand what devices publish to `d/<key>/up/<name>` to `settle`, in batches."""
        self._served[name] = settle

    async def start(self) -> None:
        self._task = asyncio.create_task(keep_session(self._where, self._session, name="mqtt"))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def is_ready(self) -> bool:
        """Whether devices can connect through this process."""
        return self._ready.is_set()

    async def ready(self) -> None:
        await self._ready.wait()

    async def _session(self, line: Line) -> None:
        await prepare(line, list(self._served), self._redeliver_seconds)
        async with asyncio.TaskGroup() as tasks:
            for name, settle in self._served.items():
                tasks.create_task(StoredInbox(line, name, settle).run())
                tasks.create_task(PassingInbox(line, name, settle).run())
            await self._open(line)
            try:
                while True:
                    await asyncio.sleep(KEEP_AGAIN_SECONDS)
                    await keep_from_empty(line)
            finally:
                self._ready.clear()
                self._line = None

    async def _open(self, line: Line) -> None:
        await keep_from_empty(line)
        if self._before_devices is not None:
            await asyncio.to_thread(self._before_devices)
        await self._callout.open(line)
        reach = Reach(line)
        await reach.open()
        await caught_up(line)
        self._line, self._reach = line, reach
        self._ready.set()
        log.info("MQTT is open to devices", names=sorted(self._served))

    async def publish(self, key: str, path: str, body: bytes) -> None:
        """To the device's topic `d/<key>/<path>`, at QoS 0: only a device that listens now gets it.

        Unavailable while there is no server.
        """
        await self._connected().publish(f"d.{key}.{path.replace('/', '.')}", body)

    async def tell(self, key: str, path: str, body: bytes) -> bool:
        """To the device's topic, at QoS 0; False when it is certain that nobody has it, because nobody listens there.

        Unavailable while there is no server, before anything was sent.
        """
        self._connected()
        assert self._reach is not None
        return await self._reach.tell(f"d.{key}.{path.replace('/', '.')}", body)

    async def kick(self, key: str) -> int:
        """End the device's live connections, wherever in the cluster; returns how many there were.

        Asked again twice, because a connection that was admitted just before the credential was revoked may only appear
        in the server's list a moment later.
        """
        ended: set[tuple[str, int]] = set()
        for pause_seconds in KICK_AGAIN_AFTER_SECONDS:
            await asyncio.sleep(pause_seconds)
            async for answer in self._ask_all(CONNECTIONS, {"user": key, "auth": True, "limit": 1024}):
                ended |= await self._end_all(answer)
        return len(ended)

    async def _end_all(self, answer: dict[str, Any]) -> set[tuple[str, int]]:
        """The connections that one server told of, each as its server's id and its number there."""
        server = answer["server"]["id"]
        cids = [connection["cid"] for connection in answer["data"].get("connections") or ()]
        for cid in cids:
            asked = json.dumps({"cid": cid}).encode()
            await self._connected().request(f"$SYS.REQ.SERVER.{server}.KICK", asked, timeout=API_SECONDS)
        return {(server, cid) for cid in cids}

    async def connections(self) -> int:
        """How many devices and processes are connected to all servers together."""
        return sum([answer["data"].get("total", 0) async for answer in self._ask_all(CONNECTIONS, {"limit": 1})])

    async def _ask_all(self, subject: str, asked: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Every server of a cluster answers, and nothing says how many there are: so until it is quiet."""
        line = self._connected()
        answers: asyncio.Queue[Msg] = asyncio.Queue()
        address = line.new_inbox()
        listening = await line.subscribe(address, cb=answers.put)
        await line.publish(subject, json.dumps(asked).encode(), reply=address)
        patience_seconds = FIRST_ANSWER_SECONDS
        try:
            while True:
                yield json.loads((await asyncio.wait_for(answers.get(), patience_seconds)).data)
                patience_seconds = QUIET_SECONDS
        except TimeoutError:
            return
        finally:
            await listening.unsubscribe()

    def _connected(self) -> Line:
        if self._line is None or self._line.is_closed:
            raise Unavailable("the MQTT server is away; try again shortly", retry_after_seconds=2)
        return self._line
