"""One run from the registering of the fleet to the summary."""

import asyncio
import signal
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from waystation.kernel.desk import Desk
from waystation.kernel.errors import Conflict, Invalid
from waystation.operation import start
from waystation.operation.progress import steps
from waystation.operation.simulate import display, fleet, past, verify
from waystation.operation.simulate.drive import WEATHER, Course, Life, drive, fleet_of, remembered
from waystation.operation.simulate.kinds import KINDS, Kind, Thermostat
from waystation.operation.simulate.tally import Tally
from waystation.operation.simulate.wording import FIRMWARE, OURS


@dataclass(frozen=True, slots=True)
class Past:
    """How much history is written first, as in `365d`; nothing is none."""

    lasting: str = ""
    step_seconds: float = 60.0


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
    thermostats: bool = False  # only these, in the words of their firmware
    past: Past = Past()


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
    past_seconds = past.seconds_of(asked.past.lasting)
    with _enlisted(desk, asked, share) as members:
        alive = _pasts(desk, asked, members, past_seconds)
        tally = Tally(asked.devices, by_mqtt=sum(member.by_mqtt for member in members))
        began_at = time.monotonic()
        lives, was_interrupted = asyncio.run(_run((members, alive), course, tally, live=not asked.quiet))
        seconds = time.monotonic() - began_at
        verdict = None
        if asked.verify:
            with verify.reader(desk, course.url) as get, steps() as tell:
                verdict = verify.verdict(remembered(lives), get, tell)
    return Outcome(tally, seconds, verdict, was_interrupted)


def _pasts(desk: Desk, asked: Asked, members: Sequence[fleet.Member], seconds: float) -> Mapping[int, Kind]:
    if not seconds:
        return {}
    with steps() as tell:
        step = asked.past.step_seconds
        return past.write(desk, members, WEATHER, seconds=seconds, step_seconds=step, tell=tell)


def _course(desk: Desk, asked: Asked) -> tuple[Course, float]:
    """Where to, and the share of devices that can use MQTT there."""
    if asked.thermostats and asked.verify:
        raise Invalid("--verify compares times, and a thermostat's readings have those of their arrival; leave it out")
    running = start.running(desk.settings.data)
    if asked.hub is None and running is None:
        folder = desk.settings.data
        raise Conflict(f"no hub runs on {folder}; start it (waystation serve --data {folder}), or name one with --hub")
    url = (asked.hub or str(running and running["url"])).rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise Invalid(f"--hub {url}: an address looks like http://hub.local:8000")
    mqtt_port = int(running["mqtt_port"]) if running else desk.settings.mqtt_port
    wording = FIRMWARE if asked.thermostats else OURS
    course = Course(url, mqtt_port, asked.rate, asked.seconds, remember=asked.verify, wording=wording)
    return course, asked.mqtt_share if mqtt_port and not asked.thermostats else 0.0


@contextmanager
def _enlisted(desk: Desk, asked: Asked, share: float) -> Generator[Sequence[fleet.Member]]:
    kinds = (Thermostat,) if asked.thermostats else KINDS
    with steps() as tell:
        members = fleet.enlist(desk, asked.devices, share, tell, kinds=kinds)
    try:
        yield members
    finally:
        with steps() as tell:
            fleet.dismiss(desk, members, tell)


async def _run(
    fleet_: tuple[Sequence[fleet.Member], Mapping[int, Kind]], course: Course, tally: Tally, *, live: bool
) -> tuple[list[Life], bool]:
    """Also says whether somebody stopped it before its time."""
    stop, lives = asyncio.Event(), fleet_of(fleet_[0], course, fleet_[1])
    interrupted = asyncio.Event()

    def on_signal() -> None:
        interrupted.set()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    async with display.shown(tally, live=live):
        await drive(lives, course, tally, stop)
    return lives, interrupted.is_set() and course.seconds > 0
