"""MQTT QoS 1 messages a second, PUBACK after fsync, against JetStream alone with the same syncing in the same run."""

import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import nats
import paho.mqtt.client as paho
from hub import Site, free_port, running
from report import save

from waystation.kernel.nats_server import find_binary

PUBLISHERS = 8
UNDER_WAY = 100
SETTLE_SECONDS = 60


def main() -> int:
    seconds = 3.0 if "--quick" in sys.argv else 8.0
    rows = []
    bare = bare_rate(seconds)
    for values in (1, 100):
        with running(mqtt=True, pinned=False) as site:
            device = site.device("bench")
            acknowledged, took = published(site, device, values, seconds)
            settled = until_stored(site, device, acknowledged)
        rate = acknowledged / took
        row = {
            "what": "MQTT QoS 1, PUBACK after fsync",
            "values_in_a_message": values,
            "messages_per_second": round(rate),
            "readings_per_second": round(rate * values),
            "bare_jetstream_per_second": round(bare),
            "ratio_to_bare": round(rate / bare, 2),
            "acknowledged": acknowledged,
            "stored": settled,
        }
        rows.append(row)
        print(row)
    save("mqtt", rows, f"{PUBLISHERS} clients with {UNDER_WAY} messages under way each; all processes share two cores")
    return 0 if all(row["stored"] == row["acknowledged"] for row in rows) else 1


def published(site: Site, device: dict[str, Any], values: int, seconds: float) -> tuple[int, float]:
    body = json.dumps({"values": {f"metric_{number}": 20.5 + number for number in range(values)}})
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda number=number: counts.append(publish(site, device, body, (number, seconds))))
        for number in range(PUBLISHERS)
    ]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts), time.perf_counter() - began


def publish(site: Site, device: dict[str, Any], body: str, turn: tuple[int, float]) -> int:
    """How many messages were acknowledged; every one that was sent is waited for."""
    number, seconds = turn
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, f"bench-{number}", protocol=paho.MQTTv311)
    client.username_pw_set(device["key"], device["api_key"])
    client.max_inflight_messages_set(UNDER_WAY)
    room = threading.Semaphore(UNDER_WAY)
    acknowledged = 0

    def on_publish(*_: Any) -> None:
        nonlocal acknowledged
        acknowledged += 1
        room.release()

    client.on_publish = on_publish
    client.connect("127.0.0.1", site.mqtt_port)
    client.loop_start()
    sent, until = 0, time.monotonic() + seconds
    while time.monotonic() < until:
        room.acquire()
        client.publish(f"d/{device['key']}/up/telemetry", body, qos=1)
        sent += 1
    while acknowledged < sent and time.monotonic() < until + SETTLE_SECONDS:
        time.sleep(0.01)
    client.disconnect()
    client.loop_stop()
    return acknowledged


def until_stored(site: Site, device: dict[str, Any], expected: int) -> int:
    stored, until = 0, time.monotonic() + SETTLE_SECONDS
    while stored < expected and time.monotonic() < until:
        time.sleep(0.5)
        stored = site.stored(device, "metric_0")
    return stored


def bare_rate(seconds: float) -> float:
    """Acknowledged publishes to a stream that syncs always, without MQTT and without us, with as many under way."""
    with tempfile.TemporaryDirectory(prefix="waystation-bench-") as folder:
        port = free_port()
        config = {"listen": f"127.0.0.1:{port}", "jetstream": {"store_dir": folder, "sync_interval": "always"}}
        path = Path(folder) / "server.conf"
        path.write_text(json.dumps(config))
        server = subprocess.Popen([str(find_binary()), "-c", str(path)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            return asyncio.run(bare_publishes(port, seconds))
        finally:
            server.terminate()
            server.wait()


async def bare_publishes(port: int, seconds: float) -> float:
    client = await nats.connect(f"nats://127.0.0.1:{port}")
    stream = client.jetstream(timeout=30)
    await stream.add_stream(name="bench", subjects=["bench"])
    until, began = time.monotonic() + seconds, time.perf_counter()

    async def go_on() -> int:
        count = 0
        while time.monotonic() < until:
            await stream.publish("bench", b'{"values":{"metric_0":20.5}}')
            count += 1
        return count

    counts = await asyncio.gather(*(go_on() for _ in range(PUBLISHERS * UNDER_WAY)))
    rate = sum(counts) / (time.perf_counter() - began)
    await client.close()
    return rate


if __name__ == "__main__":
    sys.exit(main())
