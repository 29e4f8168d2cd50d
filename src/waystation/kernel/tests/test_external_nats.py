"""The guide's configuration, as it stands there, on a cluster of three real servers."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from waystation.kernel.mqtt import MqttLink
from waystation.kernel.nats_bus import NatsBus
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.nats_server import find_binary
from waystation.kernel.nats_session import ask_jetstream, keep_session
from waystation.kernel.secrets import KeyRing, new_secret
from waystation.kernel.tests.nats_site import PATIENCE_SECONDS, Store, admit, device, free_port, until

pytestmark = [pytest.mark.anyio, pytest.mark.servers]

GUIDE = Path(__file__).parents[4] / "docs" / "guides" / "external-nats.md"
TELEMETRY = "d/kitchen2/up/telemetry"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Cluster:
    urls: list[str]
    mqtt_ports: list[int]
    key: AccountKey
    servers: list[asyncio.subprocess.Process]

    def link(self, number: int, store: Store) -> MqttLink:
        """A process that knows one server of the cluster."""
        made = MqttLink(lambda: self.urls[number], self.key, admit, redeliver_seconds=1)
        made.serve("telemetry", store.settle)
        return made


def guided(number: int, routes: list[int], replaced: dict[str, str]) -> str:
    text = re.findall(r"```\n(server_name.*?)```", GUIDE.read_text(), re.DOTALL)[0]
    ours = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
    text = re.sub(r"routes: \[.*?\]", f"routes: [ {ours} ]", text)
    for written, meant in {
        **replaced,
        "nats-1 ": f"nats-{number} ",
        "0.0.0.0:6222": f"127.0.0.1:{routes[number]}",
    }.items():
        assert written in text
        text = text.replace(written, meant)
    return text


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    key, password = AccountKey(KeyRing(tmp_path / "keys").get("nats-account")), new_secret()
    ports = [(free_port(), free_port(), free_port()) for _ in range(3)]
    made = Cluster([], [mqtt for _, mqtt, _ in ports], key, [])
    for number, (client, mqtt, _) in enumerate(ports):
        config = tmp_path / f"{number}.conf"
        replaced = {"PASSWORD": password, "ISSUER": key.public, "0.0.0.0:4222": f"127.0.0.1:{client}"}
        replaced |= {"0.0.0.0:1883": f"127.0.0.1:{mqtt}", "/var/lib/nats": str(tmp_path / f"store{number}")}
        config.write_text(guided(number, [route for _, _, route in ports], replaced))
        made.urls.append(f"nats://waystation:{password}@127.0.0.1:{client}")
        command = (str(find_binary()), "-c", str(config), "-l", str(tmp_path / f"{number}.log"))
        made.servers.append(await asyncio.create_subprocess_exec(*command))
    yield made
    for server in made.servers:
        server.kill()
        await server.wait()


async def test_processes_and_devices_may_each_be_at_another_server(cluster: Cluster) -> None:
    first, second = Store(), Store()
    async with AsyncExitStack() as stack:
        links = [cluster.link(0, first), cluster.link(1, second)]
        for link in links:
            await link.start()
            stack.push_async_callback(link.stop)
        async with asyncio.timeout(4 * PATIENCE_SECONDS):  # the servers elect a leader first
            await asyncio.gather(*(link.ready() for link in links))
        kitchen = await stack.enter_async_context(device(cluster.mqtt_ports[2], "kitchen2"))

        for number in range(50):
            kitchen.client.publish(TELEMETRY, b"%d" % number, number % 2)
        await until(lambda: len(first.messages) + len(second.messages) >= 50)
        assert sorted(map(int, first.payloads() + second.payloads())) == list(range(50))
        assert await copies(cluster) == 3

        assert await asyncio.to_thread(kitchen.subscribe, "d/kitchen2/down/#")
        await links[0].publish("kitchen2", "down/commands", b"on")
        assert (await asyncio.to_thread(kitchen.next)).payload == b"on"

        assert await links[1].kick("kitchen2") >= 1
        assert await asyncio.to_thread(kitchen.cut.wait, PATIENCE_SECONDS)


async def copies(cluster: Cluster) -> int:
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def look(line) -> None:  # noqa: ANN001
        found.set_result((await ask_jetstream(line, "STREAM.INFO.$MQTT_msgs"))["config"]["num_replicas"])

    looking = asyncio.create_task(keep_session(lambda: cluster.urls[2], look, name="test"))
    try:
        return await found
    finally:
        looking.cancel()


async def test_notices_cross_the_cluster(cluster: Cluster) -> None:
    heard: list[bytes] = []
    async with AsyncExitStack() as stack:
        speaking, listening = (NatsBus(lambda url=url: url) for url in cluster.urls[:2])
        for bus in (speaking, listening):
            await bus.start()
            stack.push_async_callback(bus.stop)
        listening.subscribe("a.*", lambda _, body: heard.append(body))
        async with asyncio.timeout(2 * PATIENCE_SECONDS):
            await asyncio.gather(speaking.settled(), listening.settled())
        while not heard:  # the servers tell each other of a subscription in their own time
            speaking.publish("a.b", b"hello")
            await asyncio.sleep(0.05)
