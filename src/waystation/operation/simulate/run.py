"""One run from the registering of the fleet to the summary."""

import asyncio
import signal
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from waystation.kernel.desk import Desk
from waystation.kernel.errors import Conflict, Invalid
from waystation.operation import start
from waystation.operation.progress import steps
from waystation.operation.simulate import display, fleet, verify
from waystation.operation.simulate.drive import Course, Life, drive, fleet_of, remembered
from waystation.operation.simulate.tally import Tally


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked for; without `hub` it is the one that runs on the data folder."""

    devices: int
    rate: float
    seconds: float
    mqtt_share: float
    hub: str | None
    verify: bool
    quiet: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    tally: Tally
    seconds: float
    verdict: verify.Verdict | None
    was_interrupted: bool

    @property
    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = display.facts(self.tally, self.seconds)
        if self.verdict is not None:
            found |= {"missing": self.verdict.missing, "doubled": self.verdict.doubled}
        return found

    @property
    def is_good(self) -> bool:
        """Something arrived, nothing was refused, and nothing acknowledged is missing or there twice."""
        arrived = self.tally.acknowledged > 0 and not self.tally.refused
        return arrived and (self.verdict is None or self.verdict.is_good)


def simulate(desk: Desk, asked: Asked) -> Outcome:
    """The devices' keys are taken back however the run ends."""
    course, share = _course(desk, asked)
    with _enlisted(desk, asked.devices, share) as members:
        tally = Tally(asked.devices, by_mqtt=sum(member.by_mqtt for member in members))
        began_at = time.monotonic()
        lives, was_interrupted = asyncio.run(_run(members, course, tally, live=not asked.quiet))
        seconds = time.monotonic() - began_at
        verdict = None
        if asked.verify:
            with verify.reader(desk, course.url) as get, steps() as tell:
                verdict = verify.verdict(remembered(lives), get, tell)
    return Outcome(tally, seconds, verdict, was_interrupted)


def _course(desk: Desk, asked: Asked) -> tuple[Course, float]:
    """Where to, and the share of devices that can use MQTT there."""
    running = start.running(desk.settings.data)
    if asked.hub is None and running is None:
        folder = desk.settings.data
        raise Conflict(f"no hub runs on {folder}; start it (waystation serve --data {folder}), or name one with --hub")
    url = (asked.hub or str(running and running["url"])).rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise Invalid(f"--hub {url}: an address looks like http://hub.local:8000")
    mqtt_port = int(running["mqtt_port"]) if running else desk.settings.mqtt_port
    course = Course(url, mqtt_port, asked.rate, asked.seconds, remember=asked.verify)
    return course, asked.mqtt_share if mqtt_port else 0.0


@contextmanager
def _enlisted(desk: Desk, count: int, share: float) -> Generator[Sequence[fleet.Member]]:
    with steps() as tell:
        members = fleet.enlist(desk, count, share, tell)
    try:
        yield members
    finally:
        with steps() as tell:
            fleet.dismiss(desk, members, tell)


async def _run(members: Sequence[fleet.Member], course: Course, tally: Tally, *, live: bool) -> tuple[list[Life], bool]:
    """Also says whether somebody stopped it before its time."""
    stop, lives = asyncio.Event(), fleet_of(members, course)
    interrupted = asyncio.Event()

    def on_signal() -> None:
        interrupted.set()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    async with display.shown(tally, live=live):
        await drive(lives, course, tally, stop)
    return lives, interrupted.is_set() and course.seconds > 0
