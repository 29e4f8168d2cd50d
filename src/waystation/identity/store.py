"""Tables of people, sessions, API tokens and the set-up link; every statement on them."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from waystation.kernel.db import Moment, Tx, metadata, type_of_id

person = sa.Table(
    "person",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
)
sa.Index("person_email", sa.func.lower(person.c.email), unique=True)

session = sa.Table(
    "session",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    sa.Column("ip", sa.Text),
    sa.Column("agent", sa.Text),
)

api_token = sa.Table(
    "api_token",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("used_at", Moment),
    sa.Column("revoked_at", Moment),
)

setup_link = sa.Table(
    "setup_link",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("expires_at", Moment, nullable=False),
)


def anybody(tx: Tx) -> bool:
    return tx.first(sa.select(person.c.id).limit(1)) is not None


def add_person(tx: Tx, *, email: str, name: str, password_hash: str, now: datetime) -> int:
    row = person.insert().values(email=email, name=name, password_hash=password_hash, created_at=now)
    return tx.scalar(row.returning(person.c.id))


def person_by_email(tx: Tx, email: str) -> sa.Row[Any] | None:
    return tx.first(
        person.select().where(sa.func.lower(person.c.email) == email.lower(), person.c.disabled_at.is_(None))
    )


def replace_setup_link(tx: Tx, digest: bytes, expires_at: datetime) -> None:
    tx.execute(setup_link.delete())
    tx.execute(setup_link.insert().values(digest=digest, expires_at=expires_at))


def setup_link_is_good(tx: Tx, digest: bytes, now: datetime) -> bool:
    return tx.first(setup_link.select().where(setup_link.c.digest == digest, setup_link.c.expires_at > now)) is not None


def use_setup_link(tx: Tx, digest: bytes, now: datetime) -> bool:
    return tx.changed(setup_link.delete().where(setup_link.c.digest == digest, setup_link.c.expires_at > now))


def add_session(tx: Tx, person_id: int, digest: bytes, now: datetime, *, ip: str | None, agent: str | None) -> int:
    row = session.insert().values(person_id=person_id, digest=digest, created_at=now, seen_at=now, ip=ip, agent=agent)
    return tx.scalar(row.returning(session.c.id))


def live_session(tx: Tx, digest: bytes, seen_since: datetime) -> sa.Row[Any] | None:
    """The session with its person, unless it has been idle too long or the person was disabled."""
    wanted = sa.select(session.c.id, session.c.seen_at, session.c.person_id, person.c.email, person.c.name).join(person)
    return tx.first(
        wanted.where(session.c.digest == digest, session.c.seen_at > seen_since, person.c.disabled_at.is_(None))
    )


def touch_session(tx: Tx, session_id: int, now: datetime) -> None:
    tx.execute(session.update().where(session.c.id == session_id).values(seen_at=now))


def end_session(tx: Tx, session_id: int) -> bool:
    return tx.changed(session.delete().where(session.c.id == session_id))


def forget_idle_sessions(tx: Tx, seen_before: datetime, most: int = 500) -> int:
    old = sa.select(session.c.id).where(session.c.seen_at < seen_before).limit(most)
    return tx.execute(session.delete().where(session.c.id.in_(old))).rowcount


def add_token(tx: Tx, *, name: str, digest: bytes, role: str, now: datetime, expires_at: datetime | None) -> int:
    row = api_token.insert().values(name=name, digest=digest, role=role, created_at=now, expires_at=expires_at)
    return tx.scalar(row.returning(api_token.c.id))


def live_token(tx: Tx, digest: bytes, now: datetime) -> sa.Row[Any] | None:
    unexpired = sa.or_(api_token.c.expires_at.is_(None), api_token.c.expires_at > now)
    return tx.first(api_token.select().where(api_token.c.digest == digest, api_token.c.revoked_at.is_(None), unexpired))


def touch_token(tx: Tx, token_id: int, now: datetime) -> None:
    tx.execute(api_token.update().where(api_token.c.id == token_id).values(used_at=now))


def tokens(tx: Tx) -> list[sa.Row[Any]]:
    return list(tx.all(api_token.select().order_by(api_token.c.id)))


def revoke_token(tx: Tx, token_id: int, now: datetime) -> bool:
    live = api_token.update().where(api_token.c.id == token_id, api_token.c.revoked_at.is_(None))
    return tx.changed(live.values(revoked_at=now))


def is_stale(seen_at: datetime | None, now: datetime) -> bool:
    """Last use is kept to the minute, so that reading a page rarely writes."""
    return seen_at is None or now - seen_at > timedelta(seconds=60)
