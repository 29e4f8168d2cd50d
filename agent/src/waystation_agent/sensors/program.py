"""Runs a program and takes what it prints; a program that hangs or floods is ended."""

from dataclasses import dataclass

from waystation_agent import programs
from waystation_agent.sensors import Unreadable, Values
from waystation_agent.sensors.values import parse

MOST_BYTES = 65_536
SAID_CHARACTERS = 200


@dataclass
class Exec:
    """What a program prints: a number (as `metric`), a JSON object or name=value lines. It runs without a shell."""

    command: tuple[str, ...]
    metric: str = "value"
    timeout_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not self.command:
            raise ValueError('command is a list: command = ["/usr/local/bin/rain", "--json"]')
        if not 0 < self.timeout_seconds <= 3600:
            raise ValueError("timeout_seconds is more than 0 and at most 3600")

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(word for word in self.command if word.startswith("/"))

    def read(self) -> Values:
        status, said, complained = run(self.command, self.timeout_seconds)
        if status:
            why = (complained.strip() or said.strip())[-SAID_CHARACTERS:]
            raise Unreadable(f"{self.command[0]} {programs.Ended(status, ()).how()}{f': {why}' if why else ''}")
        try:
            return parse(said, self.metric)
        except Unreadable as fault:
            raise Unreadable(f"output of {self.command[0]}: {fault}", fault.values) from fault


def run(command: tuple[str, ...], timeout_seconds: float) -> tuple[int, str, str]:
    """Return exit code (negative for a signal), output and complaints. Raises Unreadable where there are none."""
    try:
        ended = programs.ask(command, timeout_seconds, most_bytes=MOST_BYTES)
    except programs.NotRun as error:
        raise Unreadable(str(error)) from error
    said, complained = (output.decode(errors="replace") for output in ended.outputs)
    return ended.status, said, complained
