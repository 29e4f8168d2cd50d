"""Who a person is, and their password. Passwords are checked and hashed outside of transactions."""

from datetime import datetime
from typing import Any

from waystation.identity import service as identity
from waystation.identity import store as people
from waystation.identity.account import letters, store, whereabouts
from waystation.identity.account.model import Mine, NewPassword, Profile, WrongPassword, check_names
from waystation.identity.model import check_email, check_password
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound


def profile(tx: Tx, person_id: int) -> Profile:
    row = person(tx, person_id)
    names = {"name": row.name, "first_name": row.first_name, "last_name": row.last_name}
    has_password = bool(row.password_hash)
    return Profile(uid=row.uid, email=row.email, created_at=row.created_at, has_password=has_password, **names)


def person(tx: Tx, person_id: int) -> Any:
    """The row of somebody who may sign in, else NotFound."""
    row = people.person_by_id(tx, person_id)
    if row is None:
        raise NotFound("this account is gone")
    return row


def change_names(tx: Tx, mine: Mine, now: datetime, *, first_name: str, last_name: str) -> None:
    first_name, last_name = check_names(first_name, last_name)
    row = person(tx, mine.person_id)
    if (first_name, last_name) == (row.first_name, row.last_name):
        return
    name = f"{first_name} {last_name}".strip() or row.email.split("@")[0]
    store.set_names(tx, mine.person_id, first_name=first_name, last_name=last_name, name=name)
    letters.note(tx, mine, now, "changed a name", email=row.email, name=name)


def change_email(tx: Tx, mine: Mine, now: datetime, *, email: str) -> None:
    """For somebody who has just proved who they are. The old address is told of it, and its reset links end."""
    email = check_email(email)
    row = person(tx, mine.person_id)
    if email == row.email:
        return
    taken = people.anybody_called(tx, email)
    if (taken is not None and taken.id != row.id) or not store.set_email(tx, row.id, email):
        raise Conflict("another account here has this e-mail address already")
    store.end_reset_links(tx, row.id)
    words = f"The e-mail address of your account was changed from {row.email} to {email}."
    letters.tell(tx, mine, now, "changed an e-mail address", email=row.email, words=words, to=email)


def prove(password: str, password_hash: str) -> None:
    """WrongPassword unless it fits. Takes 30 ms of processor: outside of transactions."""
    if not password_hash:
        raise WrongPassword("you have no password here yet; choose one first")
    if not identity.password_fits(password, password_hash):
        raise WrongPassword("that is not your password")


def replace_password(row: Any, *, old: str, new: str) -> NewPassword:
    """For a person's row, as `person` gives it. Who has no password yet need not prove one. Outside of transactions."""
    if row.password_hash:
        prove(old, row.password_hash)
        if old == new:
            raise Invalid("that is the password that you have already")
    return first_password(row, new)


def first_password(row: Any, new: str) -> NewPassword:
    """For a person who has proved in another way who they are. Outside of transactions."""
    check_password(new, row.email)
    return NewPassword(before=row.password_hash, after=identity.hash_password(new))


def change_password(
    tx: Tx, mine: Mine, now: datetime, *, password: NewPassword, sign_out_elsewhere: bool = True
) -> None:
    """Reset links end too. Conflict when the password was changed since it was proved."""
    row = person(tx, mine.person_id)
    if not store.set_password(tx, row.id, before=password.before, after=password.after):
        raise Conflict("the password was changed at this very moment; try again")
    store.end_reset_links(tx, row.id)
    if sign_out_elsewhere:
        whereabouts.sign_out_elsewhere(tx, mine, now)
    letters.tell(
        tx, mine, now, "changed a password", email=row.email, words="The password of your account was changed."
    )
