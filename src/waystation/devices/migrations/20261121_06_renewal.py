"""Lineages of credentials, and devices that wait for approval."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_06_renewal"
down_revision = "20261121_05_telemetry"


def upgrade() -> None:
    op.add_column("device", sa.Column("pending_since", sa.BigInteger(), nullable=True))
    op.add_column(
        "credential", sa.Column("lineage", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    op.add_column("credential", sa.Column("why", sa.Text(), nullable=True))
    op.add_column("credential", sa.Column("second_chance", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute("update credential set lineage = id")
    op.execute("update credential set why = 'revoked' where state = 'retired'")
    op.create_index("credential_lineage", "credential", ["lineage"], unique=False)
