"""Tries that several processes count together."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_24_limits"
down_revision = "20261121_23_boards"


def upgrade() -> None:
    op.create_table(
        "tries",
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("forget_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("who"),
    )
    op.create_index("tries_forget", "tries", ["forget_at"], unique=False)
