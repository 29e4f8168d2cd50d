"""Followers of the tail: every committed row once, also on PostgreSQL, where ids are not seen in order."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from waystation.kernel.db import Database
from waystation.telemetry import follow
from waystation.telemetry.follow import Place
from waystation.telemetry.follow.model import MOST_HOLES
from waystation.telemetry.follow.store import follower
from waystation.telemetry.store import tail, tail_span

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ME = "me"


class Reader:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        with database.write() as tx:
            follow.begin(tx, ME, self.now)

    def place(self) -> Place:
        with self.database.read() as tx:
            found = follow.place(tx, ME)
        assert found is not None
        return found

    def read(self, most: int = 100) -> list[int]:
        """Stamps of what is new, and on."""
        before = self.place()
        with self.database.read() as tx:
            stretch = follow.look(tx, before, self.now, most)
            rows = follow.rows(tx, stretch, [1])
            sums = follow.summaries(tx, stretch, [1])
        assert sum(one.count for one in sums) == len(rows)
        with self.database.write() as tx:
            assert follow.move(tx, before, stretch.after, self.now) is not None
        return [row[1] for row in rows]


@pytest.fixture
def reader(database: Database) -> Reader:
    return Reader(database)


def put(database: Database, *stamps: int, series_id: int = 1) -> None:
    with database.write() as tx:
        tx.execute(tail.insert(), [{"series_id": series_id, "stamp": stamp, "value": 1.0} for stamp in stamps])


def test_every_row_of_a_watched_series_is_read_once(reader: Reader) -> None:
    put(reader.database, 1, 2)
    put(reader.database, 9, series_id=2)
    put(reader.database, 3)
    assert [reader.read(most=2), reader.read(most=2), reader.read()] == [[1, 2], [3], []]


def test_who_was_overtaken_keeps_nothing(reader: Reader) -> None:
    before = reader.place()
    with reader.database.write() as tx:
        follow.disturb(tx, ME)
    with reader.database.write() as tx:
        assert follow.move(tx, before, before, NOW) is None


def test_a_follower_that_is_gone_keeps_the_sealer_waiting_for_a_while_only(reader: Reader) -> None:
    put(reader.database, 1, 2)
    with reader.database.read() as tx:
        span = tail_span(tx)
        assert span is not None
        assert follow.unread(tx, span, NOW) == span.lo
        assert follow.unread(tx, span, NOW + timedelta(hours=1)) == span.hi + 1


@pytest.mark.servers
def test_a_row_that_becomes_visible_late_is_read(postgres_url: str) -> None:
    """Two connections: the lower id is committed after the higher one has been read."""
    database = made(postgres_url)
    reader = Reader(database)
    put(database, 1)
    assert reader.read() == [1]
    with database.engine.connect() as slow, slow.begin():
        slow.execute(tail.insert(), [{"series_id": 1, "stamp": stamp, "value": 1.0} for stamp in (2, 3)])
        put(database, 4)
        assert reader.read() == [4]
        assert len(reader.place().holes) == 1
        with database.read() as tx:
            span = tail_span(tx)
            assert span is not None
            assert follow.unread(tx, span, NOW) == span.lo + 1, "what may still come is not sealed over"
        assert reader.read() == []
    assert reader.read() == [2, 3]
    assert reader.place().holes == ()
    assert reader.read() == []
    database.close()


@pytest.mark.servers
def test_a_hole_of_a_rolled_back_transaction_is_given_up(postgres_url: str) -> None:
    database = made(postgres_url)
    reader = Reader(database)
    with database.engine.connect() as slow:
        slow.execute(tail.insert(), [{"series_id": 1, "stamp": 1, "value": 1.0}])
        slow.rollback()
    put(database, 2)
    assert reader.read() == [2]
    assert len(reader.place().holes) == 1
    reader.now += timedelta(seconds=31)
    assert reader.read() == []
    assert reader.place().holes == ()
    database.close()


@pytest.mark.servers
def test_interleaved_transactions_with_many_holes_are_read_whole(postgres_url: str) -> None:
    database = made(postgres_url)
    reader = Reader(database)
    rows = MOST_HOLES * 2
    with database.engine.connect() as slow:
        for stamp in range(rows):
            slow.execute(tail.insert(), [{"series_id": 1, "stamp": stamp, "value": 1.0}])
            put(database, rows + stamp)
        first = reader.read(most=10_000)
        assert len(first) <= MOST_HOLES + 1, "it stops in front of what it cannot keep in mind"
        slow.commit()
    seen = first + [stamp for _ in range(4) for stamp in reader.read(most=10_000)]
    assert sorted(seen) == list(range(2 * rows))
    database.close()


def made(url: str) -> Database:
    database = Database(url)
    sa.MetaData.create_all(follower.metadata, database.engine)
    return database
