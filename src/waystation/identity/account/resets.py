"""One-time links by which somebody who has forgotten their password chooses a new one."""

from datetime import datetime, timedelta
from typing import Any

from waystation.identity import store as people
from waystation.identity.account import letters, service, store
from waystation.identity.account.model import LINK_LIFETIME, MAILED_LINK_LIFETIME, Mine, NewPassword
from waystation.identity.factors import lockout
from waystation.kernel import audit, mail, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import NotFound
from waystation.kernel.secrets import KeyRing

GONE = "this link has been used or has expired; ask for a new one"


def new_link(tx: Tx, by: Actor, person_id: int, now: datetime, *, lasting: timedelta = LINK_LIFETIME) -> str:
    """The link's secret. Earlier links of the person stay good: asking again takes nothing from who has one in hand."""
    row = service.person(tx, person_id)
    secret = secrets.new_secret()
    store.add_reset_link(tx, row.id, secrets.digest(secret), now + lasting)
    audit.note(tx, by, "made a link to choose a new password", f"person:{row.email}", now=now)
    return secret


def mail_link(tx: Tx, by: Actor, now: datetime, *, email: str, site: str) -> None:
    """To the person with that address, if there is one. It writes either way, so that both take as long."""
    row = people.person_by_email(tx, email.strip())
    if row is None or not mail.ADDRESS.fullmatch(row.email):
        audit.note(tx, by, "asked for a new password of no account", "person", now=now)
        return
    secret = new_link(tx, by, row.id, now, lasting=MAILED_LINK_LIFETIME)
    letters.send_reset_link(tx, now, email=row.email, url=f"{site}/reset/{secret}", lasting=MAILED_LINK_LIFETIME)


def whose(tx: Tx, secret: str, now: datetime) -> Any:
    """The row of the person whose password the link may set; NotFound when it is no longer good."""
    row = store.person_of_reset_link(tx, secrets.digest(secret), now)
    if row is None:
        raise NotFound(GONE)
    return row


def use_link(tx: Tx, secret: str, mine: Mine, now: datetime, *, keys: KeyRing, password: NewPassword) -> None:
    """Uses the link up, signs the person out everywhere and forgives the wrong tries that led to it."""
    if whose(tx, secret, now).id != mine.person_id or not store.use_reset_link(tx, secrets.digest(secret), now):
        raise NotFound(GONE)
    service.change_password(tx, mine, now, password=password)
    lockout.forgive(tx, keys, service.person(tx, mine.person_id).email)
