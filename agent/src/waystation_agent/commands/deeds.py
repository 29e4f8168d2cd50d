"""What this agent can be asked to do. Who adds a command adds one function and one line here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, cast

from waystation_agent import __version__, programs
from waystation_agent.commands.config import Askable, Script
from waystation_agent.commands.errands import Deed
from waystation_agent.commands.model import Command, End, Outcome, done, failed, rejected
from waystation_agent.errors import BadInput
from waystation_agent.folder import write_whole
from waystation_agent.journal import Entry, Now

OUTPUT_BYTES = 3_500
SETTLE_SECONDS = 120.0
"""How long a machine may take to go down, or an agent to start again, before that has failed."""
SYNC_SECONDS = 60.0
UPLOAD_SECONDS = 300.0
ORDINARY_KILOBYTES = 1_024


@dataclass(frozen=True)
class Around:
    """What the commands act on: the running agent, as they see it."""

    askable: Askable
    now: Callable[[], Now]
    status: Callable[[], Mapping[str, object]]
    restart: Callable[[], None]
    sync: Callable[[float], Mapping[str, object]]
    """Fetch what is staged now; returns what came of it within so many seconds."""
    send_log: Callable[[str, int, float], Mapping[str, object]]
    """Send the last bytes of the log, once per command; returns what was sent, or raises TimeoutError."""
    reboot_file: Path | None
    """Laid down to ask for a reboot, where the agent has no right to one itself."""
    set_period: Callable[[float | None], float]
    is_ending: Callable[[], bool] = field(default=lambda: False)


def deeds(around: Around) -> dict[str, Deed]:
    """Return every command by its name."""
    found = {
        "ping": Deed(_ping, is_quick=True, is_repeatable=True),
        "status": Deed(lambda _: done(**around.status()), is_quick=True, is_repeatable=True),
        "set-interval": Deed(lambda command: _set_interval(around, command), is_quick=True, is_repeatable=True),
        "sync": Deed(lambda _: _sync(around), is_repeatable=True, lease_seconds=SYNC_SECONDS * 2),
        "upload-log": Deed(
            lambda command: _upload_log(around, command), is_repeatable=True, lease_seconds=UPLOAD_SECONDS * 2
        ),
        "reboot": Deed(
            lambda _: _reboot(around), settle=lambda entry: _rebooted(around, entry), lease_seconds=SETTLE_SECONDS * 5
        ),
        "restart-agent": Deed(
            lambda _: around.restart(),
            settle=lambda entry: _restarted(around, entry),
            lease_seconds=SETTLE_SECONDS * 2,
        ),
    }
    return found | {name: _deed(around, script) for name, script in around.askable.scripts.items()}


def _ping(command: Command) -> Outcome:
    del command
    return done(version=__version__)


def _set_interval(around: Around, command: Command) -> Outcome:
    seconds = command.parameters.get("seconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float)):
        return rejected('seconds must be a number, like {"seconds": 30}, or null for what the agent was started with')
    if seconds is not None and not 0.1 <= seconds <= 86_400:
        return rejected("seconds must be from 0.1 to 86400")
    return done(was=around.set_period(seconds))


def _sync(around: Around) -> Outcome:
    found = around.sync(SYNC_SECONDS)
    return failed("a package could not be deployed", **found) if found.get("failed") else done(**found)


def _upload_log(around: Around, command: Command) -> Outcome:
    kilobytes = command.parameters.get("kilobytes", ORDINARY_KILOBYTES)
    if not isinstance(kilobytes, int) or not 1 <= kilobytes <= ORDINARY_KILOBYTES:
        return rejected(f"kilobytes must be a whole number from 1 to {ORDINARY_KILOBYTES}")
    try:
        return done(**around.send_log(command.id, kilobytes * 1_024, UPLOAD_SECONDS))
    except TimeoutError:
        return failed(f"the log was not sent within {UPLOAD_SECONDS:.0f} s; the agent goes on trying")
    except BadInput as error:
        return failed(str(error))


def _deed(around: Around, script: Script) -> Deed:
    def run(command: Command) -> Outcome:
        return _run(around, script, command)

    return Deed(run, is_repeatable=script.repeatable, lease_seconds=script.timeout_seconds + 30)


def _run(around: Around, script: Script, command: Command) -> Outcome:
    try:
        words = script.words(command.parameters)
    except BadInput as error:
        return rejected(str(error))
    try:
        ended = programs.carry_out(
            words,
            script.timeout_seconds,
            last_bytes=OUTPUT_BYTES,
            given={"WAYSTATION_COMMAND": command.id},
            is_ending=around.is_ending,
        )
    except programs.NotRun as error:
        return failed(str(error))
    output = ended.outputs[0].decode(errors="replace")
    if ended.status:
        return failed(ended.how(), exit_code=ended.status, output=output)
    return Outcome(End.DONE, _object(output) or {"exit_code": 0, "output": output})


def _object(output: str) -> Mapping[str, object] | None:
    """A script that prints a JSON object has printed its result."""
    try:
        found: object = json.loads(output, parse_constant=_no_number)
    except ValueError:
        return None
    return cast("Mapping[str, object]", found) if isinstance(found, dict) else None


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


# What shows its end only in the next life. Noted before it is done and never done again, whatever comes between.


def _reboot(around: Around) -> Outcome | None:
    allowed = around.askable.allowed
    if not allowed.reboot:
        return rejected("this device does not let itself be rebooted from afar; [commands] reboot = true allows it")
    if around.reboot_file:
        write_whole(around.reboot_file, b"")
        return None
    try:
        ended = programs.carry_out(allowed.reboot_command, 30.0, last_bytes=OUTPUT_BYTES)
    except programs.NotRun as error:
        return failed(str(error))
    if ended.status > 0:
        output = ended.outputs[0].decode(errors="replace")
        return failed(f"{allowed.reboot_command[0]} {ended.how()}", output=output)
    return None


def _rebooted(around: Around, entry: Entry) -> Outcome | None:
    now = around.now()
    if now.boot != entry.begun.boot:
        return done(boot=now.boot)
    if _is_overdue(now, entry):
        return failed(f"the machine did not go down within {SETTLE_SECONDS:.0f} s")
    return None


def _restarted(around: Around, entry: Entry) -> Outcome | None:
    now = around.now()
    if (now.boot, now.run) != (entry.begun.boot, entry.begun.run):
        return done(version=__version__)
    if _is_overdue(now, entry):
        return failed(f"the agent did not end within {SETTLE_SECONDS:.0f} s")
    return None


def _is_overdue(now: Now, entry: Entry) -> bool:
    return now.monotonic_us - entry.begun.monotonic_us > SETTLE_SECONDS * 1e6
