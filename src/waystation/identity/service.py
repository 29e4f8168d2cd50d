"""Set up, sign in, sign out, and API tokens."""

import threading
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from waystation.identity import store
from waystation.identity.events import PersonSetUp
from waystation.identity.model import SETUP_HOURS, NewSession, Person, check_email, check_password
from waystation.kernel import audit, outbox, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound

HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)  # OWASP's argon2id profile; fits a small Pi
HASHES_AT_ONCE = threading.BoundedSemaphore(2)  # the others wait in their threads; memory and processor stay bounded
# What is tried for nobody takes as long as a hash of HASHER's own; to make one at every start would take that long too.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGhhcyBzYWx0Lg$Xna64su7aqyF//NDbDmOGw9BG8s2YwWBPk7f+YxtItc"


def hash_password(password: str) -> str:
    """About 30 ms of processor: call in a thread, outside of transactions."""
    with HASHES_AT_ONCE:
        return HASHER.hash(password)


def password_fits(password: str, password_hash: str | None) -> bool:
    """Takes as long for an unknown person (None) or one without a password ("") as for a wrong password (G-7)."""
    with HASHES_AT_ONCE:
        try:
            return HASHER.verify(password_hash or NOBODY, password) and bool(password_hash)
        except (VerificationError, InvalidHashError):
            return False


def new_setup_link(tx: Tx, now: datetime) -> str | None:
    """The secret of a fresh one-time link, earlier ones end; None when somebody has set the hub up already."""
    if store.anybody(tx):
        return None
    secret = secrets.new_secret()
    store.replace_setup_link(tx, secrets.digest(secret), now + timedelta(hours=SETUP_HOURS))
    return secret


def setup_is_open(tx: Tx, secret: str, now: datetime) -> bool:
    return not store.anybody(tx) and store.setup_link_is_good(tx, secrets.digest(secret), now)


def check_account(email: str, password: str) -> str:
    """The address as stored, or Invalid with what to change."""
    email = check_email(email)
    check_password(password, email)
    return email


def set_up(tx: Tx, secret: str, now: datetime, *, email: str, password_hash: str) -> Person:
    """The first person, for the one-time link that is used up by it."""
    if store.anybody(tx) or not store.use_setup_link(tx, secrets.digest(secret), now):
        raise NotFound("this set-up link has been used or has expired; start the hub again for a new one")
    name = email.split("@", maxsplit=1)[0]
    person_id = store.add_person(tx, email=email, name=name, password_hash=password_hash, now=now)
    store.make_operator(tx, person_id)
    audit.note(tx, Actor(f"person:{email}"), "set up the hub", "hub", now=now)
    tx.tell(PersonSetUp(person_id), now)
    return Person(person_id, email, name, now)


def sign_up(tx: Tx, now: datetime, *, email: str, password_hash: str, ip: str | None, **names: str) -> int:
    """A new person's id, for a checked address; Conflict when somebody has it. An empty hash fits no password.

    `names` may hold name, first_name, last_name and username.
    """
    names = {"name": email.partition("@")[0], **names}
    person_id = store.new_person(tx, email=email, password_hash=password_hash, now=now, **names)
    if person_id is None:
        raise Conflict("there is an account with this e-mail address already; sign in with it")
    audit.note(tx, Actor(f"person:{email}", ip), "signed up", f"person:{email}", now=now)
    return person_id


def open_session(tx: Tx, person_id: int, now: datetime, *, ip: str | None, agent: str | None) -> NewSession:
    secret = secrets.new_secret()
    session_id = store.add_session(tx, person_id, secrets.digest(secret), now, ip=ip, agent=(agent or "")[:200])
    return NewSession(session_id, secret)


def end_session(tx: Tx, session_id: int, now: datetime) -> bool:
    """Live pages of the session end at once. False when it had ended already."""
    ended = store.end_session(tx, session_id)
    if ended:
        outbox.notice(tx, f"session.ended.{session_id}", {}, now)
    return ended


def new_token(tx: Tx, by: Actor, now: datetime, *, name: str, role: str = "admin", days: int | None = None) -> str:
    """The token's text, shown once: `ws_` and 43 characters."""
    text = f"ws_{secrets.new_secret()}"
    expires_at = None if days is None else now + timedelta(days=days)
    store.add_token(tx, now, name=name, digest=secrets.digest(text), role=role, expires_at=expires_at)
    audit.note(tx, by, "created an API token", f"token:{name}", now=now, role=role)
    return text


def revoke_token(tx: Tx, by: Actor, now: datetime, token_id: int) -> None:
    if not store.revoke_token(tx, token_id, now):
        raise NotFound(f"there is no live API token {token_id}")
    audit.note(tx, by, "revoked an API token", f"token:{token_id}", now=now)
    outbox.notice(tx, f"token.ended.{token_id}", {}, now)
