"""Dashboards that people compose, and links to them."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_23_boards"
down_revision = "20261121_22_transfers"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "board",
        sa.Column("id", ID, nullable=False),
        sa.Column("home_id", ID, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("person_id", ID, nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tiles", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("is_start", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("board_home", "board", ["home_id"], unique=False)
    op.create_index("board_person", "board", ["person_id"], unique=False)
    op.create_table(
        "board_link",
        sa.Column("id", ID, nullable=False),
        sa.Column("board_id", ID, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["board_id"], ["board.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_index("board_link_board", "board_link", ["board_id"], unique=False)
