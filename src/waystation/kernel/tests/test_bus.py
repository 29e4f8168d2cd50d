import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel.bus import RESUMED, Bus, LocalBus, matches
from waystation.kernel.nats_bus import NatsBus
from waystation.kernel.tests.nats_site import embedded, until

pytestmark = pytest.mark.anyio

words = st.sampled_from(["a", "b", "readings"])
subjects = st.lists(words, min_size=1, max_size=4).map(".".join)
patterns = (
    st.tuples(st.lists(st.one_of(words, st.just("*")), max_size=4), st.booleans())
    .filter(any)
    .map(lambda parts: ".".join([*parts[0], *([">"] if parts[1] else [])]))
)


def meets(wanted: Sequence[str], given: Sequence[str]) -> bool:
    """The definition, word by word."""
    if not wanted or not given:
        return not wanted and not given
    if list(wanted) == [">"]:
        return True
    return wanted[0] in ("*", given[0]) and meets(wanted[1:], given[1:])


@given(patterns, subjects)
def test_a_pattern_matches_word_by_word(pattern: str, subject: str) -> None:
    assert matches(pattern, subject) == meets(pattern.split("."), subject.split("."))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["local", "nats", "nats, another process"])
async def buses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Bus, Bus]]:
    """One to speak on and one to listen on: the same, or two processes'."""
    if request.param == "local":
        bus = LocalBus()
        yield bus, bus
        return
    async with AsyncExitStack() as stack:
        server = embedded(tmp_path, 0)
        await server.start()
        stack.push_async_callback(server.stop)
        speaking = await started(stack, server.url)
        yield speaking, (speaking if request.param == "nats" else await started(stack, server.url))


async def started(stack: AsyncExitStack, where) -> NatsBus:  # noqa: ANN001
    bus = NatsBus(where)
    await bus.start()
    stack.push_async_callback(bus.stop)
    return bus


class Ear:
    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes]] = []

    def __call__(self, subject: str, body: bytes) -> None:
        self.heard.append((subject, body))


async def settled(*buses: Bus) -> None:
    for bus in buses:
        if isinstance(bus, NatsBus):
            await bus.settled()


async def test_a_notice_reaches_everybody_who_asked_for_it_once_and_in_order(buses: tuple[Bus, Bus]) -> None:
    speaking, listening = buses
    one, all_of_them, others = Ear(), Ear(), Ear()
    listening.subscribe("readings.h1.*", one)
    listening.subscribe("readings.>", all_of_them)
    listening.subscribe("commands.>", others)
    await settled(speaking, listening)

    for number in range(100):
        speaking.publish("readings.h1.d1", b"%d" % number)
    speaking.publish("readings.h2.d2", b"other home")
    speaking.publish("readings", b"nobody's")

    await until(lambda: len(all_of_them.heard) >= 101)
    assert one.heard == [("readings.h1.d1", b"%d" % number) for number in range(100)]
    assert all_of_them.heard[100:] == [("readings.h2.d2", b"other home")]
    assert others.heard == []


async def test_who_has_unsubscribed_hears_nothing_more(buses: tuple[Bus, Bus]) -> None:
    speaking, listening = buses
    left, stayed = Ear(), Ear()
    leave = listening.subscribe("a", left)
    listening.subscribe("a", stayed)
    leave()
    await settled(speaking, listening)

    speaking.publish("a", b"")

    await until(lambda: stayed.heard)
    assert left.heard == []


async def test_any_thread_may_publish(buses: tuple[Bus, Bus]) -> None:
    speaking, listening = buses
    ear = Ear()
    listening.subscribe("a", ear)
    await settled(speaking, listening)

    thread = threading.Thread(target=speaking.publish, args=("a", b"from a thread"))
    thread.start()

    await until(lambda: ear.heard)
    thread.join()
    assert ear.heard == [("a", b"from a thread")]


async def test_a_listener_that_fails_does_not_keep_a_notice_from_the_others(buses: tuple[Bus, Bus]) -> None:
    speaking, listening = buses
    ear = Ear()

    def fails(subject: str, body: bytes) -> None:
        raise ValueError(subject, body)

    listening.subscribe("a", fails)
    listening.subscribe("a", ear)
    await settled(speaking, listening)

    speaking.publish("a", b"")

    await until(lambda: ear.heard)


async def test_after_a_restart_of_the_server_everybody_is_told_and_listens_again(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        server = embedded(tmp_path, 0)
        await server.start()
        stack.push_async_callback(server.stop)
        one, other = await started(stack, server.url), await started(stack, server.url)
        gap, ear = Ear(), Ear()
        one.subscribe(RESUMED, gap)
        one.subscribe("a", ear)
        await settled(one, other)

        await server.restart()
        await until(lambda: gap.heard)
        await settled(one, other)
        other.publish("a", b"after")

        await until(lambda: ear.heard)


async def test_without_a_server_a_process_still_tells_itself(tmp_path: Path) -> None:
    bus = NatsBus(lambda: None)
    await bus.start()
    ear = Ear()
    bus.subscribe("a", ear)
    bus.publish("a", b"")
    await until(lambda: ear.heard)
    await bus.stop()
    assert asyncio.get_running_loop().is_running()
