"""Tables of homes and their members; every statement on them."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.homes.model import Home, Invitation, Member, Role
from waystation.identity import person
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

home = sa.Table(
    "home",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("uid", sa.Text),
    sa.Index("home_uid", "uid", unique=True),
)

member = sa.Table(
    "member",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("granted_by", type_of_id),  # a person; None for the first owner and for whom the command line added
)

invitation = sa.Table(
    "invitation",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("email", sa.Text, nullable=False),  # empty for a link that was handed over
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("invited_by", type_of_id, sa.ForeignKey("person.id", ondelete="SET NULL")),  # None: the command line
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
    sa.Column("used_by", type_of_id, sa.ForeignKey("person.id", ondelete="SET NULL")),
    sa.Column("revoked_at", Moment),
    sa.Index("invitation_home", "home_id"),
)


FIRST_HOME = sa.select(home.c.id, home.c.name, home.c.uid).order_by(home.c.id).limit(1)


def first_home(tx: Tx) -> Home | None:
    row = tx.first(FIRST_HOME)
    return Home(*row) if row else None


def home_by_id(tx: Tx, home_id: int) -> Home | None:
    row = tx.first(home.select().where(home.c.id == home_id))
    return Home(row.id, row.name, row.uid) if row else None


def home_by_uid(tx: Tx, uid: str) -> Home | None:
    row = tx.first(home.select().where(home.c.uid == uid.lower()))
    return Home(row.id, row.name, row.uid) if row else None


def homes_of(tx: Tx, person_id: int) -> list[tuple[Home, Role]]:
    """Every home that the person is a member of, the oldest first."""
    rows = tx.all(
        sa.select(home, member.c.role).join(member).where(member.c.person_id == person_id).order_by(home.c.id)
    )
    return [(Home(row.id, row.name, row.uid), Role[row.role.upper()]) for row in rows]


def home_of(tx: Tx, person_id: int, chosen: int | None) -> Home | None:
    """The chosen one while the person is its member, else their first."""
    found = [one for one, _ in homes_of(tx, person_id)]
    return next((one for one in found if one.id == chosen), found[0] if found else None)


def add_home(tx: Tx, name: str, now: datetime) -> Home:
    uid = str(uuid.uuid4())
    home_id = tx.scalar(home.insert().values(name=name, uid=uid, created_at=now).returning(home.c.id))
    return Home(home_id, name, uid)


def all_homes(tx: Tx) -> list[Home]:
    return [Home(row.id, row.name, row.uid) for row in tx.all(home.select().order_by(home.c.id).limit(1000))]


def count_members(tx: Tx, home_id: int) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(member).where(member.c.home_id == home_id))


def rename_home(tx: Tx, home_id: int, name: str) -> bool:
    return tx.changed(home.update().where(home.c.id == home_id).values(name=name))


def delete_home(tx: Tx, home_id: int) -> bool:
    return tx.changed(home.delete().where(home.c.id == home_id))


def lock_home(tx: Tx, home_id: int) -> None:
    """Whoever changes its members waits for those who do: two owners cannot send each other away at once."""
    tx.execute(sa.select(home.c.id).where(home.c.id == home_id).with_for_update())


def add_member(
    tx: Tx, home_id: int, person_id: int, now: datetime, *, role: Role, granted_by: int | None = None
) -> None:
    values = {"home_id": home_id, "person_id": person_id, "role": role.word, "granted_by": granted_by}
    tx.execute(member.insert().values(created_at=now, **values))


def members(tx: Tx, home_id: int) -> list[Member]:
    """Owners first, then by name."""
    rows = tx.all(_members().where(member.c.home_id == home_id).order_by(sa.func.lower(person.c.name), person.c.id))
    return sorted((_member(row) for row in rows), key=lambda one: -one.role)


def member_by_id(tx: Tx, home_id: int, person_id: int) -> Member | None:
    row = tx.first(_members().where(member.c.home_id == home_id, member.c.person_id == person_id))
    return _member(row) if row else None


def member_by_email(tx: Tx, home_id: int, email: str) -> Member | None:
    called = sa.func.lower(person.c.email) == email.lower()
    row = tx.first(_members().where(member.c.home_id == home_id, called))
    return _member(row) if row else None


def other_owners(tx: Tx, home_id: int, person_id: int) -> int:
    """How many besides this person, and able to sign in."""
    able = (member.c.role == Role.OWNER.word, person.c.disabled_at.is_(None), person.c.id != person_id)
    mine = sa.select(sa.func.count()).select_from(member.join(person, member.c.person_id == person.c.id))
    return tx.scalar(mine.where(member.c.home_id == home_id, *able))


def change_role(tx: Tx, home_id: int, person_id: int, *, before: Role, after: Role) -> bool:
    mine = member.update().where(member.c.home_id == home_id, member.c.person_id == person_id)
    return tx.changed(mine.where(member.c.role == before.word).values(role=after.word))


def _members() -> sa.Select[Any]:
    columns = (person.c.uid, person.c.email, person.c.name)
    return sa.select(*member.c, *columns).join_from(member, person, member.c.person_id == person.c.id)


def _member(row: Any) -> Member:
    role = Role[row.role.upper()]
    return Member(row.person_id, row.uid, row.email, row.name, role, row.created_at, row.granted_by)


def people_with(tx: Tx, home_id: int, role: Role) -> list[int]:
    """Person ids of the members with exactly this role, the oldest first."""
    mine = sa.select(member.c.person_id).where(member.c.home_id == home_id, member.c.role == role.word)
    return [row.person_id for row in tx.all(mine.order_by(member.c.created_at, member.c.person_id))]


def first_owners(tx: Tx) -> dict[int, int | None]:
    """Of every home the person who has owned it longest, or None."""
    owns = sa.and_(member.c.home_id == home.c.id, member.c.role == Role.OWNER.word)
    found = sa.select(home.c.id, member.c.person_id).outerjoin_from(home, member, owns)
    rows = tx.all(found.order_by(home.c.id, member.c.created_at.desc(), member.c.person_id.desc()))
    return {row.id: row.person_id for row in rows}  # of several rows of a home the last one stays


def role_of(tx: Tx, home_id: int, person_id: int) -> Role | None:
    word = tx.scalar(sa.select(member.c.role).where(member.c.home_id == home_id, member.c.person_id == person_id))
    return Role[word.upper()] if word else None


def add_invitation(tx: Tx, home_id: int, now: datetime, **values: Any) -> int:
    row = invitation.insert().values(home_id=home_id, created_at=now, **values)
    return tx.scalar(row.returning(invitation.c.id))


def invitation_by_digest(tx: Tx, digest: bytes) -> sa.Row[Any] | None:
    """With the name of its home."""
    wanted = sa.select(*invitation.c, home.c.name.label("home_name")).join_from(invitation, home)
    return tx.first(wanted.where(invitation.c.digest == digest))


def open_invitations(tx: Tx, home_id: int, now: datetime) -> list[Invitation]:
    """Newest first."""
    wanted = sa.select(*invitation.c, person.c.name).outerjoin_from(
        invitation, person, invitation.c.invited_by == person.c.id
    )
    rows = tx.all(wanted.where(invitation.c.home_id == home_id, *_is_open(now)).order_by(invitation.c.id.desc()))
    return [
        Invitation(row.id, row.email, Role[row.role.upper()], row.name, row.created_at, row.expires_at) for row in rows
    ]


def use_invitation(tx: Tx, invitation_id: int, person_id: int, now: datetime) -> bool:
    unused = invitation.update().where(invitation.c.id == invitation_id, *_is_open(now))
    return tx.changed(unused.values(used_at=now, used_by=person_id))


def is_open(row: Any, now: datetime) -> bool:
    return row.used_at is None and row.revoked_at is None and row.expires_at > now


def revoke_invitation(tx: Tx, home_id: int, invitation_id: int, now: datetime) -> Role | None:
    """The role that it was for, or None when none of that number is open."""
    mine = invitation.update().where(invitation.c.id == invitation_id, invitation.c.home_id == home_id, *_is_open(now))
    word = tx.scalar(mine.values(revoked_at=now).returning(invitation.c.role))
    return Role[word.upper()] if word else None


def revoke_invitations_for(tx: Tx, home_id: int, email: str, now: datetime) -> int:
    same = sa.func.lower(invitation.c.email) == email.lower()
    mine = invitation.update().where(invitation.c.home_id == home_id, same, *_is_open(now))
    return tx.execute(mine.values(revoked_at=now)).rowcount


def revoke_invitations_by(tx: Tx, home_id: int, person_id: int, now: datetime) -> int:
    mine = invitation.update().where(invitation.c.home_id == home_id, invitation.c.invited_by == person_id)
    return tx.execute(mine.where(*_is_open(now)).values(revoked_at=now)).rowcount


def forget_invitations(tx: Tx, expired_before: datetime, most: int = 500) -> int:
    old = sa.select(invitation.c.id).where(invitation.c.expires_at < expired_before).limit(most)
    return tx.execute(invitation.delete().where(invitation.c.id.in_(old))).rowcount


def invitations_to(tx: Tx, email: str, now: datetime) -> Sequence[sa.Row[Any]]:
    """The open ones that were sent to that address, in all homes, the oldest first."""
    sent = invitation.select().where(sa.func.lower(invitation.c.email) == email.lower(), *_is_open(now))
    return tx.all(sent.order_by(invitation.c.id))


def is_invited(tx: Tx, email: str, now: datetime) -> bool:
    return bool(invitations_to(tx, email, now))


def set_role(tx: Tx, home_id: int, person_id: int, now: datetime, *, role: Role) -> None:
    """Of a member, or of who becomes one by it."""
    mine = member.update().where(member.c.home_id == home_id, member.c.person_id == person_id)
    if not tx.changed(mine.values(role=role.word)):
        add_member(tx, home_id, person_id, now, role=role)


def drop_member(tx: Tx, home_id: int, person_id: int) -> bool:
    return tx.changed(member.delete().where(member.c.home_id == home_id, member.c.person_id == person_id))


def _is_open(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (invitation.c.used_at.is_(None), invitation.c.revoked_at.is_(None), invitation.c.expires_at > now)
