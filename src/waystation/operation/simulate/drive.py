"""Runs the fleet: every device in its own rhythm, one reading at a time, repeated until it is acknowledged."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from waystation.operation.simulate.fleet import Member
from waystation.operation.simulate.http_line import HttpLine, Place, Wire
from waystation.operation.simulate.kinds import Kind, Values
from waystation.operation.simulate.line import Fault, Line, RefusedForGood
from waystation.operation.simulate.mqtt_line import Broker, MqttLine
from waystation.operation.simulate.tally import Tally
from waystation.operation.simulate.wording import OURS, Wording

MOST_WIRES = 1_000  # a hub lets 2,000 connections of one address in
LAST_ANSWERS_SECONDS = 10.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 15.0
WEATHER = 7


@dataclass(frozen=True, slots=True)
class Course:
    """`rate` is readings a second of all devices together. 0 seconds is until somebody stops it."""

    url: str
    mqtt_port: int
    rate: float
    seconds: float
    remember: bool = False  # which readings were acknowledged, to compare with what was stored
    wording: Wording = OURS


@dataclass(slots=True)
class Life:
    """A device that lives: its physics, its way to the hub, and the readings of which it knows that they are safe."""

    member: Member
    kind: Kind
    line: Line
    last_ms: int = 0
    acknowledged: Counter[int] = field(default_factory=Counter[int])
    """Values by the reading's time in milliseconds; only when they are to be remembered."""

    def reading(self) -> tuple[int, Values]:
        """Never two of one time: the hub would take the second for the first one sent again."""
        self.last_ms = max(self.last_ms + 1, time.time_ns() // 1_000_000)
        return self.last_ms, self.kind.values(self.last_ms / 1000)


def fleet_of(members: Sequence[Member], course: Course, alive: Mapping[int, Kind]) -> list[Life]:
    """Call on the event loop. Who has a past goes on from it."""
    place = Place.of(course.url)
    by_http = sum(not member.by_mqtt for member in members)
    wires = [Wire(place, course.wording.path) for _ in range(max(1, min(by_http, MOST_WIRES)))]
    broker, now = Broker(place.host, course.mqtt_port), time.time()

    def line(member: Member) -> Line:
        if member.by_mqtt:
            return MqttLine(broker, member.key, member.api_key)
        return HttpLine(wires[member.number % len(wires)], member.serial, member.api_key)

    def physics(member: Member) -> Kind:
        return alive.get(member.number) or member.kind(member.number + 1, WEATHER, now)

    return [Life(member, physics(member), line(member)) for member in members]


async def drive(lives: Sequence[Life], course: Course, tally: Tally, stop: asyncio.Event) -> None:
    """Until its time is over or `stop` is set; then what is under way has a little longer to be answered."""
    tasks = [asyncio.create_task(_live(life, course, tally, stop)) for life in lives]
    watching = asyncio.create_task(_count_online(lives, tally))
    try:
        async with asyncio.timeout(course.seconds or None):
            await stop.wait()
    except TimeoutError:
        stop.set()
    _, late = await asyncio.wait(tasks, timeout=LAST_ANSWERS_SECONDS)
    for task in (*late, watching):
        task.cancel()
    ended = await asyncio.gather(*tasks, watching, return_exceptions=True)
    await asyncio.gather(*(life.line.close() for life in lives))
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


async def _live(life: Life, course: Course, tally: Tally, stop: asyncio.Event) -> None:
    period_seconds = tally.devices / course.rate
    due = time.monotonic() + life.member.number / course.rate
    while not await _stopped(stop, due - time.monotonic()):
        await _deliver(life, course, tally, stop)
        due += period_seconds
        behind = int((time.monotonic() - due) // period_seconds)
        if behind > 0:
            tally.late += behind
            due += behind * period_seconds


async def _deliver(life: Life, course: Course, tally: Tally, stop: asyncio.Event) -> None:
    at_ms, values = life.reading()
    body = msgspec.json.encode(course.wording.body(life.member, at_ms, values))
    tally.sent += 1
    pause_seconds = FIRST_PAUSE_SECONDS
    while True:
        began_at = time.monotonic()
        try:
            await life.line.send(body)
        except RefusedForGood as fault:
            tally.refused += 1
            tally.last_fault = str(fault)
            return
        except Fault as fault:
            tally.last_fault = str(fault)
            if await _stopped(stop, random.uniform(0, pause_seconds)):  # noqa: S311  jitter
                return
            tally.retried += 1
            pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
        else:
            _note(life, course, tally, (at_ms, values, time.monotonic() - began_at))
            return


def _note(life: Life, course: Course, tally: Tally, acknowledged: tuple[int, Values, float]) -> None:
    at_ms, values, seconds = acknowledged
    tally.acknowledged += 1
    tally.values += len(values)
    tally.latencies.add(seconds)
    if course.remember:
        life.acknowledged[at_ms] = len(values)


async def _stopped(stop: asyncio.Event, within_seconds: float) -> bool:
    """Waits at most that long."""
    if within_seconds > 0:
        try:
            async with asyncio.timeout(within_seconds):
                await stop.wait()
        except TimeoutError:
            return False
    return stop.is_set()


async def _count_online(lives: Sequence[Life], tally: Tally) -> None:
    while True:
        tally.online = sum(life.line.is_open for life in lives)
        await asyncio.sleep(0.5)


def remembered(lives: Sequence[Life]) -> Mapping[str, Counter[int]]:
    """Values acknowledged, by device key and time."""
    return {life.member.key: life.acknowledged for life in lives}
