import asyncio
import json

import pytest
from nats.aio.client import Client
from tests.nats import ExternalNats

from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt_inbox import STREAM, STREAM_SUBJECTS, durable_of, keep_from_empty, prepare
from waystation.kernel.nats_session import caught_up
from waystation.operation import queue

pytestmark = pytest.mark.servers
UP, DOWN = (f"{STREAM_SUBJECTS}d.abcdefgh.{way}" for way in ("up.telemetry", "down.commands"))


async def arrive(client: Client, subject: str, count: int = 1) -> None:
    """As the server keeps what a device published, once it has told the device so."""
    for _ in range(count):
        await client.request(subject, b"{}", timeout=5)


async def settle(client: Client, count: int) -> None:
    address = client.new_inbox()
    waiting = await client.subscribe(address)
    asked = json.dumps({"batch": count, "expires": 5_000_000_000}).encode()
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{durable_of('telemetry')}", asked, reply=address)
    for _ in range(count):
        await (await waiting.next_msg(5)).ack()
    await caught_up(client)


def test_a_message_is_behind_until_it_is_settled(nats: ExternalNats) -> None:
    async def test() -> None:
        client = Client()
        await client.connect(servers=[nats.url])
        await prepare(client, ["telemetry"], 20)
        await keep_from_empty(client)
        await queue.drained(nats.url, within_seconds=0)
        await arrive(client, UP, 3)
        assert await queue.backlog(nats.url) == 3
        with pytest.raises(Unavailable, match="3 MQTT messages"):
            await queue.drained(nats.url, within_seconds=0.3)
        waiting = asyncio.create_task(queue.drained(nats.url))
        await settle(client, 3)
        await waiting
        assert await queue.backlog(nats.url) == 0
        await client.close()

    asyncio.run(test())


def test_what_arrives_afterwards_is_not_waited_for(nats: ExternalNats) -> None:
    async def test() -> None:
        client = Client()
        await client.connect(servers=[nats.url])
        await prepare(client, ["telemetry"], 20)
        await arrive(client, UP, 2)
        waiting = asyncio.create_task(queue.drained(nats.url))
        await asyncio.sleep(0.3)
        await arrive(client, UP)
        await settle(client, 2)
        await waiting
        assert await queue.backlog(nats.url) == 1
        await client.close()

    asyncio.run(test())


def test_what_waits_for_a_sleeping_device_holds_nothing_up(nats: ExternalNats) -> None:
    async def test() -> None:
        client = Client()
        await client.connect(servers=[nats.url])
        await prepare(client, ["telemetry"], 20)
        config = {"durable_name": "AbCdEf_xyz", "filter_subject": DOWN, "ack_policy": "explicit"}
        made = json.dumps({"stream_name": STREAM, "config": config}).encode()
        await client.request(f"$JS.API.CONSUMER.DURABLE.CREATE.{STREAM}.AbCdEf_xyz", made, timeout=5)
        await arrive(client, DOWN)
        await queue.drained(nats.url, within_seconds=0)
        await client.close()

    asyncio.run(test())


def test_without_any_message_ever_there_is_nothing_to_wait_for(nats: ExternalNats) -> None:
    asyncio.run(queue.drained(nats.url, within_seconds=0))
