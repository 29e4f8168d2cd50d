"""What an identity provider's word is worth in homes: a role in the first one, and invitations to a proven address."""

from datetime import datetime

from waystation.homes import store
from waystation.homes.membership import end
from waystation.homes.model import Role
from waystation.homes.service import the_home
from waystation.identity import AddressProven, RoleFromOutside
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx

PROVIDER = Actor("identity provider")


def follow_provider(tx: Tx, told: RoleFromOutside, now: datetime) -> None:
    home = the_home(tx, now)
    held = store.role_of(tx, home.id, told.person_id)
    role = outcome(held, told)
    if role is held:
        return
    if role is None:
        store.drop_member(tx, home.id, told.person_id)
        end(tx, home.id, told.person_id, now)
    else:
        store.set_role(tx, home.id, told.person_id, now, role=role)
    word = role.word if role else "none"
    audit.note(tx, PROVIDER, "changed a role", f"person:{told.person_id}", now=now, home=home.id, role=word)


def accept_invitations(tx: Tx, told: AddressProven, now: datetime) -> None:
    """All that are open for the address: following the link in the letter would prove no more."""
    for row in store.invitations_to(tx, told.email, now):
        store.lock_home(tx, row.home_id)
        if store.role_of(tx, row.home_id, told.person_id) is None and store.use_invitation(
            tx, row.id, told.person_id, now
        ):
            role = Role.of(row.role)
            store.add_member(tx, row.home_id, told.person_id, now, role=role, granted_by=row.invited_by)
            by = Actor(f"person:{told.email}")
            audit.note(tx, by, "accepted an invitation", f"home:{row.home_id}", now=now, role=role.word)


def outcome(held: Role | None, told: RoleFromOutside) -> Role | None:
    """The role after it was told; None is no member."""
    role = Role[told.role.upper()] if told.role else None
    if held is Role.OWNER:
        return held
    if told.lowers or held is None or role is None:
        return role if told.lowers or held is None else held
    return max(held, role)
