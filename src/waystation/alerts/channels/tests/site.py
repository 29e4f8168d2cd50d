"""A home with channels, a courier that sends on a clock that tests turn, and a receiver that takes what comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from waystation.alerts import channels
from waystation.alerts.channels import sending, store
from waystation.alerts.channels.model import Channel, Delivery, Made
from waystation.alerts.notice import Line, Notice
from waystation.homes.tests.house import House
from waystation.kernel import outbox
from waystation.kernel.audit import Actor
from waystation.kernel.outbox import Courier
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HERE = ("127.0.0.0/8",)
LINE = Line("inc1", "Too warm", "Küche", "abcdefgh", "temp_inside_c", "is above 30", "31.2", "°C", "30", NOON)


@dataclass
class Site:
    house: House
    settings: Settings
    sealing: Sealing

    def with_(self, **changed: Any) -> "Site":
        return replace(self, settings=self.settings.model_copy(update=changed))

    @property
    def actor(self) -> Actor:
        return Actor("person:owner@example.org", home_id=self.house.home.id)

    @property
    def courier(self) -> Courier:
        sender = sending.sender(self.house.database, self.house.clock, self.settings, self.sealing)
        return Courier(self.house.database, self.house.clock, {channels.OUTBOX: sender}, may_send=lambda: True)

    def add(self, kind: str, name: str = "", **given: str) -> Made:
        with self.house.database.write() as tx:
            desk = channels.Desk(self.sealing, self.settings)
            return desk.add(tx, self.actor, self.house.clock.now(), kind=kind, name=name, given=given)

    def put(self, **changed: Any) -> int:
        with self.house.database.write() as tx:
            return channels.put(tx, self.house.clock.now(), self.notice(**changed))

    def notice(self, **changed: Any) -> Notice:
        made = Notice(self.house.home.id, 1, "fired", "High Temperature Alert - Küche", (LINE,), "inc1:1", "critical")
        return replace(made, **changed)

    def send_all(self) -> None:
        while self.courier.deliver():
            pass

    def deliveries(self) -> list[Delivery]:
        with self.house.database.read() as tx:
            return channels.newest_deliveries(tx, self.house.home.id)

    def channel(self, made: Made) -> Channel:
        with self.house.database.read() as tx:
            return channels.find(tx, self.house.home.id, made.channel.id)

    def kept(self, made: Made) -> Any:
        """The channel's row as it lies in the database."""
        with self.house.database.read() as tx:
            return store.by_id(tx, self.house.home.id, made.channel.id)

    def waiting(self) -> list[Any]:
        with self.house.database.read() as tx:
            return list(outbox.waiting(tx, channels.OUTBOX))


def build(house: House, folder: Path) -> Site:
    settings = Settings(data=folder, webhook_private_networks=HERE, public_url="https://hub.example")
    return Site(house, settings, Sealing(KeyRing(folder / "keys")))


@dataclass(frozen=True)
class Taken:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Takes POSTs. `answers` are given first, then 204."""

    port: int = 0
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.taken.append(Taken(self.path, headers, body))
            status, more, answer = receiver.answers.pop(0) if receiver.answers else (204, {}, b"")
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_said: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
