"""Tables of homes and their members; every statement on them."""

from datetime import datetime

import sqlalchemy as sa

from waystation.homes.model import Home, Role
from waystation.kernel.db import Moment, Tx, metadata, type_of_id

home = sa.Table(
    "home",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)

member = sa.Table(
    "member",
    metadata,
    sa.Column("home_id", type_of_id, sa.ForeignKey("home.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("person_id", type_of_id, sa.ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
)


def first_home(tx: Tx) -> Home | None:
    row = tx.first(home.select().order_by(home.c.id).limit(1))
    return Home(row.id, row.name) if row else None


def add_home(tx: Tx, name: str, now: datetime) -> Home:
    home_id = tx.scalar(home.insert().values(name=name, created_at=now).returning(home.c.id))
    return Home(home_id, name)


def add_member(tx: Tx, home_id: int, person_id: int, now: datetime, *, role: Role) -> None:
    tx.execute(member.insert().values(home_id=home_id, person_id=person_id, role=role.word, created_at=now))


def role_of(tx: Tx, home_id: int, person_id: int) -> Role | None:
    word = tx.scalar(sa.select(member.c.role).where(member.c.home_id == home_id, member.c.person_id == person_id))
    return Role[word.upper()] if word else None
