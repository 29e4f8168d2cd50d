"""Alert rules, the states they are in, incidents, and what a cool-down holds back."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_19_alerts"
down_revision = "20261121_18_followers"

type_of_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "alert_rule",
        sa.Column("id", type_of_id, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("home_id", type_of_id, nullable=False),
        sa.Column("wish", sa.JSON(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("armed_at", sa.BigInteger(), nullable=False),
        sa.Column("muted_until", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("alert_rule_home", "alert_rule", ["home_id"])
    op.create_index("alert_rule_origin", "alert_rule", ["home_id", "origin"], unique=True)
    op.create_table(
        "incident",
        sa.Column("id", type_of_id, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("home_id", type_of_id, nullable=False),
        sa.Column("rule_id", type_of_id, nullable=True),
        sa.Column("rule_uid", sa.Text(), nullable=False),
        sa.Column("rule_name", sa.Text(), nullable=False),
        sa.Column("rule_text", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=True),
        sa.Column("device_key", sa.Text(), nullable=False),
        sa.Column("device_name", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("noticed_at", sa.BigInteger(), nullable=False),
        sa.Column("cleared_at", sa.BigInteger(), nullable=True),
        sa.Column("why_cleared", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Text(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("acked_at", sa.BigInteger(), nullable=True),
        sa.Column("acked_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("incident_home", "incident", ["home_id", "id"])
    op.create_index("incident_open", "incident", ["home_id", "cleared_at"])
    op.create_index("incident_rule", "incident", ["rule_id"])
    op.create_index("incident_device", "incident", ["device_id"])
    op.create_table(
        "alert_state",
        sa.Column("rule_id", type_of_id, nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("heard", sa.BigInteger(), nullable=False),
        sa.Column("kept", sa.JSON(), nullable=False),
        sa.Column("incident_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rule_id", "device_id"),
    )
    op.create_table(
        "alert_window",
        sa.Column("rule_id", type_of_id, nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rule_id", "direction"),
    )
    op.create_table(
        "alert_held",
        sa.Column("rule_id", type_of_id, nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("line", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["rule_id"], ["alert_rule.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("rule_id", "direction", "device_id"),
    )
