"""API tokens that people make for their own programs."""

from datetime import datetime, timedelta

from waystation.identity import store as identity
from waystation.identity.account import letters, store
from waystation.identity.account.model import MOST_TOKENS, Mine, NewToken, Token, check_token_name
from waystation.identity.account.service import person
from waystation.kernel import audit, outbox, secrets
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound

PREFIX = "ws_"
SHOWN = len(PREFIX) + 4


def tokens(tx: Tx, person_id: int, now: datetime) -> list[Token]:
    """Expired ones too, until they are removed; newest first."""
    return [
        Token(
            id=row.id,
            name=row.name,
            hint=row.hint or "",
            role=row.role,
            home_id=row.home_id,
            created_at=row.created_at,
            expires_at=row.expires_at,
            used_at=row.used_at,
            has_expired=row.expires_at is not None and row.expires_at <= now,
        )
        for row in store.tokens_of(tx, person_id)
    ]


def make_token(tx: Tx, mine: Mine, now: datetime, wanted: NewToken) -> str:
    """The token's text, shown once. What it opens is decided at each call: its scope, and never more than its person
    may at that moment.
    """
    name = check_token_name(wanted.name)
    row = person(tx, mine.person_id)
    if len(store.tokens_of(tx, row.id)) >= MOST_TOKENS:
        raise Conflict(f"you have {MOST_TOKENS} API tokens already; revoke one that you no longer need")
    text = PREFIX + secrets.new_secret()
    expires_at = None if wanted.days is None else now + timedelta(days=wanted.days)
    limits = {"role": wanted.scope.role, "expires_at": expires_at, "home_id": wanted.home_id}
    whose = {"person_id": row.id, "name": name, "hint": f"{text[:SHOWN]}…"}
    identity.add_token(tx, now, digest=secrets.digest(text), **whose, **limits)
    words = f"The API token “{name}” was made for your account."
    letters.tell(tx, mine, now, "made an API token", email=row.email, words=words, name=name, scope=wanted.scope)
    return text


def revoke_token(tx: Tx, mine: Mine, now: datetime, token_id: int) -> str:
    """At once, with what it keeps open. The token's name."""
    name = store.revoke_token_of(tx, mine.person_id, token_id, now)
    if name is None:
        raise NotFound("that API token is revoked already")
    audit.note(tx, mine.by, "revoked an API token", f"token:{token_id}", now=now, name=name)
    outbox.notice(tx, f"token.ended.{token_id}", {}, now)
    return name
