from dataclasses import dataclass

import pytest

from waystation.identity import service, store
from waystation.identity.account.model import Mine
from waystation.kernel.audit import Actor
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database

PASSWORD = "several unrelated words"


@dataclass
class People:
    ann: Mine
    bob: Mine


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(scope="session")
def password_hash() -> str:
    return service.hash_password(PASSWORD)


@pytest.fixture
def people(database: Database, clock: ManualClock, password_hash: str) -> People:
    """Ann and Bob, each signed in with one browser."""
    return People(*(_person(database, clock, name, password_hash) for name in ("ann", "bob")))


def _person(database: Database, clock: ManualClock, name: str, password_hash: str) -> Mine:
    email = f"{name}@example.org"
    with database.write() as tx:
        made = store.add_person(tx, email=email, name=name, password_hash=password_hash, now=clock.now())
        session = service.open_session(tx, made, clock.now(), ip="192.0.2.1", agent="Mozilla/5.0 (X11) Firefox/140.0")
    return Mine(made, Actor(f"person:{email}", "192.0.2.1"), session_id=session.id)
