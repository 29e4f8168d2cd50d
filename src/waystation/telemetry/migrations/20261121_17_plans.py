"""Plans, what a home has stored, and how long it is kept."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_17_plans"
down_revision = "20261121_16_hours"

an_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "plan",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("storage_bytes", sa.BigInteger(), nullable=True),
        sa.Column("ingest_per_minute", sa.BigInteger(), nullable=True),
        sa.Column("raw_days", sa.Integer(), nullable=True),
        sa.Column("rollup_days", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "person_plan",
        sa.Column("person_id", an_id, nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_table(
        "default_plan",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "usage",
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("home_id", an_id, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("added_bytes", sa.BigInteger(), nullable=False),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("counted_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_id"),
    )
    op.create_index("usage_home", "usage", ["home_id"], unique=False)
    op.create_index("usage_counted", "usage", ["counted_at"], unique=False)
    op.create_table(
        "growth",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("day", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "day"),
    )
    op.create_table(
        "refusal",
        sa.Column("home_id", an_id, nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("since_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("home_id"),
    )
    op.create_table(
        "quota_warning",
        sa.Column("person_id", an_id, nullable=False),
        sa.Column("percent", sa.Integer(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("person_id"),
    )
    op.create_table(
        "retention",
        sa.Column("id", an_id, nullable=False),
        sa.Column("home_id", an_id, nullable=False),
        sa.Column("device_id", an_id, nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("raw_days", sa.Integer(), nullable=True),
        sa.Column("rollup_days", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("retention_home", "retention", ["home_id"], unique=False)
    op.create_index("retention_device", "retention", ["device_id"], unique=False)
    op.create_table(
        "kept_from",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("stamp", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("series_id"),
    )
    op.create_table(
        "retention_round",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("began_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "deletion",
        sa.Column("id", an_id, nullable=False),
        sa.Column("home_id", an_id, nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=True),
        sa.Column("device_name", sa.Text(), nullable=False),
        sa.Column("first_stamp", sa.BigInteger(), nullable=False),
        sa.Column("last_stamp", sa.BigInteger(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        sa.Column("series_done", sa.Integer(), nullable=False),
        sa.Column("last_series", sa.BigInteger(), nullable=False),
        sa.Column("readings", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("was_cancelled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("deletion_home", "deletion", ["home_id"], unique=False)
    op.create_index("deletion_open", "deletion", ["ended_at"], unique=False)
