"""The stream of what is written: at once, without a gap, and only for those who may see it."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.site import Site, Somebody, standing_site

from waystation import devices, messages
from waystation.homes import Role
from waystation.kernel.bus import Bus
from waystation.kernel.stopping import Stopping
from waystation.messages import NewMessage, Severity, live
from waystation.messages.model import number_at
from waystation.messages.tests.house import line

PATIENCE_SECONDS = 60


class Page:
    """A browser's end of the stream."""

    def __init__(self) -> None:
        self.status = 0
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self.left = asyncio.Event()
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def send(self, message: Any) -> None:
        self.status = message.get("status", self.status)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.ended.set()
        for part in message.get("body", b"").decode().split("\n\n"):
            if part.startswith("retry"):
                self.begun.set()
            elif part:
                self._said.put_nowait(part)

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def event(self) -> tuple[str, Any, str]:
        """Its name, what it says, and its id."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            fields = dict(one.split(": ", 1) for one in (await self._said.get()).split("\n"))
        return fields["event"], msgspec.json.decode(fields["data"] or "null"), fields.get("id", "")

    async def end(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self.ended.wait()

    async def contents(self, count: int) -> list[str]:
        return [(await self.event())[1]["content"] for _ in range(count)]


class Home:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.home = site.home()
        self.porch = site.device(self.home)
        self.viewer = site.somebody(self.home, Role.VIEWER)

    async def write(self, *lines: NewMessage) -> None:
        def stored() -> None:
            with self.site.database.write() as tx:
                device = devices.find(tx, self.home.id, self.porch.key)
                messages.write(tx, device, self.site.clock.now(), lines)

        await asyncio.to_thread(stored)

    @asynccontextmanager
    async def page(self, query: str = "", who: Somebody | None = None, *, last: str = "") -> AsyncGenerator[Page]:
        opened = Page()
        headers = [(b"authorization", (who or self.viewer).authorization.encode()), (b"last-event-id", last.encode())]
        scope = {
            "type": "http",
            "method": "GET",
            "scheme": "http",
            "path": "/api/messages/live",
            "raw_path": b"/api/messages/live",
            "query_string": query.encode(),
            "headers": headers if last else headers[:1],
            "client": ("192.0.2.9", 1),
            "state": {},
        }
        call = asyncio.create_task(self.site.hot(scope, opened.receive, opened.send))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await opened.begun.wait()
        try:
            yield opened
        finally:
            opened.left.set()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await call

    def run(self, test: Any) -> None:
        assert self.site.client.portal is not None
        self.site.client.portal.call(test)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with standing_site(tmp_path) as site:
        yield Home(site)


def test_lines_appear_as_they_are_written_and_repeats_count_up(home: Home) -> None:
    async def test() -> None:
        async with home.page() as page:
            await home.write(line("a\nb", 1), line("c", 2))
            name, first, _ = await page.event()
            assert (name, first["content"]) == ("message", "a\nb")
            _, second, _ = await page.event()
            await home.write(line("c", 3))
            name, again, _ = await page.event()
            assert (name, again["id"], again["count"]) == ("repeated", second["id"], 2)

    home.run(test)


def test_a_stream_goes_on_where_it_broke_off(home: Home) -> None:
    async def test() -> None:
        await home.write(line("before"))
        async with home.page() as page:
            await home.write(line("a"), line("b"))
            _, _, place = await page.event()
        await home.write(line("c"))
        async with home.page(last=place) as page:
            assert await page.contents(2) == ["b", "c"]
        async with home.page(f"after={place}") as page:
            assert await page.contents(2) == ["b", "c"]

    home.run(test)


def test_only_what_is_wanted_is_told(home: Home) -> None:
    async def test() -> None:
        async with home.page("severity=warning&q=HOT") as page:
            await home.write(line("hot", 1), line("cold", 2, Severity.ERROR), line("too hot", 3, Severity.ERROR))
            assert await page.contents(1) == ["too hot"]

    home.run(test)


def test_who_cannot_keep_up_is_told_and_gets_the_newest(home: Home) -> None:
    async def test() -> None:
        async with home.page() as page:
            await home.write(*(line(f"{n}") for n in range(live.MOST_AT_ONCE + 1)))
            name, _, _ = await page.event()
            assert name == "skipped"
            newest = await page.contents(live.MOST_AFTER_SKIPPING)
            assert newest[-1] == f"{live.MOST_AT_ONCE}"
            await home.write(line("after"))
            assert await page.contents(1) == ["after"]

    home.run(test)


def test_a_stream_ends_with_the_membership(home: Home) -> None:
    async def test() -> None:
        async with home.page() as page:
            bus = home.site.parts.get(Bus)
            bus.publish(f"member.ended.{home.home.id}.{home.viewer.id}", b"")
            await page.end()

    home.run(test)


def test_a_stream_ends_with_the_process(home: Home) -> None:
    async def test() -> None:
        async with home.page() as page:
            home.site.parts.get(Stopping).begin()
            await page.end()

    home.run(test)


def test_the_id_of_an_event_is_a_place_in_the_list(home: Home) -> None:
    async def test() -> None:
        async with home.page() as page:
            await home.write(line("a"))
            _, told, place = await page.event()
            assert number_at(place) == told["id"]

    home.run(test)
