"""The chain of migrations makes what the stores declare, once, on both databases."""

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from waystation import app
from waystation.kernel import migrations
from waystation.kernel.db import Database, metadata


@pytest.fixture
def migrated(database_url: str) -> Iterator[Database]:
    empty = Database(database_url)
    migrations.bring_up_to_date(empty, app.PACKAGE)
    yield empty
    empty.close()


@pytest.mark.filterwarnings("ignore:.*expression-based index")  # SQLite cannot tell of them, so they are not compared
def test_migrations_make_the_tables_that_the_stores_declare(migrated: Database) -> None:
    with migrated.read() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)
    assert not differences, f"stores and migrations differ: {differences}"


def test_an_up_to_date_database_is_left_alone(migrated: Database) -> None:
    assert not migrations.bring_up_to_date(migrated, app.PACKAGE)
