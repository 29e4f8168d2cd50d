"""Devices that send readings one by one through crashes, and remember which were acknowledged."""

import http.client
import itertools
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from tests.hub import Hub, Registered

PAUSE_AFTER_FAULT_SECONDS = 0.05
ARRIVAL_SECONDS = 60
MOST_UNACKNOWLEDGED = 50


@dataclass(frozen=True, slots=True)
class Found:
    """What a hub has of what it acknowledged."""

    acknowledged: int
    stored: int
    lost: int
    doubled: int


class Load:
    """Readings `n = 1, 2, …` of one metric each sender, at the start plus n milliseconds: every one can be told."""

    def __init__(self, hub: Hub, device: Registered) -> None:
        self._hub = hub
        self._device = device
        self._first_at = int(time.time() * 1000) - 3_600_000
        self._stopping = threading.Event()
        self._acknowledged: set[tuple[str, int]] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    @property
    def acknowledged(self) -> int:
        return len(self._acknowledged)

    def wait_for(self, more: int, within_seconds: float = 60) -> None:
        """Until that many more were acknowledged: a crash of an idle hub would prove nothing."""
        wanted, until = self.acknowledged + more, time.monotonic() + within_seconds
        while self.acknowledged < wanted:
            assert time.monotonic() < until, (
                f"only {self.acknowledged} of {wanted} acknowledged; {self._hub.log[-2000:]}"
            )
            time.sleep(0.01)

    def found(self) -> Found:
        """Compares with what the hub's own API gives; waits for what came by MQTT and is still on its way."""
        until = time.monotonic() + ARRIVAL_SECONDS
        while (found := self._compare()).lost and time.monotonic() < until:
            time.sleep(0.5)
        return found

    def _reading(self, metric: str, number: int) -> bytes:
        return json.dumps({"at": self._first_at + number, "values": {metric: number}}).encode()

    def _compare(self) -> Found:
        points = self._hub.readings(self._device)
        stored = Counter((metric, int(value)) for metric, rows in points.items() for _, value in rows)
        wrong = [(at, value) for rows in points.values() for at, value in rows if at != self._first_at + value]
        assert not wrong, f"values under another's time: {wrong[:5]}"
        lost = len(self._acknowledged - stored.keys())
        return Found(self.acknowledged, stored.total(), lost, sum(count - 1 for count in stored.values()))


class HttpLoad(Load):
    """Keep-alive senders. One whose answer is lost sends the same reading again, as every device must."""

    def __init__(self, hub: Hub, device: Registered, *, senders: int = 4) -> None:
        super().__init__(hub, device)
        self._threads = [threading.Thread(target=self._send, args=(f"http{n}",), daemon=True) for n in range(senders)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self, metric: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._hub.port, timeout=5)
        headers = {"Authorization": self._device.authorization, "Content-Type": "application/json"}
        for number in itertools.count(1):
            while not self._posted(connection, self._reading(metric, number), headers):
                if self._stopping.wait(PAUSE_AFTER_FAULT_SECONDS):
                    connection.close()
                    return
            self._acknowledged.add((metric, number))

    def _posted(self, connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]) -> bool:
        if self._stopping.is_set():
            return False
        try:
            connection.request("POST", "/api/readings", body, headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            return False
        assert answer.status < 400 or answer.status >= 500, f"refused: {answer.status}"
        return answer.status == 200


class MqttLoad(Load):
    """One client at QoS 1 that keeps what was not acknowledged and sends it again after every reconnect."""

    METRIC = "mqtt"

    def __init__(self, hub: Hub, device: Registered) -> None:
        super().__init__(hub, device)
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"load-{device.key}", clean_session=False)
        self._client.username_pw_set(device.serial, device.api_key)
        self._client.reconnect_delay_set(1, 1)
        self._sent: list[tuple[int, paho.MQTTMessageInfo]] = []
        self._thread = threading.Thread(target=self._send, daemon=True)

    def start(self) -> None:
        self._client.connect_async("127.0.0.1", self._hub.mqtt_port, keepalive=5)
        self._client.loop_start()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._client.loop_stop()
        self._note_acknowledged()

    def _send(self) -> None:
        topic = f"d/{self._device.key}/up/telemetry"
        for number in itertools.count(1):
            while len(self._sent) >= MOST_UNACKNOWLEDGED or not self._client.is_connected():
                self._note_acknowledged()
                if self._stopping.wait(0.005):
                    return
            if self._stopping.is_set():
                return
            self._sent.append((number, self._publish(topic, self._reading(self.METRIC, number))))

    def _publish(self, topic: str, payload: bytes) -> paho.MQTTMessageInfo:
        """What finds no connection paho keeps and sends when there is one, and yet its receipt would say "failed"."""
        sent = self._client.publish(topic, payload, qos=1)
        if sent.rc is paho.MQTT_ERR_NO_CONN:
            sent.rc = paho.MQTT_ERR_SUCCESS
        return sent

    def _note_acknowledged(self) -> None:
        """Asks each message rather than waiting to be called: paho calls back with its locks held."""
        asked = [(number, sent, sent.is_published()) for number, sent in self._sent]
        self._acknowledged.update((self.METRIC, number) for number, _, is_published in asked if is_published)
        self._sent = [(number, sent) for number, sent, is_published in asked if not is_published]
