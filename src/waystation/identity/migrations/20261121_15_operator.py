"""Who runs the site: whoever set it up."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_15_operator"
down_revision = "20261121_14_audit"


def upgrade() -> None:
    op.add_column("person", sa.Column("is_operator", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        sa.text("update person set is_operator = :yes where id = (select min(id) from person)").bindparams(yes=True)
    )
