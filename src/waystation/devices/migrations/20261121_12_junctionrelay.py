"""What JunctionRelay devices need: registrations, a key pair of the home, and the watch over missed health."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_12_junctionrelay"
down_revision = "20261121_11_outside"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("device", sa.Column("said_id", sa.Text(), nullable=True))
    op.add_column("device", sa.Column("is_on_trial", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("device", sa.Column("online_seconds", sa.Integer(), nullable=True))
    op.add_column("device", sa.Column("stolen_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "registration",
        sa.Column("id", ID, nullable=False),
        sa.Column("home_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_on_trial", sa.Boolean(), nullable=False),
        sa.Column("is_approved", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("device_id", ID, nullable=True),
        sa.Column("said_id", sa.Text(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("registration_home", "registration", ["home_id"], unique=False)
    op.create_index("registration_device", "registration", ["device_id"], unique=False)
    op.create_table(
        "home_key",
        sa.Column("home_id", ID, nullable=False),
        sa.Column("public_key", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("home_id"),
    )
    op.create_table(
        "health_wish",
        sa.Column("home_id", ID, nullable=False),
        sa.Column("sends_mail", sa.Boolean(), nullable=False),
        sa.Column("timeout_minutes", sa.Integer(), nullable=False),
        sa.Column("reminder_minutes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("home_id"),
    )
    op.create_table(
        "silence",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("alerted_at", sa.BigInteger(), nullable=False),
        sa.Column("reminded_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_id"),
    )
