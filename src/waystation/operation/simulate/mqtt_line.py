"""Readings by MQTT 3.1.1 at QoS 1: paho's client on our event loop, without a thread per device."""

import asyncio
import contextlib
import socket
import threading
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from waystation.operation.simulate.line import Fault

KEEPALIVE_SECONDS = 60
ANSWER_SECONDS = 15.0
TICK_SECONDS = 5.0
CONNECTING_AT_ONCE = 32


class Broker:
    """Where the MQTT listener is, and how many devices may be on their way in at a time."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self.turn = asyncio.Semaphore(CONNECTING_AT_ONCE)


class Session:
    """One connection of one device, from its log-in to its end."""

    def __init__(self, client_id: str, user: str, password: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._ticking: asyncio.Task[None] | None = None
        self.admitted: asyncio.Future[None] = self._loop.create_future()
        self.is_open = False
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
        self.client.username_pw_set(user, password)
        self.client.on_socket_open = self._socket_opened
        self.client.on_socket_close = self._socket_closing
        self.client.on_socket_register_write = self._wants_to_write
        self.client.on_socket_unregister_write = self._has_written
        self.client.on_connect = self._connected
        self.client.on_disconnect = self._disconnected
        self.client.on_publish = self._published

    async def begin(self, broker: Broker) -> None:
        try:
            await asyncio.to_thread(self.client.connect, broker.host, broker.port, KEEPALIVE_SECONDS)
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.admitted
        except OSError as fault:  # TimeoutError is one
            self.end()
            raise Fault(f"cannot reach MQTT at {broker.host}:{broker.port}: {fault}") from fault
        self._ticking = asyncio.create_task(self._tick())

    async def publish(self, topic: str, body: bytes) -> None:
        """Returns with the PUBACK."""
        told = self.client.publish(topic, body, qos=1)
        if told.rc != paho.MQTT_ERR_SUCCESS:
            raise Fault(f"not sent: {paho.error_string(told.rc)}")
        waiting = self._waiting[told.mid] = self._loop.create_future()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await waiting
        except TimeoutError:
            self.end()
            raise Fault(f"no PUBACK within {ANSWER_SECONDS:g} s") from None
        finally:
            self._waiting.pop(told.mid, None)

    def end(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        self.admitted.cancel()
        self.client.disconnect()

    async def _tick(self) -> None:
        """Keep-alive pings."""
        while self.client.loop_misc() == paho.MQTT_ERR_SUCCESS:  # noqa: ASYNC110  the clock has no event
            await asyncio.sleep(TICK_SECONDS)

    def _here(self, call: Any, *arguments: Any) -> None:
        """Paho calls back in the thread that connects, too; the loop is touched in its own only."""
        if threading.get_ident() == self._home:
            call(*arguments)
        else:
            self._loop.call_soon_threadsafe(call, *arguments)

    def _socket_opened(self, _client: Any, _userdata: Any, opened: Any) -> None:
        self._here(self._loop.add_reader, opened, self.client.loop_read)

    def _socket_closing(self, _client: Any, _userdata: Any, closing: Any) -> None:
        self._here(self._forget, closing)

    def _forget(self, closing: socket.socket) -> None:
        with contextlib.suppress(ValueError):  # it is closed already
            self._loop.remove_reader(closing)
            self._loop.remove_writer(closing)

    def _wants_to_write(self, _client: Any, _userdata: Any, writing: Any) -> None:
        self._here(self._loop.add_writer, writing, self.client.loop_write)

    def _has_written(self, _client: Any, _userdata: Any, writing: Any) -> None:
        self._here(self._loop.remove_writer, writing)

    def _connected(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, *_: Any) -> None:
        if self.admitted.done():
            return
        if reason.is_failure:
            self.admitted.set_exception(Fault(f"MQTT log-in: {reason}"))
        else:
            self.is_open = True
            self.admitted.set_result(None)

    def _disconnected(self, _client: Any, _userdata: Any, _flags: Any, reason: Any, *_: Any) -> None:
        self.is_open = False
        fault = Fault(f"the hub ended the MQTT connection: {reason}")
        for waiting in (self.admitted, *self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(fault)

    def _published(self, _client: Any, _userdata: Any, mid: int, *_: Any) -> None:
        waiting = self._waiting.get(mid)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)


class MqttLine:
    """A device with a session, and with a new one after each that ended."""

    def __init__(self, broker: Broker, key: str, api_key: str) -> None:
        self._broker = broker
        self._key, self._api_key = key, api_key
        self._session: Session | None = None

    @property
    def is_open(self) -> bool:
        return self._session is not None and self._session.is_open

    async def send(self, body: bytes) -> None:
        if self._session is None or not self._session.is_open:
            async with self._broker.turn:
                self._session = Session(f"simulated-{self._key}", self._key, self._api_key)
                await self._session.begin(self._broker)
        await self._session.publish(f"d/{self._key}/up/telemetry", body)

    async def close(self) -> None:
        if self._session is not None:
            self._session.end()
