"""Invitations into homes; the outbox knows what was given up, and since when a thing waits."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_08_invitations"
down_revision = "20261121_07_logins"


def upgrade() -> None:
    op.create_table(
        "invitation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("home_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("invited_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("used_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["invited_by"], ["person.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["used_by"], ["person.id"], ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("invitation_home", "invitation", ["home_id"], unique=False)
    op.add_column("outbox", sa.Column("put_at", sa.BigInteger(), nullable=True))
    op.add_column("outbox", sa.Column("given_up_at", sa.BigInteger(), nullable=True))
    op.add_column("outbox", sa.Column("dedupe", sa.Text(), nullable=True))
    op.create_index("outbox_dedupe", "outbox", ["dedupe"], unique=True)
