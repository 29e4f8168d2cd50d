"""What certainly reached nobody is handed out again at once, however the line was lost."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.site import standing_site

from waystation import commands
from waystation.commands import Command, CommandMoved, Delivery, Sockets, State, hot, service, store
from waystation.commands.mqtt import LINK, OverMqtt
from waystation.commands.tests.house import House
from waystation.devices import Gate
from waystation.kernel.db import Tx
from waystation.kernel.feature import HotRequest
from waystation.kernel.mqtt import MqttLink
from waystation.kernel.nats_keys import AccountKey
from waystation.kernel.secrets import new_secret

PATIENCE_SECONDS = 30


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with standing_site(tmp_path) as site:
        yield House(site)


def call(house: House, do: Callable[[], Awaitable[Any]]) -> Any:
    portal = house.site.client.portal
    assert portal is not None
    return portal.call(do)


def history(house: House, command: Command) -> list[str]:
    with house.site.database.read() as tx:
        return [str(line.what) for line in commands.events(tx, command.number)]


def test_a_poll_that_hung_up_during_the_commit_has_taken_nothing(house: House) -> None:
    sent = house.send("reboot")
    calls = iter([False, True])  # there when its lease is written, gone when it is to be answered

    async def poll() -> bytes:
        headers = {b"authorization": house.porch.authorization.encode()}
        parts = house.site.parts
        asked = HotRequest(b"GET", b"/", headers, b"", "192.0.2.7", parts, is_gone=lambda: next(calls))
        return (await hot.next_command(asked)).body

    assert call(house, poll) == b'{"command":null}'
    assert history(house, sent) == ["queued", "leased", "returned"]
    assert house.poll()["attempt"] == 1


class Line:
    """A WebSocket that hangs up when it is told to."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.hung_up = asyncio.Event()

    async def say(self, body: bytes) -> bool:
        self.said.append(body)
        return True

    async def hear(self) -> str | None:
        await self.hung_up.wait()
        return None

    async def close(self, code: int) -> None:
        pass


class HeldLease:
    """A lease that is written and not committed before it is `allowed`."""

    def __init__(self, house: House) -> None:
        self.reached, self.allowed = threading.Event(), threading.Event()
        listeners = house.site.database.listeners
        house.site.database.listeners = {**listeners, CommandMoved: [*listeners[CommandMoved], self._hold]}

    def _hold(self, _tx: Tx, told: CommandMoved, _now: datetime) -> None:
        if told.command.state is State.LEASED and not self.reached.is_set():
            self.reached.set()
            assert self.allowed.wait(PATIENCE_SECONDS)


def test_a_socket_that_hung_up_during_the_commit_has_taken_nothing(house: House) -> None:
    sent = house.send("reboot")
    parts = house.site.parts

    held = HeldLease(house)

    async def converse() -> list[bytes]:
        line = Line()
        device = await parts.get(Gate).by_key(house.porch.key)
        assert device is not None
        talk = asyncio.ensure_future(parts.get(Sockets).converse(device, line, lambda: True))
        assert await asyncio.to_thread(held.reached.wait, PATIENCE_SECONDS)
        line.hung_up.set()
        for _ in range(5):
            await asyncio.sleep(0)  # what hears has ended, and the conversation with it
        held.allowed.set()
        await talk
        return line.said

    assert call(house, converse) == []
    assert history(house, sent) == ["queued", "leased", "returned"]
    assert house.poll()["attempt"] == 1


def test_a_long_poll_gets_at_once_what_another_line_gives_back(house: House) -> None:
    sent = house.send("reboot")
    delivery = house.site.parts.get(Delivery)
    taken = call(house, lambda: delivery.take(house.porch.id, link="websocket"))
    held = house.begin_poll()
    assert house.poll() is None  # the other one waits by now
    call(house, lambda: delivery.give_back(taken))
    assert held.result(PATIENCE_SECONDS).json["command"]["id"] == sent.uid


async def nobody(_user: str, _password: str) -> None:
    return None


@pytest.mark.parametrize("is_open", [False, True])
def test_a_device_listens_still_when_it_was_our_line_to_the_server_that_was_cut(house: House, is_open: bool) -> None:  # noqa: FBT001
    """Whether we know of the cut already, or find it out when the lease is written."""
    with house.site.database.write() as tx:
        service.begin_listening(tx, house.porch.id, house.site.clock.now(), link=LINK)
    sent = house.send("reboot")
    parts = house.site.parts

    async def hand_out() -> None:
        link = MqttLink(lambda: "nats://127.0.0.1:9", AccountKey(new_secret().encode()), nobody)
        if is_open:
            link._ready.set()
        over = OverMqtt(parts.get(Gate), parts.get(Delivery), link, lambda: True)
        over.nudge([house.porch.id])
        await over.close()

    call(house, hand_out)
    assert (house.seen(sent).state, house.seen(sent).attempt) == (State.QUEUED, 0)
    assert history(house, sent) == ["queued", *(["leased", "returned"] if is_open else [])]
    with house.site.database.read() as tx:
        assert store.listens(tx, house.porch.id)
