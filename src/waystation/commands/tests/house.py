"""The whole program in this process with one device, a person who sends it commands, and what it asks."""

from concurrent.futures import Future
from typing import Any

from tests.site import Answer, Site, Thing

from waystation import commands
from waystation.commands import Command, NewCommand
from waystation.commands.tests.site import OWNER

NEXT, OUTCOME = "/api/commands/next", "/api/commands/outcome"


class House:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.home = site.home()
        self.porch = site.device(self.home)

    def send(self, name: str = "ping", device: Thing | None = None, **wanted: Any) -> Command:
        asked = NewCommand(name, **wanted)
        with self.site.database.write() as tx:
            to = (device or self.porch).id
            return commands.send(tx, OWNER, to, self.site.clock.now(), home_id=self.home.id, wanted=asked)

    def poll(self, query: str = "", device: Thing | None = None) -> Any:
        answer = self.site.ask("GET", NEXT + query, (device or self.porch).authorization)
        assert answer.status == 200, answer.body
        return answer.json["command"]

    def begin_poll(self, seconds: float = 60) -> "Future[Answer]":
        portal = self.site.client.portal
        assert portal is not None
        named = {"authorization": self.porch.authorization}
        return portal.start_task_soon(self.site._ask, "GET", f"{NEXT}?wait={seconds}", named, b"")

    def say(self, body: Any, device: Thing | None = None) -> Answer:
        return self.site.ask("POST", OUTCOME, (device or self.porch).authorization, body)

    def seen(self, command: Command) -> Command:
        with self.site.database.read() as tx:
            return commands.find(tx, self.home.id, command.uid)
