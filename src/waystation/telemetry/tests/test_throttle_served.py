"""Limits of the real program: over its sockets, over MQTT, and shared by two processes with a Redis that dies."""

import json
import urllib.error
import urllib.request
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.hub import Hub, Registered
from tests.nats import ExternalNats
from tests.servers import StartHub

from waystation.kernel.secrets import write_private
from waystation.kernel.tests.nats_site import until
from waystation.kernel.tests.redis_site import running_redis

pytestmark = pytest.mark.servers


def status(hub: Hub, who: Registered | None, **headers: str) -> int:
    proof = {"Authorization": "Device nobody:guess" if who is None else who.authorization}
    request = urllib.request.Request(f"{hub.url}/api/readings", b'{"values":{"a":1}}', {**proof, **headers})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def forged(number: int) -> dict[str, str]:
    return {
        "X-Forwarded-For": f"198.51.100.{number}",
        "X-Real-IP": f"198.51.100.{number}",
        "Forwarded": "for=192.0.2.1",
    }


def test_no_forged_header_gives_anybody_another_bucket__G_16(hub: StartHub) -> None:
    site = hub(environment={"WAYSTATION_INGEST_PER_MINUTE": "1", "WAYSTATION_INGEST_BURST": "5"})
    device = site.register_device("Kitchen")
    assert [status(site, device, **forged(n)) for n in range(8)] == [200] * 5 + [429] * 3
    guesses = [status(site, None, **forged(n)) for n in range(60)]
    assert guesses == [403] * 60
    assert status(site, None, **forged(60)) in (403, 429)  # one flows in every two seconds


def test_a_proxy_that_is_trusted_names_who_guesses(hub: StartHub) -> None:
    site = hub(environment={"WAYSTATION_TRUSTED_PROXIES": "127.0.0.1"})
    assert [status(site, None, **{"X-Forwarded-For": "198.51.100.7"}) for _ in range(64)][-1] == 429
    assert status(site, None, **{"X-Forwarded-For": "198.51.100.8"}) == 403


@pytest.mark.anyio
async def test_what_is_published_too_fast_is_stored_a_little_later(hub: StartHub) -> None:
    site = hub(mqtt=True, environment={"WAYSTATION_INGEST_PER_MINUTE": "600", "WAYSTATION_INGEST_BURST": "5"})
    device = site.register_device("Kitchen")
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"d-{device.key}")
    client.username_pw_set(device.serial, device.api_key)
    client.connect("127.0.0.1", site.mqtt_port)
    client.loop_start()
    sent = [client.publish(f"d/{device.key}/up/telemetry", json.dumps({"values": {"n": n}}), qos=1) for n in range(30)]
    for one in sent:
        one.wait_for_publish(30)
    await until(lambda: len(site.readings(device).get("n", [])) == 30)
    client.disconnect()
    client.loop_stop()
    assert sorted(value for _, value in site.readings(device)["n"]) == list(range(30))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_two_processes_share_a_bucket_and_a_redis_that_dies_costs_no_reading__TH_5(
    hub: StartHub, postgres_url: str, nats: ExternalNats, tmp_path: Path
) -> None:
    data = tmp_path / "cloud"
    write_private(data / "keys" / "nats-account.key", nats.account_key)
    environment = {
        "WAYSTATION_DATABASE_URL": postgres_url.replace("postgresql+psycopg", "postgresql"),
        "WAYSTATION_NATS_URL": nats.url,
        "WAYSTATION_WORKERS": "2",
        "WAYSTATION_INGEST_PER_MINUTE": "1",
        "WAYSTATION_INGEST_BURST": "10",
    }
    with running_redis(tmp_path) as redis:
        site = hub(data=data, environment={**environment, "WAYSTATION_REDIS_URL": redis.url})
        one, other = site.register_device("Kitchen"), site.register_device("Hall")
        answers = [status(site, one) for _ in range(40)]  # a connection each, so both processes answer
        assert (answers.count(200), answers.count(429)) == (10, 30)
        redis.kill()
        alone = [status(site, other) for _ in range(40)]
        assert set(alone) == {200, 429}
        assert 10 <= alone.count(200) <= 20  # each process by itself
    assert "each process limits by itself" in site.log
    assert sum(map(len, site.readings(one).values())) == 10
