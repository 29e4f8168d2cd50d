"""Devices that die: what they have noted down stays, everything else is gone, and the next life begins with that."""

import itertools
import random
import threading
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Any, Self

from tests.faults.cables import Cable, Moment, Trap, Way
from tests.faults.deliveries import Cut, Delivery, Line, Mqtt, Outcome, Poll, WebSocket
from tests.hub import Registered

from waystation.commands import State

PAUSE_SECONDS = 0.1
STOP_SECONDS = 90
MOST_IN_ARRAY = 100


class Died(Exception):
    """The power of a device went."""


class Fate(Enum):
    """What befalls a device with one command."""

    DIES_BEFORE_ASKING = "dies before asking"
    DIES_BEFORE_NOTING = "dies before noting"
    DIES_BEFORE_DOING = "dies before doing"
    DIES_BEFORE_NOTING_THE_END = "dies before noting the end"
    DIES_BEFORE_SAYING = "dies before saying"
    DIES_BEFORE_THE_ANSWER = "dies before the answer"
    QUESTION_LOST = "question lost"
    QUESTION_TORN = "question torn"
    COMMAND_LOST = "command lost"
    COMMAND_TORN = "command torn"
    OUTCOME_LOST = "outcome lost"
    OUTCOME_TORN = "outcome torn"
    ANSWER_LOST = "answer lost"
    ANSWER_TORN = "answer torn"


DEATHS = frozenset(fate for fate in Fate if fate.value.startswith("dies"))
A_COMMAND = Moment(Way.FROM_HUB, b'"lease_seconds"')
AN_ANSWER = Moment(Way.FROM_HUB, b'"state"')
ANYTHING_SAID = Moment(Way.TO_HUB)
HALF = 0.5
ASKING = {Fate.QUESTION_LOST: 0.0, Fate.QUESTION_TORN: HALF}
ON_THE_LINE = {
    Fate.COMMAND_LOST: Trap(A_COMMAND, 0.0),
    Fate.COMMAND_TORN: Trap(A_COMMAND, HALF),
    Fate.OUTCOME_LOST: Trap(ANYTHING_SAID, 0.0),
    Fate.OUTCOME_TORN: Trap(ANYTHING_SAID, HALF),
    Fate.ANSWER_LOST: Trap(AN_ANSWER, 0.0),
    Fate.ANSWER_TORN: Trap(AN_ANSWER, HALF),
}
WHEN_SAYING = (Fate.OUTCOME_LOST, Fate.OUTCOME_TORN, Fate.ANSWER_LOST, Fate.ANSWER_TORN)


def fates(seed: int) -> Iterator[Fate | None]:
    """Each once, in an order of this device's own; then again, with nothing in between as often as something."""
    luck = random.Random(seed)
    yield from luck.sample([*Fate], len(Fate))
    while True:
        yield from luck.sample([*Fate, *[None] * len(Fate)], 2 * len(Fate))


@dataclass
class Entry:
    """A command in a device's journal. Without an `outcome` it was begun, and nothing is known of its end."""

    name: str
    is_once: bool
    outcome: Outcome | None = None
    is_told: bool = False


@dataclass
class Truth:
    """What really happened at one device: it outlasts every life, and no life looks into it but to see its own deed."""

    came: Counter[str] = field(default_factory=Counter[str])
    deeds: Counter[str] = field(default_factory=Counter[str])
    said: set[tuple[str, State]] = field(default_factory=set[tuple[str, State]])
    taken: dict[str, str] = field(default_factory=dict[str, str])  # the end that the hub has acknowledged
    refused: dict[str, str] = field(default_factory=dict[str, str])
    befell: Counter[Fate] = field(default_factory=Counter[Fate])
    faults: list[str] = field(default_factory=list[str])


class Gadget:
    """One device, in a thread, through as many lives as it takes.

    `set` can be looked at after a death, and is done then if it was not; `act` cannot, so it is called failed; what is
    once-only is done whenever it comes, because the hub has promised that it comes once.
    """

    def __init__(self, device: Registered, delivery: Delivery, cable: Cable, *, seed: int) -> None:
        self.device = device
        self.delivery = delivery
        self.truth = Truth()
        self.journal: dict[str, Entry] = {}
        self._cable = cable
        self._fates: Iterator[Fate | None] = fates(seed)
        self._fate: Fate | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"{delivery.__name__} {device.key}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _fault: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(STOP_SECONDS)
        assert not self._thread.is_alive()

    def leave_in_peace(self) -> None:
        """Nothing befalls it from now on."""
        self._fates = itertools.repeat(None)

    @property
    def is_quiet(self) -> bool:
        """Whether the hub has answered everything that it has to say."""
        return all(entry.is_told for entry in list(self.journal.values()))

    # Lives.

    def _live(self) -> None:
        try:
            while not self._stopping.is_set():
                self._live_once()
        except Exception:  # noqa: BLE001  the test tells of it
            self.truth.faults.append(traceback.format_exc())

    def _live_once(self) -> None:
        line: Line | None = None
        try:
            self._draw()
            line = self.delivery(self._cable.port, self.device)
            self._come_to_itself(line)
            while not self._stopping.is_set():
                self._ask(line)
        except Died:
            self._cable.cut()  # it says no good-bye
        except Cut:
            self._stopping.wait(PAUSE_SECONDS)
        finally:
            self._cable.set_trap(None)
            if line is not None:
                line.close()

    def _draw(self) -> None:
        """The next fate, once the last one has befallen it. What befalls the line takes it at its next moment."""
        if self._fate is not None and self._cable.has_sprung():
            self._befallen(self._fate)
        if self._fate is None:
            self._fate = next(self._fates)
        trap = None
        if self._fate in ASKING:
            trap = Trap(Moment(Way.TO_HUB, self.delivery.ASKING), ASKING[self._fate])
        elif self._fate is not None and self._fate not in WHEN_SAYING:
            trap = ON_THE_LINE.get(self._fate)
        self._cable.set_trap(trap)

    def _befallen(self, fate: Fate) -> None:
        self.truth.befell[fate] += 1
        self._fate = None

    def _may_die(self, here: Fate) -> None:
        if self._fate is here:
            self._befallen(here)
            raise Died

    # Commands.

    def _come_to_itself(self, line: Line) -> None:
        """What was begun in an earlier life and what was not told come first."""
        untold = [uid for uid, entry in self.journal.items() if not entry.is_told]
        for uid in untold:
            entry = self.journal[uid]
            if entry.outcome is None:
                entry.outcome = self._looked_at(uid, entry)
        for first in range(0, len(untold), MOST_IN_ARRAY):
            self._report(line, untold[first : first + MOST_IN_ARRAY])

    def _looked_at(self, uid: str, entry: Entry) -> Outcome:
        if entry.name == "act" and not entry.is_once:
            return {"id": uid, "state": "failed", "result": "interrupted"}
        if not self.truth.deeds[uid] and not entry.is_once:
            self.truth.deeds[uid] += 1
        state = "done" if self.truth.deeds[uid] else "failed"
        return {"id": uid, "state": state, "result": "as it was found"}

    def _ask(self, line: Line) -> None:
        command = line.next()
        if command is None:
            self._rest(line)
            return
        uid, entry = command["id"], self.journal.get(command["id"])
        self.truth.came[uid] += 1
        self._may_die(Fate.DIES_BEFORE_NOTING)
        if entry is None or command["once"]:
            self.journal[uid] = Entry(command["name"], command["once"])
            self._may_die(Fate.DIES_BEFORE_DOING)
            self._obey(line, command)
        self._report(line, [uid])
        self._may_die(Fate.DIES_BEFORE_ASKING)
        self._draw()
        if self._fate in ASKING and isinstance(line, Mqtt | WebSocket):
            raise Cut("asks on a new line")

    def _rest(self, line: Line) -> None:
        if type(line) is Poll:
            self._stopping.wait(PAUSE_SECONDS)

    def _obey(self, line: Line, command: dict[str, Any]) -> None:
        uid, wanted = command["id"], command["parameters"] or {}
        if seconds := wanted.get("takes"):
            self._say(line, [{"id": uid, "state": "running", "lease_seconds": 2 * seconds + 1}])
            self._stopping.wait(seconds)
        state = wanted.get("end", "done")
        if state != "rejected":
            self.truth.deeds[uid] += 1
        self._may_die(Fate.DIES_BEFORE_NOTING_THE_END)
        self.journal[uid].outcome = {"id": uid, "state": state, "result": {"by": self.device.key}}

    def _report(self, line: Line, uids: list[str]) -> None:
        self._may_die(Fate.DIES_BEFORE_SAYING)
        outcomes = [outcome for uid in uids if (outcome := self.journal[uid].outcome) is not None]
        if self._fate in WHEN_SAYING:
            self._cable.set_trap(ON_THE_LINE[self._fate])
        for answer in self._say(line, outcomes):
            self._note_answer(answer)

    def _say(self, line: Line, outcomes: list[Outcome]) -> list[dict[str, str]]:
        self.truth.said |= {(one["id"], State(one["state"])) for one in outcomes}
        line.say(outcomes)
        self._may_die(Fate.DIES_BEFORE_THE_ANSWER)
        return line.answers(outcomes)

    def _note_answer(self, answer: dict[str, str]) -> None:
        uid = answer["id"]
        self.journal[uid].is_told = True
        if "state" in answer:
            self.truth.taken[uid] = answer["state"]
        else:
            self.truth.refused[uid] = answer["code"]
