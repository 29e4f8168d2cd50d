"""The crash matrix of commands: hub, device or line dies at every step; none is lost, done twice or falsely done."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.commands import RUN_FIRST
from tests.faults.cables import Cables, Moment, Way
from tests.faults.deliveries import DELIVERIES, Delivery, Mqtt
from tests.faults.figures import report
from tests.faults.gadgets import DEATHS, Fate, Gadget
from tests.faults.sending import Sender
from tests.hub import Hub
from tests.servers import StartHub

from waystation import commands, homes
from waystation.commands import Command, Event, State, Wanted
from waystation.commands.tests import account
from waystation.kernel.db import Database, sqlite_url

pytestmark = pytest.mark.servers

PATIENCE_SECONDS = 300
PAGE = 500
SECONDS_FOR_MINUTES = {RUN_FIRST: str(Path(__file__).with_name("hurried.py"))}
MOMENTS = (
    Moment(Way.FROM_HUB, b'"lease_seconds"'),
    Moment(Way.TO_HUB, b"/api/commands/outcome"),
    Moment(Way.TO_HUB, b"up/outcome"),
    Moment(Way.FROM_HUB, b'"state"'),
    Moment(Way.TO_HUB, b"POST /api/commands HTTP"),
    Moment(Way.TO_HUB, b"GET /api/commands/next"),
)
"""When the hub dies: as such bytes pass, and while it is at what they ask."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A hub with devices of every delivery and programs that send them commands, all over lines that break."""

    hub: Hub
    cables: Cables
    gadgets: list[Gadget]
    senders: list[Sender]

    def ended(self, delivery: Delivery) -> int:
        """Commands to whose outcome the hub has given its answer this way."""
        mine = [one.truth for one in self.gadgets if one.delivery is delivery]
        return sum(len(one.taken) + len(one.refused) for one in mine)

    def wait_for(self, many: int) -> None:
        """Until so many have ended by each delivery: a crash of an idle hub would prove nothing."""
        until = time.monotonic() + PATIENCE_SECONDS
        while any(self.ended(delivery) < many for delivery in DELIVERIES):
            self.complain()
            assert time.monotonic() < until, f"not {many} ended by each delivery; {self.hub.log[-2000:]}"
            time.sleep(0.01)

    def kill(self, number: int) -> None:
        """As soon as such a moment comes; each with its NATS and without."""
        passed = threading.Event()
        self.cables.watch(MOMENTS[number % len(MOMENTS)], passed.set)
        assert passed.wait(PATIENCE_SECONDS)
        if (number + number // len(MOMENTS)) % 2:
            self.hub.kill()
        else:
            self.hub.kill_all()
        self.hub.start()

    def settle(self) -> None:
        """The rest is sent, then nothing goes wrong any more, until all has ended and every device has told all."""
        until = time.monotonic() + PATIENCE_SECONDS
        for sender in self.senders:
            sender.end()
        while not all(one.is_over for one in self.senders):
            self.complain()
            assert time.monotonic() < until, self.hub.log[-2000:]
            time.sleep(0.05)
        for one in self.gadgets:
            one.leave_in_peace()
        while not self._is_settled():
            self.complain()
            assert time.monotonic() < until, f"open: {self._open()}; {self.hub.log[-2000:]}"
            time.sleep(0.2)

    def complain(self) -> None:
        faults = [fault for one in self.gadgets for fault in one.truth.faults]
        faults += [fault for one in self.senders for fault in one.sent.faults]
        assert not faults, "\n".join(faults)

    def _is_settled(self) -> bool:
        return all(one.is_quiet for one in self.gadgets) and not self._open()

    def _open(self) -> list[str]:
        states = ("queued", "leased", "running")
        pages = [self.hub.get(f"/api/commands?state={state}&limit=1")["commands"] for state in states]
        return [one["id"] for page in pages for one in page]

    def listed(self) -> dict[str, State]:
        """Every command with its state, through the front door."""
        found: dict[str, State] = {}
        path = f"/api/commands?limit={PAGE}"
        page = self.hub.get(path)
        while True:
            found |= {one["id"]: State(one["state"]) for one in page["commands"]}
            if page["next"] is None:
                return found
            page = self.hub.get(f"{path}&before={page['next']}")


def histories(hub: Hub) -> Iterator[tuple[Command, list[Event]]]:
    """Of the data of a hub that has stopped."""
    database = Database(sqlite_url(hub.data / "waystation.db"))
    with database.read() as tx:
        home = homes.first_home(tx)
        assert home is not None
        page = commands.newest(tx, Wanted(home.id), most=PAGE)
        while page:
            for one in page:
                yield one, commands.events(tx, one.number)
            page = commands.newest(tx, Wanted(home.id), before=page[-1].number, most=PAGE)
    database.close()


def crash(hub: StartHub, *, many: int, kills: int, gadgets_each: int) -> None:
    running = hub(mqtt=True, environment=SECONDS_FOR_MINUTES)
    with ExitStack() as stack:
        cables = stack.enter_context(Cables())
        gadgets = [
            Gadget(
                running.register_device(f"{delivery.__name__} {number}"),
                delivery,
                cables.lay(running.mqtt_port if delivery is Mqtt else running.port),
                seed=number,
            )
            for number, delivery in enumerate(DELIVERIES * gadgets_each)
        ]
        devices = [one.device for one in gadgets]
        senders = [Sender(running, cables.lay(running.port), devices, many=many // 2, seed=seed) for seed in (1, 2)]
        scene = Scene(running, cables, gadgets, senders)
        for one in [*gadgets, *senders]:
            stack.enter_context(one)
        for number in range(kills):
            scene.wait_for(many * (number + 1) // (2 * kills * len(DELIVERIES)))
            scene.kill(number)
        scene.settle()
        found = scene.listed()
    scene.complain()
    running.stop()
    assert running.integrity() == "ok"
    check(scene, found, kills)


def check(scene: Scene, found: dict[str, State], kills: int) -> None:
    """What the hub has, against what its clients were told and what the devices really did."""
    truths = [one.truth for one in scene.gadgets]
    sent = {uid: key for one in scene.senders for uid, key in one.sent.device.items()}
    said = {word for one in truths for word in one.said}
    deeds = sum((one.deeds for one in truths), Counter[str]())
    lost = [uid for uid in sent if uid not in found or not found[uid].is_final]
    lost += [uid for one in truths for uid, state in one.taken.items() if found.get(uid) != state]
    twice = [uid for uid, times in deeds.items() if times > 1]
    falsely = [uid for uid, end in found.items() if end is State.DONE and not ((uid, end) in said and deeds[uid])]
    tell(scene, found, kills, lost=len(lost), done_twice=len(twice), falsely_done=len(falsely))
    assert (lost, twice, falsely) == ([], [], [])
    assert found.keys() == sent.keys(), "a command that nobody has sent, or that was sent twice under one key"
    strangers = [uid for one in scene.gadgets for uid in one.truth.came if sent[uid] != one.device.key]
    assert strangers == []
    assert {code for one in truths for code in one.refused.values()} <= {"conflict"}
    check_histories(scene, said)


def check_histories(scene: Scene, said: set[tuple[str, State]]) -> None:
    cancelled = {uid for one in scene.senders for uid in one.sent.cancelled}
    came = sum((one.truth.came for one in scene.gadgets), Counter[str]())
    for command, lines in histories(scene.hub):
        account.check_history(command, lines)
        account.check_end(command, said, is_cancelled=command.uid in cancelled)
        assert came[command.uid] <= (1 if command.is_once else command.attempt)


def tell(scene: Scene, found: dict[str, State], kills: int, **verdict: int) -> None:
    """The figures; and everything must have happened to devices of every delivery, or the run proves little."""
    befell = {delivery: Counter[Fate]() for delivery in DELIVERIES}
    for one in scene.gadgets:
        befell[one.delivery] += one.truth.befell
    deaths = sum(times for each in befell.values() for fate, times in each.items() if fate in DEATHS)
    ends = Counter(found.values())
    report(
        f"commands, {kills} kills",
        commands=len(found),
        **{str(end): times for end, times in ends.items()},
        device_deaths=deaths,
        cut_lines=sum(each.total() for each in befell.values()) - deaths,
        sendings_repeated=sum(one.sent.repeated for one in scene.senders),
        **verdict,
    )
    missing = {delivery.__name__: sorted(set(Fate) - set(each), key=str) for delivery, each in befell.items()}
    assert not any(missing.values()), missing
    assert ends[State.DONE] > len(found) / 5


def test_hundreds_of_commands_through_crashes_of_all(hub: StartHub) -> None:
    crash(hub, many=160, kills=3, gadgets_each=1)


@pytest.mark.faults
def test_ten_thousand_commands_through_crashes_of_all(hub: StartHub) -> None:
    crash(hub, many=10_000, kills=48, gadgets_each=5)
