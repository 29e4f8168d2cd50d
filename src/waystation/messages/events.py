"""What messages tell their siblings, inside the transaction in which they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass

from waystation.messages.model import Message


@dataclass(frozen=True, slots=True)
class MessageWritten:
    """A new line of severity warning or worse. Of repeats that were folded only the first is told."""

    message: Message


@dataclass(frozen=True, slots=True)
class Logged:
    """Once for each home and transaction: the newest number, and the rows whose count rose."""

    home_id: int
    newest: int
    repeated: Sequence[Message]
