"""Names that other systems know homes by, and who let a member in."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "20261121_13_smarthome"
down_revision = "20261121_12_junctionrelay"


def upgrade() -> None:
    op.add_column("home", sa.Column("uid", sa.Text(), nullable=True))
    op.add_column(
        "member", sa.Column("granted_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )
    home = sa.table("home", sa.column("id"), sa.column("uid"))
    connection = op.get_bind()
    for row in connection.execute(sa.select(home.c.id)).all():
        connection.execute(home.update().where(home.c.id == row.id).values(uid=str(uuid.uuid4())))
    op.create_index("home_uid", "home", ["uid"], unique=True)
