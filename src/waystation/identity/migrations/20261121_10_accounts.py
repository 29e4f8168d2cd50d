"""API tokens of people, perhaps for one home only; one-time links to choose a new password."""

import sqlalchemy as sa
from alembic import op

revision = "20261121_10_accounts"
down_revision = "20261121_09_second_factor"

type_of_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("api_token") as table:  # SQLite makes it anew: it adds no foreign key otherwise
        table.add_column(sa.Column("person_id", type_of_id, nullable=True))
        table.add_column(sa.Column("home_id", type_of_id, nullable=True))
        table.add_column(sa.Column("hint", sa.Text(), nullable=True))
        table.create_foreign_key("api_token_person_id_fkey", "person", ["person_id"], ["id"], ondelete="CASCADE")
    op.create_index("api_token_person", "api_token", ["person_id"], unique=False)
    op.create_table(
        "reset_link",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", type_of_id, nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("reset_link_person", "reset_link", ["person_id"], unique=False)
