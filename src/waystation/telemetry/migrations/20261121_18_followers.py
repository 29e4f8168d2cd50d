"""How far those who read what has arrived have come."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_18_followers"
down_revision = "20261121_17_plans"


def upgrade() -> None:
    op.create_table(
        "follower",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("holes", sa.JSON(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
