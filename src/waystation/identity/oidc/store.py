"""Tables of people as providers know them and of states that were used; every statement on them."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from waystation.identity.store import person
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

outside_identity = sa.Table(
    "outside_identity",
    metadata,
    sa.Column("issuer", sa.Text, primary_key=True),
    sa.Column("subject", sa.Text, primary_key=True),
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), nullable=False),
    sa.Column("email", sa.Text, nullable=False),  # as the provider said when it was linked, to know it by
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
    sa.Column("is_admin_by_group", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("outside_identity_person", "person_id"),
)

used_state = sa.Table(
    "oidc_used_state",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("expires_at", Moment, nullable=False),
)


def use_state(tx: Tx, digest: bytes, expires_at: datetime) -> bool:
    """Whether it was unused until now."""
    return _added(tx, used_state.insert().values(digest=digest, expires_at=expires_at))


def forget_used_states(tx: Tx, now: datetime, most: int = 500) -> int:
    old = sa.select(used_state.c.digest).where(used_state.c.expires_at < now).limit(most)
    return tx.execute(used_state.delete().where(used_state.c.digest.in_(old))).rowcount


def known(tx: Tx, issuer: str, subject: str) -> sa.Row[Any] | None:
    """The identity with its person, also of one who was disabled."""
    wanted = sa.select(outside_identity, person.c.email.label("person_email"), person.c.disabled_at).join(person)
    return tx.first(wanted.where(outside_identity.c.issuer == issuer, outside_identity.c.subject == subject))


def anybody_called(tx: Tx, email: str) -> sa.Row[Any] | None:
    """The person with that address, also a disabled one."""
    return tx.first(person.select().where(sa.func.lower(person.c.email) == email.lower()))


def link(tx: Tx, issuer: str, subject: str, now: datetime, *, person_id: int, email: str) -> bool:
    """Whether the identity was nobody's until now."""
    values = {"issuer": issuer, "subject": subject, "person_id": person_id, "email": email}
    return _added(tx, outside_identity.insert().values(created_at=now, **values))


def note_use(tx: Tx, issuer: str, subject: str, now: datetime) -> None:
    tx.execute(_one(issuer, subject).values(used_at=now))


def note_group(tx: Tx, issuer: str, subject: str, *, is_admin: bool) -> bool:
    """Whether that is news."""
    changes = outside_identity.c.is_admin_by_group != is_admin
    return tx.changed(_one(issuer, subject).where(changes).values(is_admin_by_group=is_admin))


def linked(tx: Tx, person_id: int, issuer: str) -> sa.Row[Any] | None:
    """The person's oldest identity at this provider."""
    wanted = outside_identity.select().where(
        outside_identity.c.person_id == person_id, outside_identity.c.issuer == issuer
    )
    return tx.first(wanted.order_by(outside_identity.c.created_at).limit(1))


def unlink(tx: Tx, person_id: int, issuer: str) -> bool:
    mine = outside_identity.c.person_id == person_id
    return tx.changed(outside_identity.delete().where(mine, outside_identity.c.issuer == issuer))


def has_password(tx: Tx, person_id: int) -> bool:
    return bool(tx.scalar(sa.select(person.c.password_hash).where(person.c.id == person_id)))


def _one(issuer: str, subject: str) -> sa.Update:
    key = outside_identity.c
    return outside_identity.update().where(key.issuer == issuer, key.subject == subject)


def _added(tx: Tx, row: sa.Insert) -> bool:
    try:
        with tx.connection.begin_nested():
            tx.execute(row)
    except IntegrityError:
        return False
    return True
