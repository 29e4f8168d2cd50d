"""A hub's NATS side with real servers and real clients, for tests."""

import asyncio
import queue
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho

from waystation.kernel.mqtt import Admitted, MqttLink, MqttMessage
from waystation.kernel.nats_server import EmbeddedNats, NatsOptions
from waystation.kernel.secrets import KeyRing

PATIENCE_SECONDS = 60
GOOD = "the right key"
KEY_OF = {"kitchen2": "kitchen2", "serial-1": "kitchen2", "cellar33": "cellar33"}


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110  what is waited for happens in servers and threads
            await asyncio.sleep(0.01)


async def admit(user: str, password: str) -> Admitted | None:
    return Admitted(KEY_OF[user]) if user in KEY_OF and password == GOOD else None


@dataclass
class Store:
    """Keeps what it is handed; settles it only while `is_open`."""

    is_open: bool = True
    messages: list[MqttMessage] = field(default_factory=list)
    seen: list[MqttMessage] = field(default_factory=list)

    async def settle(self, messages: Sequence[MqttMessage]) -> Sequence[bool]:
        self.seen.extend(messages)
        if self.is_open:
            self.messages.extend(messages)
        return [self.is_open] * len(messages)

    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


@dataclass
class Site:
    folder: Path
    port: int
    server: EmbeddedNats
    link: MqttLink
    store: Store


def embedded(folder: Path, port: int, *, min_free_bytes: int = 0) -> EmbeddedNats:
    options = NatsOptions(mqtt_port=port, min_free_bytes=min_free_bytes, max_store_bytes=256 * 1_048_576)
    return EmbeddedNats(folder / "nats", options, KeyRing(folder / "keys"))


@asynccontextmanager
async def site(folder: Path, *, port: int | None = None) -> AsyncIterator[Site]:
    port = port or free_port()
    server, store = embedded(folder, port), Store()
    await server.start()
    try:
        async with linked(server, store) as link:
            yield Site(folder, port, server, link, store)
    finally:
        await server.stop()


@asynccontextmanager
async def linked(server: EmbeddedNats, store: Store) -> AsyncIterator[MqttLink]:
    link = MqttLink(server.url, server.key, admit, before_devices=server.sync_names, redeliver_seconds=1)
    link.serve("telemetry", store.settle)
    await link.start()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await link.ready()
        yield link
    finally:
        await link.stop()


class Device:
    """A real MQTT client in its own thread. Every method may block: call through `asyncio.to_thread`."""

    def __init__(self, port: int, user: str, password: str = GOOD, *, session: str | None = None) -> None:
        self.answer: queue.Queue[int] = queue.Queue()
        self.granted: queue.Queue[bool] = queue.Queue()
        self.received: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.cut = threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, session or "", clean_session=session is None)
        self.client.reconnect_delay_set(0.05, 0.2)
        self.client.username_pw_set(user, password)
        self.client.max_inflight_messages_set(100)
        self.client.on_connect = lambda _c, _u, _f, code, _p: self.answer.put(code.value)
        self.client.on_disconnect = lambda *_: self.cut.set()
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.put(not codes[0].is_failure)
        self.client.on_message = lambda _c, _u, message: self.received.put(message)
        self._port = port

    def connect(self) -> bool:
        """Whether it was admitted."""
        self.client.connect("127.0.0.1", self._port)
        self.client.loop_start()
        return self.answer.get(timeout=PATIENCE_SECONDS) == 0

    def send(self, topic: str, body: bytes, qos: int = 1, *, retain: bool = False) -> bool:
        """Whether it left, and was acknowledged if it asks for that."""
        sent = self.client.publish(topic, body, qos, retain)
        sent.wait_for_publish(PATIENCE_SECONDS)
        return sent.is_published()

    def return_(self) -> None:
        """Waits until it is admitted again after a cut."""
        self.cut.wait(PATIENCE_SECONDS)
        while self.answer.get(timeout=PATIENCE_SECONDS) != 0:
            pass

    def subscribe(self, topic: str, qos: int = 1) -> bool:
        self.client.subscribe(topic, qos)
        return self.granted.get(timeout=PATIENCE_SECONDS)

    def next(self) -> paho.MQTTMessage:
        return self.received.get(timeout=PATIENCE_SECONDS)

    def close(self) -> None:
        """Lets go of the client's callbacks too, so that it closes its own sockets as soon as nobody needs it."""
        self.client.disconnect()
        self.client.loop_stop()
        self.client.on_connect = self.client.on_disconnect = self.client.on_subscribe = self.client.on_message = None


@asynccontextmanager
async def device(port: int, user: str, password: str = GOOD, *, session: str | None = None) -> AsyncIterator[Device]:
    """Connected and admitted."""
    made = Device(port, user, password, session=session)
    try:
        assert await asyncio.to_thread(made.connect)
        yield made
    finally:
        await asyncio.to_thread(made.close)
