"""What `agent.toml` allows the hub to ask for: nothing that changes this machine, unless its owner has said so."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from waystation_agent import written
from waystation_agent.commands.model import NAME, Parameters
from waystation_agent.errors import BadInput

PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
LONGEST_VALUE = 1_000
LONGEST_WAIT_SECONDS = 60
BUILT_IN = ("ping", "status", "reboot", "restart-agent", "sync", "upload-log", "set-interval")


@dataclass(frozen=True)
class Script:
    """A program of the owner's that the hub may start by name. `{place}` in its command is a parameter."""

    name: str
    command: tuple[str, ...]
    defaults: dict[str, str] = field(default_factory=dict[str, str])
    timeout_seconds: float = 60.0
    repeatable: bool = False
    """Whether it may run again when the agent died in the middle of it."""
    writes: tuple[str, ...] = ()
    """Folders that the service must let it write to."""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError("name is a letter or digit and up to 99 of letters, digits, _ . : -")
        if self.name in BUILT_IN:
            raise ValueError(f"{self.name} is a command of the agent itself; give the script another name")
        if not self.command or PLACE.search(self.command[0]):
            raise ValueError('command is a list that begins with a program: ["/usr/local/bin/valve", "{minutes}"]')
        if not 0 < self.timeout_seconds <= 3_600:
            raise ValueError("timeout_seconds is more than 0 and at most 3600")
        if unknown := self.defaults.keys() - self.places:
            raise ValueError(f"defaults names {min(unknown)}, but {{{min(unknown)}}} is not in command")

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(place for word in self.command for place in PLACE.findall(word)))

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(word for word in self.command if word.startswith("/") and not PLACE.search(word))

    def words(self, parameters: Parameters) -> list[str]:
        """Return the command with its parameters. Raises BadInput for one that is not declared, missing or unsafe."""
        if unknown := parameters.keys() - set(self.places):
            raise BadInput(f"{self.name} has no parameter {min(unknown)}; it has {', '.join(self.places) or 'none'}")
        values = {place: self.defaults[place] for place in self.places if place in self.defaults}
        values |= {name: _text(name, value) for name, value in parameters.items()}
        if missing := set(self.places) - values.keys():
            raise BadInput(f"{self.name} needs the parameter {min(missing)}")
        return [_placed(word, values) for word in self.command]


@dataclass(frozen=True)
class Allowed:
    """The table [commands]."""

    reboot: bool = False
    reboot_command: tuple[str, ...] = ("systemctl", "reboot")
    wait_seconds: float = 50.0
    """How long the hub may hold its answer: shorter than what proxies and routers allow a silent connection."""

    def __post_init__(self) -> None:
        if not 0 <= self.wait_seconds <= LONGEST_WAIT_SECONDS:
            raise ValueError(f"wait_seconds is from 0, to ask every second, to {LONGEST_WAIT_SECONDS}")


@dataclass(frozen=True)
class Askable:
    allowed: Allowed = field(default_factory=Allowed)
    scripts: Mapping[str, Script] = field(default_factory=dict[str, Script])


def load(path: Path) -> Askable:
    """Raises BadInput for a file that cannot be meant."""
    with written.opened(path) as tables:
        allowed = written.fill(Allowed, "[commands]", written.table(tables, "commands"))
        return Askable(allowed, _scripts(written.list_of_tables(tables, "script")))


def _scripts(entries: Sequence[written.Table]) -> dict[str, Script]:
    scripts: dict[str, Script] = {}
    for number, entry in enumerate(entries, 1):
        script = written.fill(Script, f"[[script]] {number}", entry)
        if script.name in scripts:
            raise BadInput(f"there is another script called {script.name}")
        scripts[script.name] = script
    return scripts


def _text(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        raise BadInput(f"{name} must be a text, a number, true or false")
    text = str(value)
    if len(text) > LONGEST_VALUE or not text.isprintable():
        raise BadInput(f"{name} must be one line of at most {LONGEST_VALUE} characters")
    return text


def _placed(word: str, values: Mapping[str, str]) -> str:
    """A value alone in its word must not pass for an option, such as `--output=/etc/passwd`."""
    alone = PLACE.fullmatch(word)
    if alone and (text := values[alone[1]]).startswith("-") and not re.fullmatch(r"-[0-9.]+", text):
        raise BadInput(f"{alone[1]} must not begin with -")
    return PLACE.sub(lambda place: values[place[1]], word)
