"""A home with an owner, an admin, a user, a viewer, and a stranger at the door."""

from dataclasses import dataclass

from waystation import homes
from waystation.homes import Home, Membership, Role
from waystation.homes import store as homes_store
from waystation.identity import Caller, sign_up
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database, Tx

PEOPLE = {"owner": Role.OWNER, "admin": Role.ADMIN, "user": Role.USER, "viewer": Role.VIEWER}


@dataclass
class House:
    database: Database
    clock: ManualClock
    home: Home
    ids: dict[str, int]

    def as_(self, tx: Tx, who: str) -> Membership:
        """With the role that they have by now."""
        person_id = self.ids[who]
        role = homes.role_of(tx, self.home.id, person_id)
        assert role is not None, f"{who} is no member"
        return Membership(self.home.id, self.home.name, role, Caller(f"person:{who}@example.org", person_id=person_id))

    def fresh(self) -> "House":
        """The same people in a home of its own."""
        with self.database.write() as tx:
            home = _home(tx, self.ids, self.clock)
        return House(self.database, self.clock, home, self.ids)

    def role(self, who: str) -> Role | None:
        with self.database.read() as tx:
            return homes.role_of(tx, self.home.id, self.ids[who])


def build(database: Database, clock: ManualClock) -> House:
    with database.write() as tx:
        ids = {who: new_person(tx, who, clock) for who in (*PEOPLE, "stranger")}
        home = _home(tx, ids, clock)
    return House(database, clock, home, ids)


def _home(tx: Tx, ids: dict[str, int], clock: ManualClock) -> Home:
    home = homes_store.add_home(tx, "Lake house", clock.now())
    for who, role in PEOPLE.items():
        homes_store.add_member(tx, home.id, ids[who], clock.now(), role=role)
    return home


def new_person(tx: Tx, who: str, clock: ManualClock) -> int:
    return sign_up(tx, clock.now(), email=f"{who}@example.org", password_hash="", ip=None)
