"""A sealed run also keeps its values by hour."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_16_hours"
down_revision = "20261121_15_operator"


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.add_column("chunk", sa.Column("hours", sa.LargeBinary(), nullable=True))
        for column in ("data", "hours"):  # compressed already: the database need not try
            op.execute(f"alter table chunk alter column {column} set storage external")
        return
    # SQLite reads a row from its front: hours behind the data would mean to read both.
    op.create_table(
        "new_chunk",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series_id", sa.BigInteger(), nullable=False),
        sa.Column("first_stamp", sa.BigInteger(), nullable=False),
        sa.Column("last_stamp", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("min", sa.Double(), nullable=True),
        sa.Column("max", sa.Double(), nullable=True),
        sa.Column("sum", sa.Double(), nullable=True),
        sa.Column("hours", sa.LargeBinary(), nullable=True),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    kept = "id, series_id, first_stamp, last_stamp, count, min, max, sum, data"
    op.execute(f"insert into new_chunk ({kept}) select {kept} from chunk")  # noqa: S608 no input
    op.drop_table("chunk")
    op.rename_table("new_chunk", "chunk")
    op.create_index("chunk_by_series_and_time", "chunk", ["series_id", "last_stamp", "first_stamp"], unique=False)
