"""Takes one command after the other from the hub, and sees each to its end whatever dies in between."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from waystation_agent.caller import Caller, Later
from waystation_agent.commands.model import Command, Outcome, Step, failed, read, rejected
from waystation_agent.delivery import ON_WITH_IT, UNPAIRED, Pause
from waystation_agent.journal import Entry, Journal, Now
from waystation_agent.logs import LOG, facts

PATIENCE_SECONDS = 30.0
"""Beyond the wait that was asked for."""
SPACING_SECONDS = 1.0
"""Between questions to a hub that does not wait before it says that there is nothing."""
LOOK_AGAIN = Pause(1.0)
LONGEST_LEASE_SECONDS = 3_600


@dataclass(frozen=True)
class Deed:
    """How one command is carried out. `do` returns None where its end shows only later: `settle` then tells."""

    do: Callable[[Command], Outcome | None]
    settle: Callable[[Entry], Outcome | None] | None = None
    is_quick: bool = False
    """Over at once and without effect: the hub need not hear first that it was begun."""
    is_repeatable: bool = False
    """May be done again when the agent died in the middle of it."""
    lease_seconds: float = 60.0


class Errands:
    def __init__(
        self,
        journal: Journal,
        caller: Caller,
        deeds: Mapping[str, Deed],
        now: Callable[[], Now],
        *,
        wait_seconds: float = 0.0,
    ) -> None:
        self._journal = journal
        self._caller = caller
        self._deeds = deeds
        self._now = now
        self._wait_seconds = wait_seconds
        self._fresh = ""
        """The command that this life of the agent was handed last: what it does at once, the hub surely wants."""
        self.is_waiting = False
        """True while nothing is under way but the hub's answer: then the agent may end at once."""

    def close(self) -> None:
        self._caller.close()
        self._journal.close()

    def step(self) -> Pause:
        """Do the next thing there is to do for a command, and return what to wait for before the next step."""
        if not self._caller.is_native:
            return UNPAIRED
        try:
            entry = self._journal.next_open()
            return self._go_on(entry) if entry else self._take()
        except Later as later:
            return self._caller.pause(later)

    def _go_on(self, entry: Entry) -> Pause:
        match entry.step:
            case Step.RECEIVED:
                return self._begin(entry)
            case Step.BEGUN:
                return self._finish(entry, self._settle(entry))
            case _:
                return self._tell(entry)

    def _take(self) -> Pause:
        asked_us = self._now().monotonic_us
        self.is_waiting = True
        try:
            path = f"/api/commands/next?wait={self._wait_seconds:g}"
            answer = self._caller.call("GET", path, patience_seconds=self._wait_seconds + PATIENCE_SECONDS)
        finally:
            self.is_waiting = False
        fields = answer.fields()
        if answer.status != 200 or "command" not in fields:
            raise Later(answer.problem())
        if fields["command"] is None:
            waited_seconds = (self._now().monotonic_us - asked_us) / 1e6
            return ON_WITH_IT if waited_seconds >= SPACING_SECONDS else self._caller.jittered(SPACING_SECONDS)
        try:
            command = read(fields["command"])
        except ValueError as error:
            raise Later(str(error)) from error
        LOG.info("command received %s", facts(id=command.id, name=command.name))
        self._journal.receive(command)
        self._fresh = command.id
        return ON_WITH_IT

    def _begin(self, entry: Entry) -> Pause:
        """Begin what the hub still wants: it may have been cancelled, or have expired, since another life took it."""
        command = entry.command
        deed = self._deeds.get(command.name)
        if deed is None:
            there_are = ", ".join(sorted(self._deeds))
            return self._finish(entry, rejected(f"there is no command {command.name} here; there are {there_are}"))
        if not (deed.is_quick or self._is_wanted(command, deed)):
            LOG.info("command is no longer wanted %s", facts(id=command.id, name=command.name))
            self._journal.told(command.id)
            return ON_WITH_IT
        self._journal.begin(command.id, self._now())
        return self._finish(entry, self._do(command, deed))

    def _is_wanted(self, command: Command, deed: Deed) -> bool:
        lease_seconds = round(min(deed.lease_seconds, LONGEST_LEASE_SECONDS))
        said = {"id": command.id, "state": "running", "lease_seconds": lease_seconds}
        try:
            answer = self._caller.call("POST", "/api/commands/outcome", json.dumps(said).encode(), JSON)
        except Later:
            if command.id != self._fresh:
                raise
            return True
        return answer.status == 200 and answer.fields().get("state") == "running"

    def _do(self, command: Command, deed: Deed) -> Outcome | None:
        try:
            return deed.do(command)
        except Exception as error:  # noqa: BLE001 whatever it is, the hub hears of it and the next command goes on
            LOG.exception("command failed %s", facts(id=command.id, name=command.name))
            return failed(f"{type(error).__name__}: {error}")

    def _settle(self, entry: Entry) -> Outcome | None:
        """Judge what was begun by an earlier life of the agent, or shows its end only later."""
        deed = self._deeds.get(entry.command.name)
        if deed and deed.settle:
            return deed.settle(entry)
        if deed and deed.is_repeatable and not entry.command.is_once:
            return self._do(entry.command, deed)
        return failed("the agent ended while this was carried out; nobody knows how far it got")

    def _finish(self, entry: Entry, outcome: Outcome | None) -> Pause:
        if outcome is None:
            return LOOK_AGAIN
        LOG.info("command ended %s", facts(id=entry.command.id, name=entry.command.name, state=outcome.end))
        self._journal.finish(entry.command.id, outcome)
        return ON_WITH_IT

    def _tell(self, entry: Entry) -> Pause:
        """Tell the outcome until the hub has decided on it. Refused, it is kept there as evidence, or of no use."""
        command, outcome = entry.command, cast("Outcome", entry.outcome)
        answer = self._caller.call("POST", "/api/commands/outcome", outcome.wire(command.id), JSON)
        if answer.status == 200 and "state" not in answer.fields():
            raise Later(answer.problem())
        if answer.status != 200:
            LOG.warning("hub did not take an outcome %s", facts(id=command.id, reason=answer.problem()))
        self._journal.told(command.id)
        return ON_WITH_IT


JSON = {"Content-Type": "application/json"}
