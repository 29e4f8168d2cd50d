"""The agent's own log lines, as messages: what its owner should see on the hub's page without going to the machine."""

import logging
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from waystation_agent import written
from waystation_agent.errors import BadInput
from waystation_agent.logs import LOG, SecretlessFormatter
from waystation_agent.messages.outbox import LONGEST_CONTENT, Line, Outbox

TYPE = "agent"
OFF = "off"
LEVELS = ("info", "warning", "error", OFF)


@dataclass(frozen=True)
class Telling:
    """The table [messages]: from which level on the agent's own lines are sent."""

    own: str = "warning"

    def __post_init__(self) -> None:
        if self.own not in LEVELS:
            raise ValueError(f"own is one of {', '.join(LEVELS)}")


def load(path: Path) -> Telling:
    """Raises BadInput for a file that cannot be meant."""
    with written.opened(path) as tables:
        return written.fill(Telling, "[messages]", written.table(tables, "messages"))


def tell(outbox: Path, telling: Telling) -> None:
    """From now on."""
    if telling.own != OFF:
        LOG.addHandler(_ToOutbox(outbox, telling.own.upper()))


class _ToOutbox(logging.Handler):
    """What cannot be put there, on a full disk, still stands in the log."""

    def __init__(self, outbox: Path, level: str) -> None:
        super().__init__(level)
        self._outbox = outbox
        self.setFormatter(SecretlessFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "stays_here", False):
            return
        with suppress(sqlite3.Error, OSError, BadInput), closing(Outbox(self._outbox)) as outbox:
            outbox.put(Line(self.format(record)[:LONGEST_CONTENT], record.levelname.lower(), TYPE))
