"""Tags of devices, and what a model can be asked to do."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_28_tags"
down_revision = "20261121_27_files"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "device_tag",
        sa.Column("device_id", ID, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("device_id", "tag"),
    )
    op.create_index("device_tag_tag", "device_tag", ["tag"])
    op.create_table(
        "device_model",
        sa.Column("home_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("command_schema", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("home_id", "name"),
    )
