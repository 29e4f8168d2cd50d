"""Devices over MQTT, spoken by a NATS server: who may connect, what they send, what they are told, and ending a connection."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt_callout import Admit, Admitted, Callout
from waystation.kernel.mqtt_inbox import (
    QOS_HEADER,
    STREAM_SUBJECTS,
    MqttMessage,
    PassingInbox,
    Settle,
    StoredInbox,
    prepare,
)
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.nats_session import Where, keep_session

__all__ = ["Admit", "Admitted", "MqttLink", "MqttMessage", "Settle"]

log = structlog.get_logger(__name__)

CONNECTIONS = "$SYS.REQ.ACCOUNT.PING.CONNZ"
KICK_AGAIN_AFTER_SECONDS = (0.0, 0.5, 1.0)
QUIET_SECONDS = 0.25


class MqttLink:
    """One process's link to the server, embedded or a cluster. Call `serve` for every name first, then `start`.

    The order of a session is a promise: the durable consumers exist before the callout answers its first question, so no
    device is connected before its QoS 1 messages have somewhere to wait.
    """

    def __init__(self, where: Where, key: AccountKey, admit: Admit) -> None:
        self._where = where
        self._callout = Callout(key, admit)
        self._served: dict[str, Settle] = {}
        self._client: Client | None = None
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

    async def _session(self, client: Client) -> None:
        await prepare(client, list(self._served))
        async with asyncio.TaskGroup() as tasks:
            for name, settle in self._served.items():
                tasks.create_task(StoredInbox(client, name, settle).run())
                tasks.create_task(PassingInbox(client, name, settle).run())
            await self._open(client)
            try:
                await asyncio.Event().wait()
            finally:
                self._ready.clear()
                self._client = None

    async def _open(self, client: Client) -> None:
        await self._callout.open(client)
        await client.flush()
        self._client = client
        self._ready.set()
        log.info("MQTT is open to devices", names=sorted(self._served))

    async def publish(self, key: str, path: str, body: bytes, qos: int = 0) -> None:
        """To the device's topic `d/<key>/<path>`; Unavailable while there is no server.

        At QoS 0 only a device that listens now gets it. At QoS 1 it also waits for a device that has subscribed at QoS 1
        in a session that outlives its connection; it is durable there when this returns.
        """
        client, subject = self._connected(), f"d.{key}.{path.replace('/', '.')}"
        if qos == 0:
            await client.publish(subject, body)
            return
        headers = {QOS_HEADER: "1"}
        await client.publish(subject, body, headers=headers)  # for those who subscribed at QoS 0; others skip it
        await client.jetstream().publish(STREAM_SUBJECTS + subject, body, headers=headers)

    async def kick(self, key: str) -> int:
        """End the device's live connections, wherever in the cluster; returns how many there were.

        Asked again twice, because a connection that was admitted just before the credential was revoked may only appear
        in the server's list a moment later.
        """
        ended: set[tuple[str, int]] = set()
        for pause_seconds in KICK_AGAIN_AFTER_SECONDS:
            await asyncio.sleep(pause_seconds)
            for server, cid in await self._connections_of(key) - ended:
                await self._connected().publish(f"$SYS.REQ.SERVER.{server}.KICK", json.dumps({"cid": cid}).encode())
                ended.add((server, cid))
        return len(ended)

    async def _connections_of(self, key: str) -> set[tuple[str, int]]:
        answers = await self._ask_all(CONNECTIONS, {"user": key, "auth": True, "limit": 1024})
        return {
            (answer["server"]["id"], connection["cid"])
            for answer in answers
            for connection in answer["data"].get("connections") or ()
        }

    async def connections(self) -> int:
        """How many devices and processes are connected to all servers together."""
        answers = await self._ask_all(CONNECTIONS, {"limit": 1})
        return sum(answer["data"].get("total", 0) for answer in answers)

    async def _ask_all(self, subject: str, asked: dict[str, Any]) -> Sequence[dict[str, Any]]:
        """Every server of a cluster answers, and nothing says how many there are: so wait until it is quiet."""
        client = self._connected()
        answers: asyncio.Queue[Msg] = asyncio.Queue()
        address = client.new_inbox()
        listening = await client.subscribe(address, cb=answers.put)
        try:
            await client.publish(subject, json.dumps(asked).encode(), reply=address)
            return [json.loads(answer.data) for answer in await _until_quiet(answers)]
        finally:
            await listening.unsubscribe()

    def _connected(self) -> Client:
        if self._client is None or self._client.is_closed:
            raise Unavailable("the MQTT server is away; try again shortly", retry_after_seconds=2)
        return self._client


async def _until_quiet(answers: "asyncio.Queue[Msg]") -> list[Msg]:
    collected: list[Msg] = []
    while True:
        try:
            async with asyncio.timeout(QUIET_SECONDS if collected else 4 * QUIET_SECONDS):
                collected.append(await answers.get())
        except TimeoutError:
            return collected
