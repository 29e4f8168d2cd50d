"""Links that make a member of whoever opens them: single use, for some days, taken back at any time."""

from datetime import datetime
from html import escape
from typing import Any

from waystation.homes import store
from waystation.homes.model import (
    INVITATION_DAYS,
    Invitation,
    Joined,
    Membership,
    NewInvitation,
    Role,
    check_days,
    check_may_give,
)
from waystation.kernel import audit, mail, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound

MOST_OPEN = 100
GONE = "this invitation has been used, was taken back or has expired; ask for a new one"
MAY = {
    Role.VIEWER: "look at everything",
    Role.USER: "look at everything and control devices",
    Role.ADMIN: "control devices, and manage devices and people",
    Role.OWNER: "do everything, also delete the home",
}


def invite(
    tx: Tx, by: Membership, now: datetime, *, role: Role, email: str = "", days: float = INVITATION_DAYS
) -> NewInvitation:
    """For one person. A new one for the same address ends the one before. The link is the caller's to hand over."""
    check_may_give(by.role, role)
    expires_at = now + check_days(days)
    email = mail.check_address(email) if email.strip() else ""
    if email and store.member_by_email(tx, by.home_id, email) is not None:
        raise Conflict(f"{email} is a member of {by.home_name} already")
    if email:
        store.revoke_invitations_for(tx, by.home_id, email, now)
    if len(store.open_invitations(tx, by.home_id, now)) >= MOST_OPEN:
        raise Conflict(f"there are {MOST_OPEN} open invitations; take some back first")
    secret = secrets.new_secret()
    values = {"digest": secrets.digest(secret), "email": email, "role": role.word, "invited_by": by.user_id}
    number = store.add_invitation(tx, by.home_id, now, expires_at=expires_at, **values)
    on = f"home:{by.home_id}"
    audit.note(tx, by.actor, "invited somebody", on, now=now, email=email, role=role.word, invitation=number)
    return NewInvitation(number, secret, email, role, by.home_name, expires_at)


def post(tx: Tx, made: NewInvitation, now: datetime, link: str, *, inviter: str) -> None:
    """Mails the link to the address that the invitation is for."""
    home, may = made.home_name, MAY[made.role]
    until = f"{made.expires_at:%Y-%m-%d %H:%M} UTC"
    first = f"{inviter} invites you to {home}. There you may {may}."
    last = f"The link works once, until {until}. If you did not expect it, just leave it: nothing happens."
    text = f"{first}\n\nTo join, open:\n\n{link}\n\n{last}\n"
    html = f'<p>{escape(first)}</p><p><a href="{escape(link)}">Join {escape(home)}</a></p><p>{escape(last)}</p>'
    mail.send(tx, now, to=made.email, subject=f"{inviter} invites you to {home}", text=text, html=html)


def invitations(tx: Tx, home_id: int, now: datetime) -> list[Invitation]:
    """Those that can still be used, newest first."""
    return store.open_invitations(tx, home_id, now)


def revoke(tx: Tx, by: Membership, number: int, *, now: datetime) -> None:
    found = store.revoke_invitation(tx, by.home_id, number, now)
    if found is None:
        raise NotFound("that invitation has been used, was taken back or has expired already")
    check_may_give(by.role, found)
    audit.note(tx, by.actor, "took an invitation back", f"home:{by.home_id}", now=now, invitation=number)


def look(tx: Tx, secret: str, now: datetime, *, person_id: int | None = None) -> Any:
    """The invitation's row with its home's name; NotFound when it is not open, except for who has used it."""
    row = store.invitation_by_digest(tx, secrets.digest(secret))
    used_by_me = row is not None and row.used_by is not None and row.used_by == person_id
    if row is None or not (used_by_me or store.is_open(row, now)):
        raise NotFound(GONE)
    return row


def accept(tx: Tx, secret: str, person_id: int, now: datetime, *, by: Actor) -> Joined:
    """Once and for all; again by the same person, or by who is a member already, is harmless and uses nothing up."""
    row = look(tx, secret, now, person_id=person_id)
    store.lock_home(tx, row.home_id)
    held = store.role_of(tx, row.home_id, person_id)
    if held is not None:
        return Joined(row.home_id, row.home_name, held, is_new=False)
    if not store.use_invitation(tx, row.id, person_id, now):
        raise NotFound(GONE)
    role = Role.of(row.role)
    store.add_member(tx, row.home_id, person_id, now, role=role, granted_by=row.invited_by)
    audit.note(tx, by, "accepted an invitation", f"home:{row.home_id}", now=now, invitation=row.id, role=role.word)
    return Joined(row.home_id, row.home_name, role, is_new=True)


def forget(tx: Tx, now: datetime) -> int:
    """A sweep: those that ended a month ago."""
    return store.forget_invitations(tx, now - check_days(30))
