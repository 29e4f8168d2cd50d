"""What no other feature keeps of what happens, and which devices were online when it was looked last."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_33_activity"
down_revision = "20261129_29_dropsync"

an_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "happening",
        sa.Column("id", an_id, nullable=False),
        sa.Column("home_id", an_id, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("device_key", sa.Text(), nullable=False),
        sa.Column("did", sa.Text(), nullable=False),
        sa.Column("of", sa.Text(), nullable=False),
        sa.Column("of_uid", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("happening_home", "happening", ["home_id", "id"])
    op.create_index("happening_at", "happening", ["at"])
    op.create_table(
        "presence",
        sa.Column("device_id", an_id, autoincrement=False, nullable=False),
        sa.Column("is_online", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_id"),
    )
