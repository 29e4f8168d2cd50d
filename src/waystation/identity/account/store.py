"""The table of reset links, and the statements by which an account is seen and changed."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from waystation.identity.store import api_token, login, person, session
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

reset_link = sa.Table(
    "reset_link",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Index("reset_link_person", "person_id"),
)


def anybody(tx: Tx, person_id: int) -> sa.Row[Any] | None:
    """The person, also a disabled one."""
    return tx.first(person.select().where(person.c.id == person_id))


def set_names(tx: Tx, person_id: int, *, first_name: str, last_name: str, name: str) -> None:
    names = {"first_name": first_name, "last_name": last_name, "name": name}
    tx.execute(person.update().where(person.c.id == person_id).values(**names))


def set_email(tx: Tx, person_id: int, email: str) -> bool:
    """Whether it was nobody else's address."""
    try:
        with tx.connection.begin_nested():
            return tx.changed(person.update().where(person.c.id == person_id).values(email=email))
    except IntegrityError:
        return False


def set_password(tx: Tx, person_id: int, *, before: str, after: str) -> bool:
    """Whether the hash was still `before`."""
    mine = person.update().where(person.c.id == person_id, person.c.password_hash == before)
    return tx.changed(mine.values(password_hash=after))


def disable(tx: Tx, person_id: int, now: datetime) -> bool:
    able = person.update().where(person.c.id == person_id, person.c.disabled_at.is_(None))
    return tx.changed(able.values(disabled_at=now))


def enable(tx: Tx, person_id: int) -> bool:
    disabled = person.update().where(person.c.id == person_id, person.c.disabled_at.is_not(None))
    return tx.changed(disabled.values(disabled_at=None))


def sessions(tx: Tx, person_id: int, seen_since: datetime) -> list[sa.Row[Any]]:
    """The last used first."""
    live = session.select().where(session.c.person_id == person_id, session.c.seen_at > seen_since)
    return list(tx.all(live.order_by(session.c.seen_at.desc(), session.c.id.desc())))


def session_ids(tx: Tx, person_id: int) -> list[int]:
    return [row.id for row in tx.all(sa.select(session.c.id).where(session.c.person_id == person_id))]


def owner_of_session(tx: Tx, session_id: int) -> int | None:
    return tx.scalar(sa.select(session.c.person_id).where(session.c.id == session_id))


def owner_of_login(tx: Tx, login_id: int) -> int | None:
    return tx.scalar(sa.select(login.c.person_id).where(login.c.id == login_id))


def tokens_of(tx: Tx, person_id: int) -> list[sa.Row[Any]]:
    """Those not revoked, expired ones too; newest first."""
    kept = api_token.select().where(api_token.c.person_id == person_id, api_token.c.revoked_at.is_(None))
    return list(tx.all(kept.order_by(api_token.c.id.desc())))


def revoke_token_of(tx: Tx, person_id: int, token_id: int, now: datetime) -> str | None:
    """The token's name, or None when the person has no such token that could still open anything."""
    mine = api_token.update().where(api_token.c.id == token_id, api_token.c.person_id == person_id)
    row = tx.first(mine.where(api_token.c.revoked_at.is_(None)).values(revoked_at=now).returning(api_token.c.name))
    return None if row is None else row.name


def add_reset_link(tx: Tx, person_id: int, digest: bytes, expires_at: datetime) -> None:
    tx.execute(reset_link.insert().values(digest=digest, person_id=person_id, expires_at=expires_at))


def person_of_reset_link(tx: Tx, digest: bytes, now: datetime) -> sa.Row[Any] | None:
    """Whose password the link may set; None when it is used, has expired, or the person was disabled."""
    wanted = sa.select(*person.c).join_from(reset_link, person)
    good = (reset_link.c.digest == digest, reset_link.c.expires_at > now, person.c.disabled_at.is_(None))
    return tx.first(wanted.where(*good))


def use_reset_link(tx: Tx, digest: bytes, now: datetime) -> bool:
    return tx.changed(reset_link.delete().where(reset_link.c.digest == digest, reset_link.c.expires_at > now))


def end_reset_links(tx: Tx, person_id: int) -> None:
    tx.execute(reset_link.delete().where(reset_link.c.person_id == person_id))


def forget_reset_links(tx: Tx, now: datetime, most: int = 500) -> int:
    old = sa.select(reset_link.c.digest).where(reset_link.c.expires_at < now).limit(most)
    return tx.execute(reset_link.delete().where(reset_link.c.digest.in_(old))).rowcount
