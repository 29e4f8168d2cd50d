"""The real program: lines over MQTT, and what was acknowledged before it was killed."""

import json
import time
from itertools import count

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.hub import Hub
from tests.servers import StartHub

from waystation.kernel.tests.nats_site import until

pytestmark = pytest.mark.servers


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def contents(site: Hub) -> list[str]:
    """Oldest first; a repeat as often as it was counted."""
    found = site.get("/api/messages?limit=1000")["messages"]
    return [one["content"] for one in reversed(found) for _ in range(one["count"])]


@pytest.mark.anyio
async def test_lines_are_taken_over_mqtt(hub: StartHub) -> None:
    site = hub(mqtt=True)
    device = site.register_device("Porch")
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"d-{device.key}")
    client.username_pw_set(device.key, device.api_key)
    client.connect("127.0.0.1", site.mqtt_port)
    client.loop_start()
    try:
        for number in range(20):
            body = [{"content": f"line {number}"}, {"content": "tick", "severity": "debug"}]
            client.publish(f"d/{device.key}/up/messages", json.dumps(body), qos=1).wait_for_publish(60)
        await until(lambda: len(contents(site)) >= 40)
    finally:
        client.disconnect()
        client.loop_stop()
    assert sorted(contents(site)) == sorted([f"line {number}" for number in range(20)] + ["tick"] * 20)


def test_what_was_acknowledged_outlives_kill_nine_and_is_there_once(hub: StartHub) -> None:
    """The device sends its last call again after each crash, as it must when no answer came."""
    site = hub()
    device = site.register_device("Porch")
    numbers, sent, begun = count(), list[str](), round(time.time() * 1000) - 60_000
    for _ in range(3):
        for _ in range(5):
            body = [{"at": begun + n, "content": f"line {n}"} for n in (next(numbers) for _ in range(20))]
            assert site.post("/api/messages", body, device.authorization)[0] == 200
            sent += [line["content"] for line in body]
        site.kill()
        site.start()
        assert site.post("/api/messages", body, device.authorization)[0] == 200
    assert contents(site) == sent
