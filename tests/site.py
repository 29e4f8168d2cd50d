"""The whole program in this process, on a clock that tests turn, with people in every role and devices of two homes."""

import asyncio
import contextlib
import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from sqlalchemy import event
from starlette.testclient import TestClient
from starlette.types import Message

from waystation import app, devices, homes, identity
from waystation.devices import renewal
from waystation.homes import Role
from waystation.homes import store as home_rows
from waystation.identity import logins
from waystation.identity import store as people
from waystation.kernel import migrations, settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database, sqlite_url
from waystation.kernel.jobs import Sweeper
from waystation.kernel.jwt import Tokens
from waystation.kernel.pages import token_for
from waystation.kernel.secrets import KeyRing, digest
from waystation.operation.map import WEBSOCKET

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADDRESS = ("192.0.2.7", 40000)
NO_PASSWORD = ""
LIFETIMES = renewal.Lifetimes(timedelta(hours=8), timedelta(days=7))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class Somebody:
    """A person with an app's log-in and a browser's session."""

    id: int
    uid: str
    email: str
    authorization: str
    refresh: str
    session: str
    form_token: str

    @property
    def browser(self) -> dict[str, str]:
        """What their browser sends with a form of ours."""
        return {"cookie": f"sessionid={self.session}", "x-csrftoken": self.form_token, "sec-fetch-site": "same-origin"}


@dataclass(frozen=True, slots=True)
class Thing:
    """A device with its API key."""

    id: int
    key: str
    serial: str
    api_key: str
    credential_id: int
    access_token: str

    @property
    def authorization(self) -> str:
        return f"Device {self.serial}:{self.api_key}"


class Site:
    """Made with `standing_site`; `clock` stands until it is turned."""

    def __init__(self, client: TestClient, hot: Any, clock: ManualClock) -> None:
        self.client = client
        self.hot = hot
        self.parts = hot.parts
        self.clock = clock
        self.database: Database = self.parts.get(Database)
        self._numbers = iter(range(1, 1_000_000))

    def home(self, name: str = "Lake house") -> homes.Home:
        with self.database.write() as tx:
            return home_rows.add_home(tx, name, self.clock.now())

    def somebody(self, home: homes.Home | None = None, role: Role = Role.OWNER, email: str = "") -> Somebody:
        """With a role in the home, or without any home. No password: they have a log-in already."""
        email = email or f"person{next(self._numbers)}@example.org"
        now = self.clock.now()
        with self.database.write() as tx:
            person_id = people.add_person(tx, email=email, name=email, password_hash=NO_PASSWORD, now=now)
            if home is not None:
                home_rows.add_member(tx, home.id, person_id, now, role=role)
            who = logins.log_in(tx, person_id, now, ip=None, agent="tests")
            session = identity.open_session(tx, person_id, now, ip=None, agent="tests").secret
        access = logins.access_token(self.parts.get(Tokens), who, now, [])
        form_token = token_for(self.parts.get(KeyRing).get("forms"), digest(session))
        return Somebody(person_id, who.uid, email, f"Bearer {access}", str(who.refresh), session, form_token)

    def operator(self) -> Somebody:
        """Runs the site and has a home of their own."""
        found = self.somebody(self.home("Operator's home"))
        with self.database.write() as tx:
            people.make_operator(tx, found.id)
        return found

    def device(self, home: homes.Home, name: str = "Porch") -> Thing:
        with self.database.write() as tx:
            made = devices.register(tx, COMMAND_LINE, home.id, self.clock.now(), name=name)
            found = devices.find(tx, home.id, made.key)
            credential = devices.credentials(tx, found.id)[0]
            pair = renewal.sign_on(tx, self.parts.get(Tokens), found, self.clock.now(), lifetimes=LIFETIMES)
        return Thing(found.id, made.key, made.serial, made.api_key, credential.id, pair.access)

    def ask(self, method: str, path: str, authorization: str = "", body: bytes | Any = b"", **headers: str) -> Answer:
        """Through the front door. Of an answer that has no end only the head is waited for."""
        named = {"host": "hub", "accept": "application/json", **headers}
        if authorization:
            named["authorization"] = authorization
        if not isinstance(body, bytes):
            body = msgspec.json.encode(body)
        if body:
            is_json = body[:1] in b'[{"'
            named.setdefault("content-type", "application/json" if is_json else "application/x-www-form-urlencoded")
        assert self.client.portal is not None
        if method == WEBSOCKET:
            return self.client.portal.call(self._knock, path, named)
        return self.client.portal.call(self._ask, method, path, named, body)

    async def _knock(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Opens a WebSocket and hangs up: 101 when it was accepted."""
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ADDRESS,
            "server": ("hub", 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "state": {},
        }
        given: list[Message] = [{"type": "websocket.disconnect", "code": 1000}, {"type": "websocket.connect"}]
        sent: list[Message] = []

        async def receive() -> Message:
            return given.pop()

        async def send(message: Message) -> None:
            sent.append(message)

        await self.hot(scope, receive, send)
        if sent[0]["type"] != "websocket.http.response.start":
            return Answer(101 if sent[0]["type"] == "websocket.accept" else 403, {}, b"")
        told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], told, b"".join(message.get("body", b"") for message in sent[1:]))

    async def _ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        bare, _, query = path.partition("?")
        named = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": bare,
            "raw_path": bare.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [*named, (b"content-length", str(len(body)).encode())],
            "client": ADDRESS,
            "server": ("hub", 80),
            "state": {},
        }
        sent: list[Message] = []
        heads = asyncio.Event()
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if given:
                return given.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)
            endless = b"text/event-stream" in dict(sent[0].get("headers", ())).get(b"content-type", b"")
            if endless or (message["type"] == "http.response.body" and not message.get("more_body")):
                heads.set()

        running = asyncio.ensure_future(self.hot(scope, receive, send))
        done = asyncio.ensure_future(heads.wait())
        await asyncio.wait({running, done}, return_when=asyncio.FIRST_COMPLETED)
        for task in (running, done):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        told = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], told, b"".join(message.get("body", b"") for message in sent[1:]))


def _forget_power_cuts(connection: Any, _record: Any) -> None:
    """Durability is tried elsewhere, on the real program."""
    connection.execute("PRAGMA synchronous=OFF")


@functools.cache
def _newest() -> bytes:
    """An empty database that every migration has been through; a third of a second, so once in a process."""
    with TemporaryDirectory() as folder:
        database = Database(sqlite_url(Path(folder) / "new.db"))
        migrations.bring_up_to_date(database, app.PACKAGE)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
        database.close()
        return (Path(folder) / "new.db").read_bytes()


def lay_down_database(data: Path) -> None:
    """What a first start makes in the data folder, without its time; what there is stays."""
    data.mkdir(parents=True, exist_ok=True)
    if not (data / "waystation.db").exists():
        (data / "waystation.db").write_bytes(_newest())


@contextlib.contextmanager
def standing_site(folder: Path, **chosen: Any) -> Iterator[Site]:
    """It sweeps when a test says so: by itself it would come between two of their lines."""
    loaded, _ = settings.load({"data": folder, "mqtt_port": 0, "many_homes": True, **chosen}, {})
    lay_down_database(folder)
    clock = ManualClock(NOON)
    hot = app.build(loaded, clock)
    hot.parts.get(Sweeper).jobs = ()
    if loaded.is_sqlite:
        event.listen(hot.parts.get(Database).engine, "connect", _forget_power_cuts)
    with TestClient(hot.app, base_url="http://hub", follow_redirects=False) as client:
        yield Site(client, hot, clock)
