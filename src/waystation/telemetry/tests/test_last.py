"""The last value of a series, of which a process remembers the newest of the tail."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from waystation.kernel.db import Database, Tx
from waystation.telemetry import seal, store
from waystation.telemetry.last import last_values
from waystation.telemetry.model import Kind, Stamped, own
from waystation.telemetry.tests.test_seal import put

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def last(database: Database, *devices: int) -> dict[int, float | str]:
    with database.read() as tx:
        return {one.series.device_id: one.value for one in last_values(tx, devices)}


def test_what_came_since_is_known_and_what_came_late_changes_nothing(database: Database) -> None:
    put(database, 1, {5: 5.5})
    assert last(database, 1, 2) == {1: 5.5}
    put(database, 2, {1: "open"})
    put(database, 1, {4: 4.5, 5: 0.5})
    assert last(database, 1, 2) == {1: 5.5, 2: "open"}
    put(database, 1, {6: 6.5})
    assert last(database, 1) == {1: 6.5}


def test_a_sealed_value_counts_until_a_newer_one_comes(database: Database) -> None:
    put(database, 1, {5: 5.5})
    assert last(database, 1) == {1: 5.5}
    seal.seal(database, NOW)
    put(database, 1, {4: 4.5})
    assert last(database, 1) == {1: 5.5}
    put(database, 1, {6: 6.5})
    assert last(database, 1) == {1: 6.5}


def test_what_was_rolled_back_was_never_known(database: Database) -> None:
    put(database, 1, {5: 5.5})
    with suppress(ZeroDivisionError), database.write() as tx:
        append(tx, 1, 6, 6.5)
        assert [one.value for one in last_values(tx, [1])] == [6.5]
        raise ZeroDivisionError
    assert last(database, 1) == {1: 5.5}


def test_a_view_that_began_before_does_not_make_the_next_one_forget(database: Database) -> None:
    put(database, 1, {5: 5.5})
    with database.read() as earlier:
        assert last_values(earlier, [1])
        put(database, 1, {6: 6.5})
        put(database, 2, {1: 1.5})
        seal.seal(database, NOW)
        put(database, 1, {7: 7.5})
        assert last(database, 1, 2) == {1: 7.5, 2: 1.5}
        assert [one.value for one in last_values(earlier, [1])] == [5.5]
        assert last(database, 1, 2) == {1: 7.5, 2: 1.5}


@pytest.mark.servers
def test_a_row_that_is_committed_after_a_later_one_on_postgresql_is_seen(postgres_url: str) -> None:
    database = Database(postgres_url)
    store.metadata.create_all(database.engine)
    put(database, 1, {1: 1.5})
    put(database, 2, {1: 1.5})
    slow = database.write()
    append(slow.__enter__(), 1, 9, 9.5)
    put(database, 2, {2: 2.5})
    assert last(database, 1, 2) == {1: 1.5, 2: 2.5}
    slow.__exit__(None, None, None)
    assert last(database, 1, 2) == {1: 9.5, 2: 2.5}
    database.close()


def append(tx: Tx, device: int, at: int, value: Any) -> None:
    store.append(tx, store.SeriesIds(), [Stamped(device, [("m", Kind.NUMBER, own(at), value)])])
