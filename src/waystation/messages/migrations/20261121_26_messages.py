"""Lines that devices wrote, what is known of each device's, and the last number given."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_26_messages"
down_revision = "20261121_25_commands"

an_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
GRAVE = sa.text("level >= 30")


def upgrade() -> None:
    op.create_table(
        "message",
        sa.Column("number", an_id, autoincrement=False, nullable=False),
        sa.Column("home_id", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("said_severity", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index("message_home", "message", ["home_id", "number"])
    op.create_index("message_device", "message", ["device_id", "number"])
    op.create_index("message_alike", "message", ["digest", "last_at"])
    op.create_index("message_arrived", "message", ["arrived_at"])
    op.create_index("message_grave", "message", ["home_id", "number"], sqlite_where=GRAVE, postgresql_where=GRAVE)
    op.create_table(
        "message_log",
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("device_id"),
    )
    op.create_table(
        "message_number",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
