"""Who belongs to a home, and as what. An owner is made and unmade by owners; the last one stays (SH-4)."""

from datetime import datetime

from waystation.homes import store
from waystation.homes.model import Member, Membership, Role, check_may_give, membership_ended
from waystation.identity import person_by_id
from waystation.kernel import audit, outbox
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound, Refused

LAST_OWNER = "a home needs an owner; make somebody else an owner first"


def members(tx: Tx, home_id: int) -> list[Member]:
    """Owners first, then by name."""
    return store.members(tx, home_id)


def find(tx: Tx, home_id: int, person_id: int) -> Member:
    found = store.member_by_id(tx, home_id, person_id)
    if found is None:
        raise NotFound("there is no such member in this home")
    return found


def grant(tx: Tx, by: Membership, person_id: int, role: Role, *, now: datetime) -> Member:
    """Makes a person a member; Conflict when they are one already, whatever the role."""
    check_may_give(by.role, role)
    store.lock_home(tx, by.home_id)
    person = person_by_id(tx, person_id)
    if person is None:
        raise NotFound("there is no such person")
    if store.role_of(tx, by.home_id, person_id) is not None:
        raise Conflict(f"{person.email} is a member of {by.home_name} already")
    store.add_member(tx, by.home_id, person_id, now, role=role, granted_by=by.user_id)
    audit.note(tx, by.actor, "added a member", f"person:{person.email}", now=now, home=by.home_id, role=role.word)
    return find(tx, by.home_id, person_id)


def change_role(tx: Tx, by: Membership, person_id: int, role: Role, *, now: datetime) -> Member:
    """It counts from the next request on, also for those who are connected."""
    store.lock_home(tx, by.home_id)
    found = find(tx, by.home_id, person_id)
    check_may_give(by.role, max(role, found.role))
    if role is found.role:
        return found
    if is_last_owner(tx, by.home_id, found):
        raise Conflict(LAST_OWNER)
    if not store.change_role(tx, by.home_id, person_id, before=found.role, after=role):
        raise Conflict(f"the role of {found.email} was changed at this very moment; look again")
    if not role.may_manage:
        store.revoke_invitations_by(tx, by.home_id, person_id, now)
    words = {"role": role.word, "before": found.role.word}
    audit.note(tx, by.actor, "changed a role", f"person:{found.email}", now=now, home=by.home_id, **words)
    return find(tx, by.home_id, person_id)


def remove(tx: Tx, by: Membership, person_id: int, *, now: datetime) -> None:
    """Their open pages of this home end at once, and so do invitations that they made."""
    store.lock_home(tx, by.home_id)
    found = find(tx, by.home_id, person_id)
    check_may_give(by.role, found.role)
    _drop(tx, by, found, now)
    audit.note(tx, by.actor, "removed a member", f"person:{found.email}", now=now, home=by.home_id)


def leave(tx: Tx, by: Membership, *, now: datetime) -> None:
    if by.user_id is None or by.caller.token_id is not None:
        raise Refused("only a person can leave a home, not an API token")
    store.lock_home(tx, by.home_id)
    found = find(tx, by.home_id, by.user_id)
    _drop(tx, by, found, now)
    audit.note(tx, by.actor, "left a home", f"home:{by.home_id}", now=now)


def is_last_owner(tx: Tx, home_id: int, found: Member) -> bool:
    return found.role is Role.OWNER and not store.other_owners(tx, home_id, found.person_id)


def end(tx: Tx, home_id: int, person_id: int, now: datetime) -> None:
    """Whatever a person had open of a home that they no longer belong to."""
    store.revoke_invitations_by(tx, home_id, person_id, now)
    outbox.notice(tx, membership_ended(home_id, person_id), {}, now)


def _drop(tx: Tx, by: Membership, found: Member, now: datetime) -> None:
    if is_last_owner(tx, by.home_id, found):
        raise Conflict(LAST_OWNER)
    store.drop_member(tx, by.home_id, found.person_id)
    end(tx, by.home_id, found.person_id, now)
