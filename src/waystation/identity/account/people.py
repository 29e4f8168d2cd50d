"""What whoever looks after the site does with somebody's account. Who may is decided by the caller."""

from datetime import datetime

from waystation.identity.account import resets, store, whereabouts
from waystation.identity.account.model import Mine
from waystation.kernel import audit, outbox
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound

reset_link = resets.new_link


def disable(tx: Tx, by: Actor, person_id: int, now: datetime) -> None:
    """Signs them out everywhere and keeps them out; their API tokens sleep. Conflict for oneself."""
    email = _email(tx, person_id)
    if by.who == f"person:{email}":
        raise Conflict("you cannot disable your own account")
    if not store.disable(tx, person_id, now):
        raise Conflict(f"{email} is disabled already")
    sign_out_everywhere(tx, by, person_id, now)
    store.end_reset_links(tx, person_id)
    for token in store.tokens_of(tx, person_id):
        outbox.notice(tx, f"token.ended.{token.id}", {}, now)
    audit.note(tx, by, "disabled an account", f"person:{email}", now=now)


def enable(tx: Tx, by: Actor, person_id: int, now: datetime) -> None:
    """They may sign in again, and API tokens that were not revoked open again what they opened."""
    email = _email(tx, person_id)
    if not store.enable(tx, person_id):
        raise Conflict(f"{email} is not disabled")
    audit.note(tx, by, "enabled an account", f"person:{email}", now=now)


def sign_out_everywhere(tx: Tx, by: Actor, person_id: int, now: datetime) -> int:
    """In how many browsers and apps."""
    _email(tx, person_id)
    return whereabouts.sign_out_elsewhere(tx, Mine(person_id, by), now)


def _email(tx: Tx, person_id: int) -> str:
    row = store.anybody(tx, person_id)
    if row is None:
        raise NotFound("there is no such person")
    return row.email
