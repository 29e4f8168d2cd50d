"""Logins of apps with their refresh tokens; names of people, and the home that a session shows."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "20261121_07_logins"
down_revision = "20261121_06_renewal"

type_of_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("person", sa.Column("uid", sa.Text(), nullable=True))
    op.add_column("person", sa.Column("first_name", sa.Text(), nullable=False, server_default=""))
    op.add_column("person", sa.Column("last_name", sa.Text(), nullable=False, server_default=""))
    op.add_column("person", sa.Column("signed_in_at", sa.BigInteger(), nullable=True))
    op.add_column("session", sa.Column("home_id", type_of_id, nullable=True))
    _name_everybody()
    op.create_index("person_uid", "person", ["uid"], unique=True)
    op.create_table(
        "login",
        sa.Column("id", type_of_id, nullable=False),
        sa.Column("person_id", type_of_id, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("agent", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("login_person", "login", ["person_id"], unique=False)
    op.create_table(
        "refresh_token",
        sa.Column("id", type_of_id, nullable=False),
        sa.Column("lineage", type_of_id, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("second_chance", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["lineage"], ["login.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("refresh_token_lineage", "refresh_token", ["lineage"], unique=False)


def _name_everybody() -> None:
    person = sa.table("person", sa.column("id"), sa.column("uid"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(person.c.id)).all():
        connection.execute(person.update().where(person.c.id == row.id).values(uid=str(uuid.uuid4())))
