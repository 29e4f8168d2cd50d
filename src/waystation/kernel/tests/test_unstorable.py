"""What a database cannot take is said to whoever sent it, alike on both."""

from typing import Any

import pytest
import sqlalchemy as sa

from waystation.kernel.db import Database
from waystation.kernel.errors import Invalid

thing = sa.Table("thing", sa.MetaData(), sa.Column("name", sa.Text), sa.Column("number", sa.BigInteger))


@pytest.fixture(autouse=True)
def _with_things(database: Database) -> None:
    with database.write() as tx:
        thing.create(tx.connection)


def put(database: Database, **values: Any) -> None:
    with database.write() as tx:
        tx.execute(thing.insert().values(name="before"))
        tx.execute(thing.insert().values(**values))


@pytest.mark.parametrize("wrong", [{"name": "\ud800"}, {"number": 2**63}, {"number": 10**30}])
def test_what_cannot_be_stored_is_invalid_and_leaves_nothing(database: Database, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="no database takes"):
        put(database, **wrong)
    with database.read() as tx:
        assert tx.all(sa.select(thing)) == []


def test_a_text_with_nul_is_invalid_where_the_database_refuses_it(database: Database) -> None:
    if database.is_sqlite:
        put(database, name="a\0b")
        return
    with pytest.raises(Invalid, match="no database takes"):
        put(database, name="a\0b")


def test_a_mistake_of_ours_stays_a_fault(database: Database) -> None:
    with pytest.raises(OverflowError), database.read():
        float(10**400)
