import asyncio
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest

from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.mqtt_inbox import MOST_CONSUMERS
from waystation.kernel.tests.nats_site import (
    GOOD,
    PATIENCE_SECONDS,
    Device,
    Site,
    Store,
    admit,
    device,
    linked,
    site,
    until,
)

pytestmark = [pytest.mark.anyio, pytest.mark.servers]

TELEMETRY = "d/kitchen2/up/telemetry"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path) as made:
        yield made


async def admitted(port: int, user: str, password: str, *, session: str | None = None) -> bool:
    trying = Device(port, user, password, session=session)
    try:
        return await asyncio.to_thread(trying.connect)
    finally:
        await asyncio.to_thread(trying.close)


async def test_only_a_known_device_with_the_right_key_is_admitted(hub: Site) -> None:
    assert await admitted(hub.port, "kitchen2", GOOD)
    assert await admitted(hub.port, "serial-1", GOOD)
    assert not await admitted(hub.port, "kitchen2", "a wrong key")
    assert not await admitted(hub.port, "kitchen2", "")
    assert not await admitted(hub.port, "nobody", GOOD)
    assert not await admitted(hub.port, "waystation", GOOD)


async def test_a_reserved_client_id_belongs_to_its_device(hub: Site) -> None:
    assert await admitted(hub.port, "kitchen2", GOOD, session="d-kitchen2")
    assert await admitted(hub.port, "kitchen2", GOOD, session="d-kitchen2-shell")
    assert not await admitted(hub.port, "cellar33", GOOD, session="d-kitchen2")
    assert not await admitted(hub.port, "kitchen2", GOOD, session="d-kitchen22")


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_what_a_device_sends_arrives_once_at_any_quality(hub: Site, qos: int) -> None:
    async with device(hub.port, "serial-1") as kitchen:
        assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"warm", qos)
        await until(lambda: hub.store.messages)
        assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"end", qos)
        await until(lambda: len(hub.store.messages) > 1)

    assert hub.store.payloads() == [b"warm", b"end"]
    message = hub.store.messages[0]
    assert (message.device_key, message.subject) == ("kitchen2", "d.kitchen2.up.telemetry")
    assert (message.at is None, message.sequence is None) == (qos == 0, qos == 0)


async def test_a_foreign_topic_is_out_of_reach(hub: Site) -> None:
    async with device(hub.port, "kitchen2") as kitchen, device(hub.port, "cellar33") as cellar:
        assert await asyncio.to_thread(cellar.subscribe, "d/cellar33/down/#")
        for topic in ("d/cellar33/up/telemetry", "d/cellar33/down/commands", "$MQTT/msgs/d/cellar33/up/telemetry"):
            for qos in (0, 1):
                await asyncio.to_thread(kitchen.send, topic, b"forged", qos, retain=True)
        await asyncio.to_thread(kitchen.send, TELEMETRY, b"own")
        await until(lambda: hub.store.messages)
        await hub.link.publish("cellar33", "down/commands", b"true")
        assert (await asyncio.to_thread(cellar.next)).payload == b"true"
    assert hub.store.payloads() == [b"own"]


async def test_a_forged_retained_message_is_not_kept_for_a_later_subscriber(hub: Site) -> None:
    async with device(hub.port, "kitchen2") as kitchen:
        for qos in (0, 1):
            await asyncio.to_thread(kitchen.send, "d/cellar33/down/commands", b"forged", qos, retain=True)
    async with device(hub.port, "cellar33") as cellar:
        assert await asyncio.to_thread(cellar.subscribe, "d/cellar33/down/#")
        await hub.link.publish("cellar33", "down/commands", b"true")
        assert (await asyncio.to_thread(cellar.next)).payload == b"true"


@pytest.mark.parametrize(
    "topic", ["#", "+/+/down/#", "d/cellar33/down", "d/#", "d/+/down", "$MQTT/sub/#", "$SYS/#", "ws/#"]
)
async def test_a_foreign_subscription_is_refused(hub: Site, topic: str) -> None:
    async with device(hub.port, "kitchen2") as kitchen:
        assert not await asyncio.to_thread(kitchen.subscribe, topic)


@pytest.mark.parametrize("topic", ["d/kitchen2/down/#", "d/kitchen2/down/+", "d/kitchen2/down/commands"])
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_device_hears_what_it_is_told_once(hub: Site, topic: str, qos: int) -> None:
    async with device(hub.port, "kitchen2") as kitchen:
        assert await asyncio.to_thread(kitchen.subscribe, topic, qos)
        for told in range(2):
            await hub.link.publish("kitchen2", "down/commands", b"%d" % told)
        assert [(await asyncio.to_thread(kitchen.next)).payload for _ in range(2)] == [b"0", b"1"]
        assert kitchen.received.empty()


@pytest.mark.parametrize("qos", [0, 1])
async def test_a_session_hears_again_after_a_restart_of_the_server(hub: Site, qos: int) -> None:
    async with device(hub.port, "kitchen2", session="d-kitchen2") as kitchen:
        assert await asyncio.to_thread(kitchen.subscribe, "d/kitchen2/down/#", qos)
        await hub.server.restart()
        await asyncio.to_thread(kitchen.return_)
        await hub.link.publish("kitchen2", "down/commands", b"remembered")
        assert (await asyncio.to_thread(kitchen.next)).payload == b"remembered"
        assert await asyncio.to_thread(kitchen.subscribe, "d/kitchen2/down/#", qos)
        await hub.link.publish("kitchen2", "down/commands", b"asked again")
        assert (await asyncio.to_thread(kitchen.next)).payload == b"asked again"


async def test_the_server_takes_more_subscriptions_than_it_would_by_itself(hub: Site) -> None:
    server = await nats.connect(hub.server.url())
    told = await server.request("$JS.API.STREAM.INFO.$MQTT_msgs")
    await server.close()
    assert json.loads(told.data)["config"]["max_consumers"] == MOST_CONSUMERS


async def test_a_retained_message_of_a_device_arrives_like_any_other(hub: Site) -> None:
    async with device(hub.port, "kitchen2") as kitchen:
        assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"kept", 1, retain=True)
        await until(lambda: hub.store.messages)
    assert hub.store.payloads() == [b"kept"]


async def test_kicking_ends_every_connection_of_one_device_only(hub: Site) -> None:
    async with (
        device(hub.port, "kitchen2") as by_key,
        device(hub.port, "serial-1") as by_serial,
        device(hub.port, "cellar33") as cellar,
    ):
        assert await hub.link.kick("kitchen2") >= 2
        assert await asyncio.to_thread(by_key.cut.wait, PATIENCE_SECONDS)
        assert await asyncio.to_thread(by_serial.cut.wait, PATIENCE_SECONDS)
        assert not cellar.cut.is_set()
        assert await asyncio.to_thread(cellar.send, "d/cellar33/up/telemetry", b"still here")


async def test_what_is_not_settled_comes_again_with_the_same_stamp(hub: Site) -> None:
    hub.store.is_open = False
    async with device(hub.port, "kitchen2") as kitchen:
        assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"1")
        await until(lambda: hub.store.seen)
        hub.store.is_open = True
        await until(lambda: hub.store.messages)
    stamps = {(message.at, message.sequence) for message in hub.store.seen}
    assert len(hub.store.seen) >= 2
    assert len(stamps) == 1


async def test_a_handler_that_raises_loses_nothing(hub: Site) -> None:
    settle, raised = hub.store.settle, []

    async def settle_late(messages):  # noqa: ANN001, ANN202
        if not raised:
            raised.append(messages)
            raise RuntimeError("the database is away")
        return await settle(messages)

    hub.link.serve("telemetry", settle_late)
    await hub.server.restart()  # a session takes the handlers as they are
    await until(lambda: not hub.link.is_ready)
    await until(lambda: hub.link.is_ready)
    async with device(hub.port, "kitchen2") as kitchen:
        assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"1")
        await until(lambda: hub.store.messages)
    assert hub.store.payloads() == [b"1"]


async def test_acknowledged_messages_survive_the_server_being_killed(hub: Site) -> None:
    """Nobody takes them before the kill, so only the server's disk can have them."""
    async with device(hub.port, "kitchen2") as kitchen:
        await hub.link.stop()
        sent = [kitchen.client.publish(TELEMETRY, b"%d" % number, 1) for number in range(300)]
        await until(sent[150].is_published)
        os.kill(hub.server.state().pid or 0, signal.SIGKILL)
        await asyncio.to_thread(kitchen.cut.wait, PATIENCE_SECONDS)
        acknowledged = {b"%d" % number for number, one in enumerate(sent) if one.is_published()}
        await hub.link.start()
        await until(lambda: acknowledged <= set(hub.store.payloads()))
        await until(lambda: len(set(hub.store.payloads())) == 300)  # the client sends the rest again by itself
    assert hub.server.state().restarts == 1


async def test_messages_wait_for_a_process_that_is_away(hub: Site) -> None:
    other = Store()
    async with linked(hub.server, other):
        await hub.link.stop()
        other.is_open = False
        async with device(hub.port, "kitchen2") as kitchen:
            assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"left behind")
        await until(lambda: other.seen)
    third = Store()
    async with linked(hub.server, third):
        await until(lambda: third.messages)
    assert third.payloads() == [b"left behind"]
    assert third.messages[0] == other.seen[0]


async def test_a_drained_stream_goes_on_in_the_same_file(hub: Site) -> None:
    """The name of a new file is not durable at once, so there must not be one after every message."""
    files = next((hub.folder / "nats").rglob("$MQTT_msgs")) / "msgs"
    before = {path.name for path in files.glob("*.blk")}
    async with device(hub.port, "kitchen2") as kitchen:
        for number in range(5):
            assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"%d" % number)
            await until(lambda number=number: len(hub.store.messages) > number)
    assert len(before) == 1
    assert {path.name for path in files.glob("*.blk")} == before


async def test_two_processes_share_the_messages(hub: Site) -> None:
    other = Store()
    async with linked(hub.server, other), device(hub.port, "kitchen2") as kitchen:
        for qos in (0, 1):
            for number in range(200):
                kitchen.client.publish(TELEMETRY, b"%d at %d" % (number, qos), qos)
        await until(lambda: len(hub.store.messages) + len(other.messages) >= 400)
    arrived = hub.store.payloads() + other.payloads()
    assert len(arrived) == len(set(arrived)) == 400


async def test_devices_return_by_themselves_after_a_restart(hub: Site) -> None:
    async with device(hub.port, "kitchen2") as kitchen:
        await hub.server.restart()
        await asyncio.to_thread(kitchen.return_)
        assert await asyncio.to_thread(kitchen.send, TELEMETRY, b"back")
        await until(lambda: b"back" in hub.store.payloads())


async def test_without_a_server_telling_a_device_says_so() -> None:
    link = MqttLink(lambda: None, None, admit)  # type: ignore[arg-type]  nothing is signed without a server
    await link.start()
    with pytest.raises(Unavailable):
        await link.publish("kitchen2", "down/commands", b"")
    await link.stop()


@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="needs mosquitto_pub")
async def test_mosquitto_pub_is_served(hub: Site) -> None:
    async def publish(password: str) -> int:
        login = ("-h", "127.0.0.1", "-p", str(hub.port), "-u", "kitchen2", "-P", password)
        run = await asyncio.create_subprocess_exec(
            "mosquitto_pub", *login, "-q", "1", "-t", TELEMETRY, "-m", "21.5", stderr=asyncio.subprocess.DEVNULL
        )
        return await run.wait()

    assert await publish(GOOD) == 0
    await until(lambda: hub.store.messages)
    assert await publish("wrong") != 0
    assert hub.store.payloads() == [b"21.5"]
