"""For other programs on this machine: give the agent a value to report, a file to send or words to pass on, or pair it.

All only write to the agent's folder, and it need not be running: what it is given, it takes up at its next sample.
The words `add_sensor` and `set_token` are those of the JunctionRelay Python client (JR-A26).
"""

import math
import os
from contextlib import closing
from pathlib import Path

from waystation_agent import uploads
from waystation_agent.errors import BadInput
from waystation_agent.folder import Folder, default_folder
from waystation_agent.journal import Journal
from waystation_agent.link import Server
from waystation_agent.messages.outbox import Line, Outbox
from waystation_agent.pairing import begin, parse
from waystation_agent.sensors import Value
from waystation_agent.sensors.values import LONGEST_TEXT, METRIC
from waystation_agent.spool import Spool

__all__ = ["BadInput", "add_sensor", "say", "set_token", "upload"]


def add_sensor(key: str, value: Value, folder: Path | None = None) -> None:
    """Put a value into the next sample, and into that one alone; given again before it, the last value counts.

    When this returns, the value is on disk. Raises BadInput for what a server would not take.
    """
    if not METRIC.fullmatch(key):
        raise BadInput(f"{key[:80]!r} cannot name a value: letters, digits and _ . : - only, at most 64")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise BadInput(f"the text of {key} is longer than {LONGEST_TEXT} characters")
    if not isinstance(value, str) and not math.isfinite(value):
        raise BadInput(f"{key} is not a finite number")
    chosen = _chosen(folder)
    with closing(Spool(chosen.spool)) as spool:
        spool.give(key, value)


def upload(path: Path, name: str | None = None, folder: Path | None = None) -> int:
    """Queue a file for the hub, and return its number in the queue. It must stay as it is until it has been sent.

    When this returns, the agent sends it whatever happens to either. Raises BadInput for what is no file.
    """
    with closing(Journal(_chosen(folder).journal)) as journal:
        return uploads.queue(journal, path, name or "")


def say(content: str, severity: str = "info", folder: Path | None = None, *, type: str = "log") -> None:  # noqa: A002
    """Write a message for the hub; `severity` is debug, info, warning, error or critical.

    When this returns, it is on disk with its time. Raises BadInput for what no hub takes.
    """
    line = Line(content, severity, type)
    with closing(Outbox(_chosen(folder).messages)) as outbox:
        outbox.put(line)


def set_token(text: str, server: str | None = None, folder: Path | None = None, *, ca_file: str | None = None) -> None:
    """Begin a pairing from a registration line, or a hub's code or JSON; the running agent finishes it.

    Raises BadInput if the text cannot be used; nothing is changed then. An older pairing lasts until the new is done.
    """
    invitation = parse(text, server)
    begin(_chosen(folder).identity, invitation, Server(invitation.server, ca_file))


def _chosen(folder: Path | None) -> Folder:
    chosen = Folder(folder) if folder else default_folder(os.environ)
    chosen.make()
    return chosen
