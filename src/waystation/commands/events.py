"""What commands tell their siblings, inside the transaction in which it happens."""

from dataclasses import dataclass

from waystation.commands.model import Command


@dataclass(frozen=True, slots=True)
class CommandQueued:
    """Something waits for these devices of one home, now or from its `not_before` on."""

    home_id: int
    device_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CommandMoved:
    """A command is in another state than before: handed out, running, or at its end."""

    command: Command


@dataclass(frozen=True, slots=True)
class CommandFinished:
    """A command has come to its end; its state and reason say which."""

    command: Command
