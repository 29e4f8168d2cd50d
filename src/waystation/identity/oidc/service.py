"""Who comes back from the provider: a person we know, one whom we may link, one whom we may let in, or nobody."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from waystation.identity.events import AddressProven, RoleFromOutside
from waystation.identity.model import check_email
from waystation.identity.oidc import store
from waystation.identity.oidc.model import Rules, Visitor
from waystation.identity.service import sign_up
from waystation.identity.store import anybody, person_by_id
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Refused

IsInvited = Callable[[Tx, str, datetime], bool]


@dataclass(frozen=True, slots=True)
class Guests:
    """Who has an open invitation, by verified e-mail address; asked of whoever keeps invitations."""

    is_invited: IsInvited


@dataclass(frozen=True, slots=True)
class Visit:
    """A visitor, from where, and the rules of the house."""

    who: Visitor
    rules: Rules
    ip: str | None = None


def arrive(tx: Tx, visit: Visit, now: datetime, *, is_invited: IsInvited) -> int:
    """The person whom the visitor is here, made or linked at the first time; Refused with the reason."""
    who = visit.who
    known = store.known(tx, who.issuer, who.subject)
    if known is not None and known.disabled_at is not None:
        raise Refused("your account here is disabled; ask whoever looks after this site")
    person_id = _first_time(tx, visit, now, is_invited) if known is None else known.person_id
    _follow_groups(tx, visit, now, person_id)
    store.note_use(tx, who.issuer, who.subject, now)
    return person_id


def link(tx: Tx, visit: Visit, now: datetime, *, person_id: int) -> None:
    """Ties the visitor to a person who is signed in and asked for it; again is harmless."""
    known = store.known(tx, visit.who.issuer, visit.who.subject)
    if known is not None and known.person_id != person_id:
        raise Conflict(f"that account at {visit.rules.provider} is linked with somebody else's account here")
    if known is None:
        _link(tx, visit, now, person_id)


def unlink(tx: Tx, by: Actor, now: datetime, *, person_id: int, issuer: str) -> None:
    """Of all the person's accounts at that provider."""
    if not store.has_password(tx, person_id):
        raise Conflict("you have no password here yet; choose one first, or you could not sign in any more")
    if store.unlink(tx, person_id, issuer):
        audit.note(tx, by, "unlinked an account at an identity provider", f"person:{person_id}", now=now, issuer=issuer)


def _first_time(tx: Tx, visit: Visit, now: datetime, is_invited: IsInvited) -> int:
    rules, email = visit.rules, _verified_email(visit)
    same = store.anybody_called(tx, email)
    if same is not None:
        if same.disabled_at is not None or not rules.links_by_email:
            raise Refused(
                f"{email} has an account here that is not linked with {rules.provider}; "
                "sign in to it another way and link it under Your account, How you sign in"
            )
        _link(tx, visit, now, same.id)
        return same.id
    if not anybody(tx):
        raise Refused("this hub has no owner yet; open the set-up link first that it printed when it started")
    if rules.sign_up == "nobody":
        raise Refused(f"{email} has no account here; ask whoever looks after this site for one")
    if rules.sign_up == "invited" and not is_invited(tx, email, now):
        raise Refused(f"{email} has neither an account nor an open invitation here; ask to be invited")
    return _let_in(tx, visit, now, email)


def _verified_email(visit: Visit) -> str:
    who, provider = visit.who, visit.rules.provider
    if not who.email:
        raise Refused(f"{provider} did not say your e-mail address, which is needed at the first sign-in")
    if not who.email_is_verified:
        raise Refused(f"{provider} has not verified your e-mail address {who.email}; confirm it there first")
    return check_email(who.email)


def _let_in(tx: Tx, visit: Visit, now: datetime, email: str) -> int:
    who = visit.who
    names = {"name": who.name or email.partition("@")[0], "first_name": who.first_name, "last_name": who.last_name}
    person_id = sign_up(tx, now, email=email, password_hash="", ip=visit.ip, **names)
    _link(tx, visit, now, person_id)
    tx.tell(AddressProven(person_id, email), now)
    if visit.rules.role:
        tx.tell(RoleFromOutside(person_id, visit.rules.role), now)
    return person_id


def _link(tx: Tx, visit: Visit, now: datetime, person_id: int) -> None:
    who = visit.who
    if not store.link(tx, who.issuer, who.subject, now, person_id=person_id, email=who.email):
        raise Conflict("this account was linked at this very moment; sign in again")
    _note(tx, visit, now, person_id=person_id, did=f"linked an account at {visit.rules.provider}")


def _follow_groups(tx: Tx, visit: Visit, now: datetime, person_id: int) -> None:
    """Being in an administrators' group counts while it lasts; a role that was given here is left alone."""
    who, rules = visit.who, visit.rules
    is_admin = bool(who.groups & rules.admin_groups)
    if store.note_group(tx, who.issuer, who.subject, is_admin=is_admin):
        role = "admin" if is_admin else rules.role
        tx.tell(RoleFromOutside(person_id, role, lowers=not is_admin), now)


def _note(tx: Tx, visit: Visit, now: datetime, *, person_id: int, did: str) -> None:
    row: Any = person_by_id(tx, person_id)
    by = Actor(f"person:{row.email}", visit.ip)
    audit.note(tx, by, did, f"person:{person_id}", now=now, issuer=visit.who.issuer, subject=visit.who.subject)
