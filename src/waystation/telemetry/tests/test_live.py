import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from waystation.kernel.bus import Bus
from waystation.telemetry import Live, api, live
from waystation.telemetry.live import Follower, News, Watch
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import House, as_device

Event = tuple[str, dict[str, Any]]


class Page:
    """A browser's end of the stream, spoken to as the server would."""

    def __init__(self) -> None:
        self.status = 0
        self.ended = asyncio.Event()
        self.reading = asyncio.Event()
        self.reading.set()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._said: asyncio.Queue[str] = asyncio.Queue()

    async def send(self, message: Any) -> None:
        await self.reading.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
        for part in message.get("body", b"").decode().split("\n\n"):
            if part:
                self._said.put_nowait(part)

    async def receive(self) -> dict[str, Any]:
        await self.closed
        return {"type": "http.disconnect"}

    async def said(self) -> str:
        async with asyncio.timeout(60):
            return await self._said.get()

    async def event(self) -> Event:
        first, _, second = (await self.said()).partition("\n")
        return first.removeprefix("event: "), json.loads(second.removeprefix("data: "))

    async def end(self) -> None:
        async with asyncio.timeout(60):
            await self.ended.wait()


@asynccontextmanager
async def page(house: House, query: str = "", who: Mapping[str, str] | None = None) -> AsyncGenerator[Page]:
    opened = Page()
    headers = [(name.encode(), value.encode()) for name, value in (who or house.owner).items()]
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/api/live",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("192.0.2.9", 1),
    }
    call = asyncio.create_task(house.app(scope, opened.receive, opened.send))
    call.add_done_callback(lambda _: opened.ended.set())
    try:
        assert await opened.said() == "retry: 2000"
        await asyncio.sleep(0)  # its announcement arrives
        yield opened
    finally:
        opened.reading.set()
        if not opened.closed.done():
            opened.closed.set_result(None)
        await call


async def post(house: House, who: Mapping[str, str], body: Any) -> None:
    answer = await house.client.post("/api/readings", json=body, headers=who)
    assert answer.status_code == 200


def notify(house: House, subject: str, body: Any = None) -> None:
    house.parts.get(Bus).publish(subject, json.dumps(body or {}).encode())


def test_a_reading_appears_on_an_open_page(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device("Kitchen")
        async with page(house) as watched:
            assert watched.status == 200
            await post(house, as_device(made), {"at": 1_767_268_800_000.123, "values": {"t": 1.5, "mode": "AUTO"}})
            event, told = await watched.event()
            assert event == "readings"
            assert told == {
                "device": made.key,
                "name": "Kitchen",
                "at": 1_767_268_800_000.123,
                "values": {"t": 1.5, "mode": "AUTO"},
            }

    in_any_house(test)


def test_a_page_of_one_device_hears_of_that_one_only(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        kitchen, hall = house.add_device("Kitchen"), house.add_device("Hall")
        async with page(house, f"devices={hall.key}") as watched:
            await post(house, as_device(kitchen), {"values": {"t": 1}})
            await post(house, as_device(hall), {"values": {"t": 2}})
            assert (await watched.event())[1]["device"] == hall.key

    in_house(test)


def test_many_readings_within_a_moment_are_told_as_the_newest(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        async with page(house) as watched:
            for number in range(20):
                await post(house, who, {"values": {"t": number, f"m{number % 3}": number}})
            first, second = (await watched.event())[1], (await watched.event())[1]
            assert first["values"]["t"] == 0
            assert second["values"]["t"] > 0
            told = {**first["values"], **second["values"]}
            while told["t"] < 19:
                told |= (await watched.event())[1]["values"]
            assert told == {"t": 19, "m0": 18, "m1": 19, "m2": 17}

    in_house(test)


def test_nothing_is_published_while_nobody_watches(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        heard: list[str] = []
        house.parts.get(Bus).subscribe("readings.>", lambda subject, _body: heard.append(subject))
        who = as_device(house.add_device())
        await post(house, who, {"values": {"t": 1}})
        await asyncio.sleep(0.01)
        assert heard == []
        async with page(house) as watched:
            await post(house, who, {"values": {"t": 2}})
            await watched.event()
        assert len(heard) == 1

    in_house(test)


def test_device_events_of_the_home_are_passed_on(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        async with page(house) as watched:
            notify(house, f"devices.{house.home_id + 1}.zzzzzzzz", {"key": "zzzzzzzz", "event": "claimed"})
            notify(house, f"devices.{house.home_id}.abcdefgh", {"key": "abcdefgh", "name": "Hall", "event": "claimed"})
            assert await watched.event() == ("device", {"key": "abcdefgh", "name": "Hall", "event": "claimed"})

    in_house(test)


def test_a_revoked_token_ends_its_pages_and_no_others__G_14(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        async with page(house) as watched:
            notify(house, "token.ended.999")
            notify(house, "session.ended.1")
            await asyncio.sleep(0.01)
            assert not watched.ended.is_set()
            notify(house, "token.ended.1")
            await watched.end()

    in_house(test)


def test_pages_end_when_the_process_stops(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        async with page(house) as one, page(house) as other:
            house.parts.get(Live).end_all()
            await one.end()
            await other.end()

    in_house(test)


def test_a_quiet_page_is_pinged_and_stays_announced(in_house: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PING_SECONDS", 0.02)
    monkeypatch.setattr(live, "WATCHED_SECONDS", 0.5)

    async def test(house: House) -> None:
        who = as_device(house.add_device())
        async with page(house) as watched:
            for _ in range(40):
                assert await watched.said() == ": ping"
            await post(house, who, {"values": {"t": 1}})
            while (told := await watched.said()) == ": ping":
                pass
            assert told.startswith("event: readings")

    in_house(test)


def test_a_page_that_reads_nothing_is_dropped(in_house: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "SEND_SECONDS", 0.05)

    async def test(house: House) -> None:
        who = as_device(house.add_device())
        async with page(house) as watched:
            watched.reading.clear()
            await post(house, who, {"values": {"t": 1}})
            async with asyncio.timeout(60):
                while house.parts.get(Live)._watches:  # noqa: ASYNC110  there is nothing to wait for but the end
                    await asyncio.sleep(0.01)

    in_house(test)


def test_what_waits_for_a_slow_page_is_bounded() -> None:
    async def test() -> None:
        watch = Watch()
        for number in range(10_000):
            watch.tell(News("abcdefgh", "Hall", float(number), {f"m{number % 5}": number}))
        told = (await watch.next()).decode()
        assert told.count("event: ") == 1
        assert '"at":9999.0' in told
        assert '"m4":9999' in told

    asyncio.run(test())


def test_a_page_that_leaves_events_unread_is_cut_off() -> None:
    watch = Watch()
    for _ in range(1000):
        watch.pass_on(b"{}")
    assert watch.ended
    assert len(watch._events) == live.MOST_EVENTS


def test_a_page_that_has_gone_leaves_nothing_behind(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        bus, told = house.parts.get(Bus), house.parts.get(Live)
        before = set(bus._listening)  # type: ignore[attr-defined]
        async with told.watch(Follower(house.home_id, None, ("token.ended.1",))):
            assert set(bus._listening) > before  # type: ignore[attr-defined]
        assert set(bus._listening) == before  # type: ignore[attr-defined]
        assert not told._watches

    in_house(test)
