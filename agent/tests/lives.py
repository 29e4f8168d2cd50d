"""An agent's errands taken apart: a life can end at every step, and the next one begins with what is on the disk."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

from agent.tests.conftest import HandTicks

from waystation_agent.caller import Caller
from waystation_agent.commands.errands import Deed, Errands
from waystation_agent.commands.model import Command, Outcome, done, failed
from waystation_agent.folder import Folder
from waystation_agent.identity import IdentityFile
from waystation_agent.journal import Entry, Journal, Now
from waystation_agent.local_hub import LocalHub
from waystation_agent.messages.outbox import Outbox
from waystation_agent.messages.sending import Sending
from waystation_agent.packages.config import Deploying, Manner
from waystation_agent.packages.rounds import Packages
from waystation_agent.timekeeper import Timekeeper
from waystation_agent.uploads import Uploads

OVER = {"done", "failed", "rejected", "cancelled", "expired"}


class Cut(BaseException):
    """kill -9, or the power: nothing after it is carried out."""


@dataclass
class Power:
    """Goes off at the n-th of the moments that a test has marked; never for None."""

    off_at: int | None = None
    moments: int = 0

    def moment(self) -> None:
        self.moments += 1
        if self.moments == self.off_at:
            raise Cut

    def around(self, thing: Any, *names: str) -> None:
        """Let the power go off before and after every call of these methods."""
        for name in names:
            setattr(thing, name, self._marked(getattr(thing, name)))

    def _marked(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **named: Any) -> Any:
            self.moment()
            result = act(*arguments, **named)
            self.moment()
            return result

        return acted


@dataclass
class Lives:
    """`done` is what the commands of this machine have really done, by their ids: it outlasts every life."""

    folder: Folder
    hub: LocalHub
    power: Power = field(default_factory=Power)
    ticks: HandTicks = field(default_factory=HandTicks)
    done: list[str] = field(default_factory=list)
    boots: int = 0
    manners: Mapping[str, Manner] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run = ""
        self.begin()

    def begin(self) -> None:
        """A new life of the agent, with nothing but the files."""
        self.end()
        self.run = token_hex(4)
        self.power.moments = 0
        timekeeper = Timekeeper(self.ticks)

        def caller(what: str) -> Caller:
            made = Caller(what, IdentityFile(self.folder.identity), timekeeper, luck=lambda: 0.0)
            self.power.around(made, "call")
            return made

        def journal() -> Journal:
            made = Journal(self.folder.journal)
            self.power.around(made, "receive", "begin", "finish", "told", "put_stage", "put_former", "put_tries")
            self.power.around(made, "begin_package", "package_told", "add_upload", "put_sent", "end_upload")
            return made

        self.errands = Errands(journal(), caller("commands"), self._deeds(), self._now)
        manners = {kind: Manner(str(self.folder.packages / kind)) for kind in ("config", "data")} | dict(self.manners)
        self.packages = Packages(
            journal(), caller("packages"), caller("bytes"), Deploying(60.0, manners), is_ending=self._is_ending
        )
        self.uploads = Uploads(journal(), caller("files"), self.folder)
        outbox = Outbox(self.folder.messages, self.ticks)
        self.power.around(outbox, "oldest", "delivered")
        timekeeper.observe(0)
        self.messages = Sending(outbox, caller("messages"), timekeeper)

    def end(self) -> None:
        for work in ("errands", "packages", "uploads", "messages"):
            if hasattr(self, work):
                getattr(self, work).close()

    def _is_ending(self) -> bool:
        self.power.moment()
        return False

    def _now(self) -> Now:
        return Now(self.ticks.boot, self.run, self.ticks.monotonic_us())

    def _deeds(self) -> dict[str, Deed]:
        return {
            "look": Deed(lambda _: done(seen=True), is_quick=True, is_repeatable=True),
            "again": Deed(self._act, is_repeatable=True),
            "act": Deed(self._act),
            "reboot": Deed(self._reboot, settle=self._rebooted),
        }

    def _act(self, command: Command) -> Outcome:
        self.power.moment()
        self.done.append(command.id)
        self.power.moment()
        return done(acted=True)

    def _reboot(self, command: Command) -> None:
        self.power.moment()
        self.done.append(command.id)
        self.boots += 1
        self.ticks.boot = f"boot {self.boots}"
        raise Cut

    def _rebooted(self, entry: Entry) -> Outcome | None:
        if entry.begun.boot != self.ticks.boot:
            return done(boot=self.ticks.boot)
        if self.ticks.monotonic_us() - entry.begun.monotonic_us > 120_000_000:
            return failed("the machine did not go down")
        return None

    def work(self, step: Callable[[], Any], is_over: Callable[[], bool], most_steps: int = 3_000) -> int:
        """Step until it is over, through as many lives as it takes; returns how many were cut short."""
        lives = 0
        for _ in range(most_steps):
            if is_over():
                return lives
            try:
                step()
            except Cut:
                lives += 1
                self.power.off_at = None
                self.begin()
            self.ticks.pass_seconds(5)
        raise AssertionError("it does not come to an end")

    def obey(self, *commands: str) -> int:
        """Carry out commands until the hub knows the end of each."""
        return self.work(
            lambda: self.errands.step(),  # noqa: PLW0108 each life has its own
            lambda: all(self.hub.errands.outcome(one)[0] in OVER for one in commands) and not self._open(),
        )

    def _open(self) -> int:
        journal = Journal(self.folder.journal)
        try:
            return sum(count for step, count in journal.counts().items() if step != "told")
        finally:
            journal.close()

    def deploy(self, package: str) -> int:
        """See a package to its end."""
        return self.work(
            lambda: self.packages.step(),  # noqa: PLW0108 as above
            lambda: self.hub.files.package(package)[0] in OVER | {"deployed"} and not self.open_package(),
        )

    def open_package(self) -> bool:
        journal = Journal(self.folder.journal)
        try:
            return journal.open_package() is not None
        finally:
            journal.close()

    def deployed(self, kind: str) -> dict[str, bytes]:
        """What a program finds that reads the package of this type."""
        current: Path = self.folder.packages / kind / "current"
        found = sorted(current.rglob("*"))
        return {str(path.relative_to(current)): path.read_bytes() for path in found if path.is_file()}
