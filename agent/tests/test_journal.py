"""The journal against a model of it: whatever is written in whatever order, and read again after a restart."""

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from hypothesis.strategies import integers, sampled_from

from waystation_agent.commands.model import Command, End, Outcome, Step
from waystation_agent.folder import Folder
from waystation_agent.journal import KEPT, Journal, Now, make_sound

COMMANDS = sampled_from(["a", "b", "c"])


class Writing(RuleBasedStateMachine):
    """A command goes forwards only; what has begun never begins again; the first outcome stays."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.db"
        self.journal = Journal(self.path)
        self.journal._db.execute("pragma synchronous = off")
        self.steps: dict[str, Step] = {}
        self.outcomes: dict[str, Outcome] = {}

    @rule(command=COMMANDS)
    def receive(self, command: str) -> None:
        self.journal.receive(Command(command, "act", {"n": 1}))
        if self.steps.setdefault(command, Step.RECEIVED) is Step.TOLD:
            self.steps[command] = Step.FINISHED if command in self.outcomes else Step.RECEIVED

    @rule(command=COMMANDS, run=integers(0, 9))
    def begin(self, command: str, run: int) -> None:
        self.journal.begin(command, Now("boot", f"run {run}", run))
        if self.steps.get(command) is Step.RECEIVED:
            self.steps[command] = Step.BEGUN

    @rule(command=COMMANDS, number=integers(0, 9))
    def finish(self, command: str, number: int) -> None:
        outcome = Outcome(End.DONE, {"number": number})
        self.journal.finish(command, outcome)
        if self.steps.get(command) in {Step.RECEIVED, Step.BEGUN}:
            self.steps[command], self.outcomes[command] = Step.FINISHED, outcome

    @rule(command=COMMANDS)
    def tell(self, command: str) -> None:
        if self.steps.get(command) in {Step.FINISHED, Step.RECEIVED}:
            self.journal.told(command)
            self.steps[command] = Step.TOLD

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal = Journal(self.path)
        self.journal._db.execute("pragma synchronous = off")

    @invariant()
    def it_holds_what_was_written(self) -> None:
        found = {command: self.journal.entry(command) for command in self.steps}
        assert {command: entry and entry.step for command, entry in found.items()} == self.steps
        assert {command: entry.outcome for command, entry in found.items() if entry and entry.outcome} == self.outcomes
        waiting = [command for command, step in self.steps.items() if step is not Step.TOLD]
        following = self.journal.next_open()
        assert (following.command.id if following else None) in (waiting or [None])

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()


Writing.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestWriting = Writing.TestCase


def test_the_last_thousand_commands_are_remembered(folder: Folder) -> None:
    with closing(Journal(folder.journal)) as journal:
        journal._db.execute("pragma synchronous = off")
        for number in range(KEPT + 50):
            journal.receive(Command(f"c{number}", "ping", {}))
            journal.told(f"c{number}")
        assert journal.counts() == {"told": KEPT}
        assert journal.entry("c49") is None
        assert journal.entry("c50")


def test_a_damaged_journal_is_set_aside(folder: Folder) -> None:
    folder.journal.write_bytes(b"this was a database once" * 100)
    make_sound(folder.journal)
    with closing(Journal(folder.journal)) as journal:
        assert journal.next_open() is None
    assert len(list(folder.path.glob("journal.db.damaged-*"))) == 1
    with closing(sqlite3.connect(folder.journal)) as db:
        assert db.execute("pragma journal_mode").fetchone() == ("wal",)
