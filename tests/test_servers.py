"""The test servers are what their users take them for."""

import pytest
import sqlalchemy as sa
from tests.nats import ExternalNats

from waystation.kernel.db import Database


def test_every_test_gets_an_empty_database(database: Database) -> None:
    with database.write() as tx:
        tx.execute(sa.text("CREATE TABLE only_here (n INTEGER)"))
        tx.execute(sa.text("INSERT INTO only_here VALUES (1)"))
    with database.read() as tx:
        assert tx.scalar(sa.text("SELECT count(*) FROM only_here")) == 1


@pytest.mark.servers
def test_one_tests_database_is_not_the_next_ones(postgres_url: str) -> None:
    fresh = Database(postgres_url)
    with fresh.read() as tx:
        assert tx.scalar(sa.text("SELECT count(*) FROM pg_tables WHERE tablename = 'only_here'")) == 0
    fresh.close()


@pytest.mark.servers
def test_an_external_nats_runs(nats: ExternalNats) -> None:
    assert nats.url.startswith("nats://")
