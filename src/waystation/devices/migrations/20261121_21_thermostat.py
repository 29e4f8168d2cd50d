"""What thermostats need: user names, posts that are not stored twice, oddities, and warnings of keys that end."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_21_thermostat"
down_revision = "20261121_20_channels"
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("person", sa.Column("username", sa.Text(), nullable=True))
    op.create_index("person_username", "person", [sa.text("lower(username)")], unique=True)
    op.create_table(
        "key_warning",
        sa.Column("credential_id", ID, nullable=False),
        sa.Column("warned_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["credential_id"], ["credential.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("credential_id"),
    )
    op.create_table(
        "thermostat_post",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_id", "digest"),
        sa.UniqueConstraint("at"),
    )
    op.create_table(
        "thermostat_oddity",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("faults", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fault_since", sa.BigInteger(), nullable=True),
        sa.Column("fault_at", sa.BigInteger(), nullable=True),
        sa.Column("addresses", sa.Text(), nullable=True),
        sa.Column("addresses_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_id"),
    )
