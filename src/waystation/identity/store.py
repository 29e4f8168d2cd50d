"""Tables of people, sessions, API tokens and the set-up link; every statement on them."""

import uuid
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from waystation.kernel.db import Moment, Tx, metadata, type_of_id
from waystation.kernel.succession import State, Succession, columns

person = sa.Table(
    "person",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("disabled_at", Moment),
    sa.Column("uid", sa.Text),
    sa.Column("first_name", sa.Text, nullable=False, server_default=""),
    sa.Column("last_name", sa.Text, nullable=False, server_default=""),
    sa.Column("signed_in_at", Moment),
    sa.Column("is_operator", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("username", sa.Text),  # without an @, for those who signed up under one (docs/decisions/0009)
)
sa.Index("person_username", sa.func.lower(person.c.username), unique=True)
sa.Index("person_uid", person.c.uid, unique=True)
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
    sa.Column("home_id", type_of_id),  # the home that its pages show, when the person has several
)

login = sa.Table(
    "login",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("seen_at", Moment, nullable=False),
    sa.Column("ended_at", Moment),
    sa.Column("ip", sa.Text),
    sa.Column("agent", sa.Text),
    sa.Index("login_person", "person_id"),
)

refresh_token = sa.Table(
    "refresh_token",
    metadata,
    *columns(),
    sa.ForeignKeyConstraint(["lineage"], ["login.id"], ondelete="CASCADE"),
    sa.Index("refresh_token_lineage", "lineage"),
)
refresh_tokens = Succession(refresh_token, watched=True)

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
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE")),  # None: the command line's
    sa.Column("home_id", type_of_id),  # the only home that it opens
    sa.Column("hint", sa.Text),
    sa.Index("api_token_person", "person_id"),
)

setup_link = sa.Table(
    "setup_link",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("expires_at", Moment, nullable=False),
)


def anybody(tx: Tx) -> bool:
    return tx.first(sa.select(person.c.id).limit(1)) is not None


def add_person(tx: Tx, *, email: str, name: str, password_hash: str, now: datetime, **more: Any) -> int:
    """`more` may hold first_name, last_name and username. An empty hash fits no password."""
    values = {"uid": str(uuid.uuid4()), "email": email, "name": name, "password_hash": password_hash, **more}
    return tx.scalar(person.insert().values(created_at=now, **values).returning(person.c.id))


def new_person(tx: Tx, **values: Any) -> int | None:
    """As add_person; None when somebody has the address, also a disabled person, or takes it at this very moment."""
    try:
        with tx.connection.begin_nested():
            return add_person(tx, **values)
    except IntegrityError:
        return None


def person_by_id(tx: Tx, person_id: int) -> sa.Row[Any] | None:
    return tx.first(person.select().where(person.c.id == person_id, person.c.disabled_at.is_(None)))


def person_by_uid(tx: Tx, uid: str) -> sa.Row[Any] | None:
    return tx.first(person.select().where(person.c.uid == uid, person.c.disabled_at.is_(None)))


def is_operator(tx: Tx, person_id: int) -> bool:
    return bool(tx.scalar(sa.select(person.c.is_operator).where(person.c.id == person_id)))


def make_operator(tx: Tx, person_id: int, *, yes: bool = True) -> bool:
    """Whether that changed anything."""
    differs = person.update().where(person.c.id == person_id, person.c.is_operator.is_not(yes))
    return tx.changed(differs.values(is_operator=yes))


def note_sign_in(tx: Tx, person_id: int, now: datetime) -> None:
    tx.execute(person.update().where(person.c.id == person_id).values(signed_in_at=now))


def person_by_email(tx: Tx, email: str) -> sa.Row[Any] | None:
    return tx.first(
        person.select().where(sa.func.lower(person.c.email) == email.lower(), person.c.disabled_at.is_(None))
    )


def anybody_called(tx: Tx, name: str) -> sa.Row[Any] | None:
    """The person with that address or user name, also a disabled one."""
    return tx.first(person.select().where(_is_called(name)))


def person_called(tx: Tx, name: str) -> sa.Row[Any] | None:
    """Who signs in with that address or user name. A user name has no @, so it is nobody else's address."""
    return tx.first(person.select().where(_is_called(name), person.c.disabled_at.is_(None)))


def _is_called(name: str) -> sa.ColumnElement[bool]:
    return sa.or_(sa.func.lower(person.c.email) == name.lower(), sa.func.lower(person.c.username) == name.lower())


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
    columns = [session.c.id, session.c.seen_at, session.c.person_id, session.c.home_id, person.c.email, person.c.name]
    wanted = sa.select(*columns).join(person)
    return tx.first(
        wanted.where(session.c.digest == digest, session.c.seen_at > seen_since, person.c.disabled_at.is_(None))
    )


def touch_session(tx: Tx, session_id: int, now: datetime) -> None:
    tx.execute(session.update().where(session.c.id == session_id).values(seen_at=now))


def end_session(tx: Tx, session_id: int) -> bool:
    return tx.changed(session.delete().where(session.c.id == session_id))


def choose_home(tx: Tx, session_id: int, home_id: int) -> None:
    tx.execute(session.update().where(session.c.id == session_id).values(home_id=home_id))


def add_login(tx: Tx, person_id: int, now: datetime, *, ip: str | None, agent: str | None) -> int:
    values = {"person_id": person_id, "created_at": now, "seen_at": now, "ip": ip, "agent": agent}
    return tx.scalar(login.insert().values(**values).returning(login.c.id))


def live_login(tx: Tx, login_id: int) -> sa.Row[Any] | None:
    """The login with its person, unless it has ended or the person was disabled."""
    columns = [login.c.id, login.c.seen_at, login.c.person_id, person.c.uid, person.c.email]
    wanted = sa.select(*columns).join_from(login, person)
    return tx.first(wanted.where(login.c.id == login_id, login.c.ended_at.is_(None), person.c.disabled_at.is_(None)))


def touch_login(tx: Tx, login_id: int, now: datetime) -> None:
    tx.execute(login.update().where(login.c.id == login_id).values(seen_at=now))


def end_login(tx: Tx, login_id: int, now: datetime) -> bool:
    return tx.changed(login.update().where(login.c.id == login_id, login.c.ended_at.is_(None)).values(ended_at=now))


def live_logins(tx: Tx, person_id: int) -> list[sa.Row[Any]]:
    """Newest first."""
    live = login.select().where(login.c.person_id == person_id, login.c.ended_at.is_(None))
    return list(tx.all(live.order_by(login.c.id.desc())))


def newest_candidate(tx: Tx, login_id: int) -> datetime | None:
    """When the newest refresh token that nobody has used yet was made."""
    waiting = sa.select(refresh_token.c.created_at).where(
        refresh_token.c.lineage == login_id, refresh_token.c.state == State.CANDIDATE
    )
    row = tx.first(waiting.order_by(refresh_token.c.id.desc()).limit(1))
    return None if row is None else row.created_at


def forget_logins(tx: Tx, seen_before: datetime, most: int = 500) -> int:
    old = sa.select(login.c.id).where(login.c.seen_at < seen_before).limit(most)
    return tx.execute(login.delete().where(login.c.id.in_(old))).rowcount


def forget_idle_sessions(tx: Tx, seen_before: datetime, most: int = 500) -> int:
    old = sa.select(session.c.id).where(session.c.seen_at < seen_before).limit(most)
    return tx.execute(session.delete().where(session.c.id.in_(old))).rowcount


def add_token(tx: Tx, now: datetime, **values: Any) -> int:
    """`values`: name, digest, role, expires_at; for a person's also person_id, home_id and hint."""
    return tx.scalar(api_token.insert().values(created_at=now, **values).returning(api_token.c.id))


# Put together once, for every call of a program begins with it.
LIVE_TOKEN = (
    sa.select(*api_token.c, person.c.email)
    .join_from(api_token, person, isouter=True)
    .where(api_token.c.digest == sa.bindparam("given"), api_token.c.revoked_at.is_(None))
    .where(sa.or_(api_token.c.expires_at.is_(None), api_token.c.expires_at > sa.bindparam("now")))
    .where(person.c.disabled_at.is_(None))
)


def live_token(tx: Tx, digest: bytes, now: datetime) -> sa.Row[Any] | None:
    """The token with its person's address, unless it has ended or the person was disabled."""
    return tx.execute(LIVE_TOKEN, {"given": digest, "now": now}).first()


def touch_token(tx: Tx, token_id: int, now: datetime) -> None:
    tx.execute(api_token.update().where(api_token.c.id == token_id).values(used_at=now))


def tokens(tx: Tx) -> list[sa.Row[Any]]:
    """Everybody's, with the address of their `person`."""
    wanted = sa.select(*api_token.c, person.c.email.label("person")).join_from(api_token, person, isouter=True)
    return list(tx.all(wanted.order_by(api_token.c.id)))


def revoke_token(tx: Tx, token_id: int, now: datetime) -> bool:
    live = api_token.update().where(api_token.c.id == token_id, api_token.c.revoked_at.is_(None))
    return tx.changed(live.values(revoked_at=now))


def is_stale(seen_at: datetime | None, now: datetime) -> bool:
    """Last use is kept to the minute, so that reading a page rarely writes."""
    return seen_at is None or now - seen_at > timedelta(seconds=60)


def everybody(tx: Tx, words: str, *, after: int = 0, most: int = 100) -> list[sa.Row[Any]]:
    """People whose name or address contains every word, disabled ones too, in the order of their ids."""
    found = person.select().where(person.c.id > after)
    for word in words.lower().split():
        found = found.where(sa.func.lower(person.c.name + " " + person.c.email).contains(word, autoescape=True))
    return list(tx.all(found.order_by(person.c.id).limit(most)))


def open_sessions(tx: Tx, seen_since: datetime, most: int = 200) -> list[sa.Row[Any]]:
    """Everybody's browsers, the last used first, with `email`."""
    found = sa.select(session, person.c.email).join(person).where(session.c.seen_at > seen_since)
    return list(tx.all(found.order_by(session.c.seen_at.desc()).limit(most)))


def open_logins(tx: Tx, seen_since: datetime, most: int = 200) -> list[sa.Row[Any]]:
    """Everybody's apps, the last used first, with `email`."""
    live = sa.and_(login.c.ended_at.is_(None), login.c.seen_at > seen_since)
    found = sa.select(login, person.c.email).join(person).where(live)
    return list(tx.all(found.order_by(login.c.seen_at.desc()).limit(most)))
