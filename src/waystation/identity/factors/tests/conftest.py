import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pyotp import TOTP
from starlette.testclient import TestClient
from tests.browser import chromium, open_window

from waystation import app
from waystation.identity import service, store
from waystation.identity.factors.service import Mine
from waystation.kernel import audit, settings
from waystation.kernel.audit import Actor
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database, metadata
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing

PASSWORD = "several unrelated words"
FORM = {"origin": "http://localhost", "accept": "text/html"}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def keys(tmp_path: Path) -> KeyRing:
    return KeyRing(tmp_path / "keys")


@pytest.fixture
def sealing(keys: KeyRing) -> Sealing:
    return Sealing(keys)


@dataclass
class People:
    ann: Mine
    bob: Mine


@pytest.fixture
def people(database: Database, clock: ManualClock) -> People:
    return People(*(signed_in(database, clock, f"{name}@example.org") for name in ("ann", "bob")))


def signed_in(database: Database, clock: ManualClock, email: str) -> Mine:
    with database.write() as tx:
        made = store.add_person(tx, email=email, name=email, password_hash="", now=clock.now())
        session = service.open_session(tx, made, clock.now(), ip="192.0.2.1", agent="Firefox")
    return Mine(made, Actor(f"person:{email}", "192.0.2.1"), session.id, mails=True)


def notes(database: Database) -> list[str]:
    with database.read() as tx:
        return [f"{row.who}: {row.did} {row.on}" for row in tx.all(audit.audit.select().order_by(audit.audit.c.id))]


class Browser:
    """One browser at one address, with its own cookies; `form_of(page)` is the token of the form on it."""

    def __init__(self, site: "Site", address: str) -> None:
        self.client = TestClient(
            site.app, base_url="http://localhost", follow_redirects=False, client=(address, 50_000), headers=FORM
        )

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, page: str = "", **form: str) -> Any:
        return self.client.post(path, data={"csrf": self.form_of(page) if page else "", **form})

    def form_of(self, page: str) -> str:
        found = re.search(r'name="csrf" value="(\w+)"', self.get(page).text)
        assert found is not None, f"no form on {page}"
        return found[1]

    def sign_in(self, email: str = "ann@example.org", password: str = PASSWORD, **more: str) -> Any:
        return self.post("/signin", email=email, password=password, **more)

    @property
    def is_in(self) -> bool:
        return self.get("/account/security").status_code == 200

    def cookie(self, name: str) -> str:
        return self.client.cookies.get(name, "")

    def plant(self, name: str, value: str) -> None:
        self.client.cookies.set(name, value, domain="localhost.local")  # as the jar names what localhost sets


class Site:
    """A hub that Ann has set up, at a clock that a test turns."""

    def __init__(self, data: Path, clock: ManualClock) -> None:
        wanted, _ = settings.load({"data": data, "mqtt_port": 0, "signin_per_minute": 1000}, {})
        self.clock = clock
        self.app = app.build(wanted, clock).app
        self.database: Database = self.app.state.parts.get(Database)
        self.owner = Browser(self, "192.0.2.1")

    def new_link(self) -> str | None:
        with self.database.write() as tx:
            return service.new_setup_link(tx, self.clock.now())

    def set_up(self) -> None:
        metadata.create_all(self.database.engine)
        link = self.new_link()
        assert self.owner.post(f"/setup/{link}", email="ann@example.org", password=PASSWORD).status_code == 303

    def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(self, address)

    def empty(self) -> None:
        """As before anybody set it up."""
        with self.database.write() as tx:
            tx.execute(store.person.delete())

    @property
    def notes(self) -> list[str]:
        return notes(self.database)

    def second_step(self) -> tuple[TOTP, list[str]]:
        """Ann sets up an app: what it shows, and her recovery codes."""
        offered = self.owner.post("/account/security/app", "/account/security").text
        secret = re.search(r'id="totp-secret"[^>]*><code>([A-Z2-7 ]+)<', offered)
        assert secret is not None
        phone = TOTP(secret[1].replace(" ", ""))
        done = self.owner.post("/account/security/app/confirm", "/account/security", code=self.code(phone))
        codes = re.search(r'id="codes"[^>]*><code>([^<]+)<', done.text)
        assert codes is not None
        return phone, codes[1].split()

    def code(self, phone: TOTP) -> str:
        return phone.at(self.clock.now())


@pytest.fixture(scope="session")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Once for all tests: a data folder, and the cookies of Ann's browser."""
    folder = tmp_path_factory.mktemp("set-up")
    made = Site(folder, ManualClock())
    made.set_up()
    made.database.close()
    return folder, dict(made.owner.client.cookies)


@pytest.fixture
def site(tmp_path: Path, clock: ManualClock, set_up: tuple[Path, dict[str, str]]) -> Iterator[Site]:
    folder, cookies = set_up
    made = Site(Path(shutil.copytree(folder, tmp_path / "hub")), clock)
    made.owner.client.cookies.update(cookies)
    yield made
    made.database.close()


__all__ = ["chromium", "open_window"]
