"""Log-ins of apps: an access token for a quarter of an hour, and a refresh token that brings the next (RFC 6749)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from waystation.identity import store
from waystation.kernel import audit, outbox, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.jwt import Kind, Tokens
from waystation.kernel.succession import State, Verdict

ACCESS = Kind("at+jwt", "people")
ACCESS_LIFETIME = timedelta(minutes=15)
REFRESH_LIFETIME = timedelta(days=30)
LOST_AFTER = timedelta(minutes=1)  # an answer that nobody has used by then has not arrived


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """`refresh` is shown once; None when the one that was sent stays in force."""

    login_id: int
    person_id: int
    uid: str
    email: str
    refresh: str | None


def log_in(tx: Tx, person_id: int, now: datetime, *, ip: str | None, agent: str | None) -> LoggedIn:
    """For a person who has just proved who they are."""
    person: Any = store.person_by_id(tx, person_id)
    login_id = store.add_login(tx, person_id, now, ip=ip, agent=(agent or "")[:200])
    refresh = secrets.new_secret()
    expires_at = now + REFRESH_LIFETIME
    store.refresh_tokens.start(tx, secrets.digest(refresh), now, expires_at=expires_at, lineage=login_id)
    store.note_sign_in(tx, person_id, now)
    audit.note(tx, Actor(f"person:{person.email}", ip), "logged in", f"login:{login_id}", now=now)
    return LoggedIn(login_id, person_id, person.uid, person.email, refresh)


def access_token(tokens: Tokens, who: LoggedIn, now: datetime, homes: Iterable[str]) -> str:
    """Carries the claims of both generations of the Smart Home contract (section 3)."""
    claims = {"sub": who.uid, "sid": who.login_id, "token_type": "access", "user_id": who.uid, "email": who.email}
    return tokens.make(ACCESS, now, ACCESS_LIFETIME, {**claims, "homes": list(homes)})


def stay(tx: Tx, refresh: str, now: datetime) -> LoggedIn | None:
    """A new access token may be made; the refresh token stays in force. None when it is not good.

    Returning None commits what a stolen token led to; an error would undo it.
    """
    row = store.refresh_tokens.by_digest(tx, secrets.digest(refresh))
    if row is None:
        return None
    return _who(tx, row.lineage, now, store.refresh_tokens.use(tx, row, now), refresh=None)


def renew(tx: Tx, refresh: str, now: datetime, *, again: bool = False) -> LoggedIn | None:
    """As `stay`, with a successor of the refresh token. Asked twice within a minute the second is refused (contract
    section 10), unless the client says by `again` that it repeats itself because the first answer was lost.
    """
    row = store.refresh_tokens.by_digest(tx, secrets.digest(refresh))
    if row is None or (not again and _answered(tx, row, now)):
        return None
    successor = secrets.new_secret()
    expires_at = now + REFRESH_LIFETIME
    verdict = store.refresh_tokens.renew(tx, row, now, secrets.digest(successor), expires_at=expires_at)
    return _who(tx, row.lineage, now, verdict, refresh=successor)


def log_out(tx: Tx, login_id: int, now: datetime) -> bool:
    """Access tokens of the login end as well, at once, and so do its live connections."""
    if not store.end_login(tx, login_id, now):
        return False
    store.refresh_tokens.end(tx, login_id, now)
    outbox.notice(tx, f"login.ended.{login_id}", {}, now)
    return True


def login_of(tx: Tx, refresh: str) -> int | None:
    row = store.refresh_tokens.by_digest(tx, secrets.digest(refresh))
    return None if row is None else row.lineage


def owner(tx: Tx, login_id: int) -> int | None:
    """The person whose log-in it is, while it has not ended."""
    login = store.live_login(tx, login_id)
    return None if login is None else login.person_id


def _answered(tx: Tx, row: Any, now: datetime) -> bool:
    waiting = store.newest_candidate(tx, row.lineage)
    return row.state == State.ACTIVE and waiting is not None and now - waiting < LOST_AFTER


def _who(tx: Tx, login_id: int, now: datetime, verdict: Verdict, *, refresh: str | None) -> LoggedIn | None:
    login = store.live_login(tx, login_id)
    if verdict is Verdict.STOLEN and login is not None:
        log_out(tx, login_id, now)
        who = Actor(f"person:{login.email}")
        audit.note(tx, who, "ended a log-in whose spent token came back", f"login:{login_id}", now=now)
    if not verdict.opens or login is None:
        return None
    store.touch_login(tx, login_id, now)
    return LoggedIn(login_id, login.person_id, login.uid, login.email, refresh)
