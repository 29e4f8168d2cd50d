"""Homes: a hub has exactly one, made at set-up; a cloud has those that people make."""

from datetime import datetime

from waystation import identity
from waystation.homes import store
from waystation.homes.events import HomeDeleted
from waystation.homes.model import Home, Membership, Role, check_home_name, home_ended
from waystation.identity import Caller, PersonSetUp
from waystation.kernel import audit, outbox
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, Refused

FIRST_NAME = "Home"
MOST_HOMES = 100


def the_home(tx: Tx, now: datetime) -> Home:
    """The hub's home; the first call makes it."""
    return store.first_home(tx) or store.add_home(tx, FIRST_NAME, now)


def own_the_home(tx: Tx, told: PersonSetUp, now: datetime) -> None:
    """Whoever set the hub up owns its home."""
    store.add_member(tx, the_home(tx, now).id, told.person_id, now, role=Role.OWNER)


def owners_addresses(tx: Tx, home_id: int) -> list[str]:
    """E-mail addresses of those who own the home and may sign in."""
    found = [identity.person_by_id(tx, person_id) for person_id in store.people_with(tx, home_id, Role.OWNER)]
    return [person.email for person in found if person is not None]


def create(tx: Tx, by: Caller, now: datetime, *, name: str, many: bool) -> Home:
    """Its maker owns it. Refused where `many` (the setting many_homes) is off."""
    if not many:
        raise Refused("this hub has one home, and no others can be made on it")
    if by.person_id is None:
        raise Refused("only a person can make a home, because somebody must own it")
    name = check_home_name(name)
    if len(store.homes_of(tx, by.person_id)) >= MOST_HOMES:
        raise Conflict(f"you are in {MOST_HOMES} homes already; leave one first")
    home = store.add_home(tx, name, now)
    store.add_member(tx, home.id, by.person_id, now, role=Role.OWNER)
    audit.note(tx, by.actor, "made a home", f"home:{home.id}", now=now, name=name)
    return home


def rename(tx: Tx, by: Membership, now: datetime, *, name: str) -> None:
    _check(by, Role.ADMIN)
    name = check_home_name(name)
    store.rename_home(tx, by.home_id, name)
    audit.note(tx, by.actor, "renamed a home", f"home:{by.home_id}", now=now, name=name, before=by.home_name)


def delete(tx: Tx, by: Membership, now: datetime, *, typed_name: str, many: bool) -> None:
    """With its devices and all their data, for good; the person types its name to say that this one is meant."""
    _check(by, Role.OWNER)
    if not many:
        raise Refused("this hub's only home cannot be deleted")
    if typed_name.strip() != by.home_name:
        raise Invalid(f"type the home's name, {by.home_name}, to delete it")
    tx.tell(HomeDeleted(by.home_id, by.actor), now)
    store.delete_home(tx, by.home_id)
    audit.note(tx, by.actor, "deleted a home", f"home:{by.home_id}", now=now, name=by.home_name)
    outbox.notice(tx, home_ended(by.home_id), {}, now)


def _check(by: Membership, least: Role) -> None:
    if by.role < least:
        raise Refused(f"this needs the role {least.word}; yours is {by.role.word}")
