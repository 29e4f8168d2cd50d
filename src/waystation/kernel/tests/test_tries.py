from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import TooMany
from waystation.kernel.limits import Limiter
from waystation.kernel.tries import Tries, counted, forget_tries, tries

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = 1_000_000


def let_through(limiter: Limiter, count: int, who: str = "192.0.2.7") -> int:
    return sum([is_let_through(limiter, who) for _ in range(count)])


def is_let_through(limiter: Limiter, who: str) -> bool:
    try:
        limiter.limit("5/minute", "sign in", who)
    except TooMany as refused:
        return not refused.retry_after_seconds
    return True


@given(pauses=st.lists(st.integers(0, 30 * SECOND), max_size=60), most=st.integers(1, 10))
def test_no_window_holds_more_than_it_may_and_a_try_is_refused_only_then(pauses: Sequence[int], most: int) -> None:
    now, kept, passed = NOON.second, list[int](), list[int]()
    for pause in pauses:
        now += pause
        in_window = sum(now - 60 * SECOND < at for at in passed)
        kept, wait = counted(kept, now, most, 60 * SECOND)
        assert (wait == 0) == (in_window < most)
        if wait:
            then = now + wait - 60 * SECOND
            assert sum(then < at for at in passed) < most == sum(then - 1 < at for at in passed)
        else:
            passed.append(now)
        assert len(kept) <= most


def test_processes_with_one_database_count_together__G_16(database: Database) -> None:
    clock = ManualClock(NOON)
    one, other = (Limiter(tries=Tries(database, clock)) for _ in range(2))
    assert [let_through(limiter, 2) for limiter in (one, other, one, other)] == [2, 2, 1, 0]
    assert let_through(other, 9, "192.0.2.8") == 5
    clock.turn(61)
    assert let_through(one, 9) == 5


def test_of_many_at_once_exactly_so_many_are_let_through(database: Database) -> None:
    limiters = [Limiter(tries=Tries(database, ManualClock(NOON))) for _ in range(2)]
    with ThreadPoolExecutor(8) as threads:
        passed = list(threads.map(lambda n: is_let_through(limiters[n % 2], "192.0.2.7"), range(24)))
    assert sum(passed) == 5


def test_what_no_window_holds_any_more_is_forgotten(database: Database) -> None:
    clock = ManualClock(NOON)
    limiter = Limiter(tries=Tries(database, clock))
    for who in ("ann", "bob"):
        limiter.limit("5/minute", "sign in", who)
    limiter.limit("5/hour", "invite", "ann")
    clock.turn(120)
    with database.write() as tx:
        assert forget_tries(tx, clock.now()) == 2
        assert len(tx.all(tries.select())) == 1


def test_no_address_is_readable_where_tries_are_counted(database: Database) -> None:
    Limiter(tries=Tries(database, ManualClock(NOON))).limit("5/minute", "sign in", "192.0.2.7")
    with database.read() as tx:
        assert "192.0.2.7" not in str(tx.all(tries.select()))


@pytest.mark.servers
def test_a_database_that_is_away_stops_nobody_who_may_try() -> None:
    nowhere = Tries(Database("postgresql+psycopg://nobody@127.0.0.1:1/nothing?connect_timeout=1"), ManualClock(NOON))
    limiter = Limiter(tries=nowhere)
    with capture_logs() as lines:
        assert let_through(limiter, 7) == 5
    assert {line["log_level"] for line in lines} == {"warning"}
    limiter.close()
