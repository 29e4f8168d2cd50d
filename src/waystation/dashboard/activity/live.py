"""A word to open pages whenever the list has changed: they read it anew, so nothing is told twice or forgotten."""

from collections.abc import Sequence

from waystation.dashboard.activity import sources
from waystation.dashboard.activity.model import ON_A_PAGE
from waystation.dashboard.activity.sources import Asked
from waystation.kernel.db import Database
from waystation.kernel.parts import Parts
from waystation.kernel.streams import EventStream, event


class Changes(EventStream):
    """The event `changed` with the mark of the newest page: at the beginning, and whenever that is another one."""

    look_seconds = 5.0  # what tells nobody, such as a changed role, is found by then

    def __init__(self, parts: Parts, asked: Asked, *, ended_by: Sequence[str]) -> None:
        told = [f"{what}.{asked.home_id}" for what in ("messages", "package")]
        told += [f"{what}.{asked.home_id}.*" for what in ("devices", "commands", "files", "packages")]
        super().__init__(parts, woken_by=told, ended_by=ended_by)
        self._database = parts.get(Database)
        self._asked = asked
        self._told = ""

    def news(self, notices: Sequence[bytes]) -> bytes:  # noqa: ARG002
        with self._database.read() as tx:
            now = sources.read(tx, self._asked, {}, ON_A_PAGE).mark
        before, self._told = self._told, now
        return event("changed", now).encode() if before != now else b""
