"""The home in which something was done."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_14_audit"
down_revision = "20261121_13_smarthome"


def upgrade() -> None:
    op.add_column("audit", sa.Column("home_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
    op.create_index("audit_home", "audit", ["home_id", "at"], unique=False)
