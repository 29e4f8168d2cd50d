"""The model of the server's rules behind real HTTP, and an agent taken apart that reports to it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.tests import relay_model
from agent.tests.conftest import HandTicks

from waystation_agent import identity
from waystation_agent.delivery import Pause
from waystation_agent.folder import Folder
from waystation_agent.identity import IdentityFile
from waystation_agent.junctionrelay.account import Account
from waystation_agent.junctionrelay.relay import Manner, Relay
from waystation_agent.local_hub import LocalHub, Refusal
from waystation_agent.local_hub.wire import Reply, Request, said
from waystation_agent.sampler import Sampler
from waystation_agent.sensors import Value
from waystation_agent.spool import Spool
from waystation_agent.timekeeper import Timekeeper


class RelayServer(LocalHub):
    """`spoken` is every path with what was sent to it; `before_answering` may still prevent an answer."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self.model = relay_model.Server()
        self.clock = clock
        self.spoken: list[tuple[str, dict[str, object]]] = []
        self.before_answering: Callable[[str], None] = lambda _path: None
        super().__init__(path)
        self.wall = clock

    def answer(self, request: Request) -> Reply:
        self.model.now = self.clock()
        path, sent = request.path, json.loads(request.body)
        authorization = request.headers.get("Authorization", "")
        self.spoken.append((path, sent))
        if not path.startswith("/cloud/devices/"):
            raise Refusal(404, "not_found", "There is nothing here.")
        status, found = self.model.call(path, sent, authorization.removeprefix("Bearer "))
        self.before_answering(path)
        if status != 200:
            raise Refusal(status, "refused", str(found["error"]))
        return said(found)

    def paths(self) -> list[str]:
        return [path.rsplit("/", 1)[-1] for path, _ in self.spoken]


@dataclass
class RelayBench:
    """Spool, clocks and relay on one folder, each moved by the test."""

    folder: Folder
    ticks: HandTicks = field(default_factory=HandTicks)
    manner: Manner = field(default_factory=Manner)
    values: dict[str, Value] = field(default_factory=lambda: {"uptime_seconds": 7.0, "porch": "dry"})

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.close()
        self.spool = Spool(self.folder.spool)
        self.timekeeper = Timekeeper(self.ticks)
        self.sampler = Sampler(lambda: self.values, self.spool, self.timekeeper)
        self.relay = Relay(
            self.spool, IdentityFile(self.folder.identity), self.timekeeper, self.manner, luck=lambda: 0.5
        )

    @property
    def account(self) -> Account:
        found = identity.load(self.folder.identity).identity
        assert isinstance(found, Account)
        return found

    def sample(self, times: int = 1, every_seconds: float = 60.0) -> None:
        for _ in range(times):
            self.sampler.take()
            self.ticks.pass_seconds(every_seconds)

    def deliver(self, most_steps: int = 10_000) -> Pause:
        """Step without pausing until the relay would wait."""
        for _ in range(most_steps):
            pause = self.relay.step()
            if pause.seconds > 0:
                return pause
        raise AssertionError("the relay does not come to rest")

    def live(self, hours: float, every_seconds: float = 600.0) -> None:
        for _ in range(int(hours * 3_600 / every_seconds)):
            self.sample(1, every_seconds)
            self.deliver()

    def close(self) -> None:
        if hasattr(self, "spool"):
            self.relay.close()
            self.spool.close()
