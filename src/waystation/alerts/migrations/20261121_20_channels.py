"""Channels that alerts go out by."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_20_channels"
down_revision = "20261121_19_alerts"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "alert_channel",
        sa.Column("id", ID, nullable=False),
        sa.Column("home_id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("alert_channel_home", "alert_channel", ["home_id"], unique=False)
    op.create_table(
        "alert_delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("home_id", ID, nullable=False),
        sa.Column("channel_id", ID, nullable=True),
        sa.Column("channel_name", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("to", sa.Text(), nullable=False),
        sa.Column("dedupe", sa.Text(), nullable=False),
        sa.Column("notice", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("put_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("given_up_at", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["channel_id"], ["alert_channel.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("alert_delivery_home", "alert_delivery", ["home_id", "id"], unique=False)
    op.create_index("alert_delivery_once", "alert_delivery", ["channel_id", "to", "dedupe"], unique=True)
    op.create_index("alert_delivery_put", "alert_delivery", ["put_at"], unique=False)
    op.create_table(
        "alert_delivered_incident",
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("incident_uid", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["delivery_id"], ["alert_delivery.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("delivery_id", "incident_uid"),
    )
    op.create_index("alert_delivered_incident_uid", "alert_delivered_incident", ["incident_uid"], unique=False)
