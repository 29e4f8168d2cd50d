"""Wrong tries are counted where they come from, on both databases."""

from pathlib import Path

import pytest

from waystation.identity.factors import jobs, lockout, store
from waystation.identity.factors.tests.conftest import People
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.secrets import KeyRing

ANN = b"ann"


class Door:
    def __init__(self, database: Database, clock: ManualClock) -> None:
        self.database = database
        self.clock = clock

    def knock(
        self, times: int = 1, *, account: bytes = ANN, browser_id: int | None = None, ip: str = "192.0.2.1"
    ) -> int:
        """How many of these wrong tries were let through."""
        done = 0
        for _ in range(times):
            with self.database.write() as tx:
                counted = lockout.count_password(tx, account, self.clock.now(), browser_id=browser_id, ip=ip)
            done += counted.wait_seconds is None
        return done


@pytest.fixture
def door(database: Database, clock: ManualClock) -> Door:
    return Door(database, clock)


def test_an_address_has_ten_wrong_tries_an_hour(door: Door) -> None:
    assert door.knock(15) == 10
    door.clock.turn(3599)
    assert door.knock() == 0
    door.clock.turn(1)
    assert door.knock(15) == 10


def test_a_client_has_one_share_in_its_whole_ipv6_network(door: Door) -> None:
    assert sum(door.knock(ip=f"2001:db8::{number:x}") for number in range(15)) == 10
    assert door.knock(ip="2001:db8:0:1::1") == 1


def test_one_address_cannot_use_up_what_all_strangers_share(door: Door) -> None:
    for _ in range(6):
        door.knock(25)
        door.clock.turn(3600)
    door.clock.turn(-3600)
    assert door.knock(ip="198.51.100.1") == 1


def test_all_strangers_together_have_a_hundred(door: Door) -> None:
    assert sum(door.knock(10, ip=f"203.0.113.{place}") for place in range(12)) == 100


def test_strangers_do_not_stop_a_known_browser_nor_the_one_the_other(door: Door) -> None:
    for place in range(12):
        door.knock(10, ip=f"203.0.113.{place}")
    assert door.knock(15, browser_id=1) == 10
    assert door.knock(15, browser_id=2) == 10


def test_what_is_guessed_at_one_account_stops_nobody_at_another(door: Door) -> None:
    door.knock(15)
    assert door.knock(account=b"bob") == 1


def test_a_right_try_is_given_back(door: Door) -> None:
    for _ in range(30):
        with door.database.write() as tx:
            counted = lockout.count_password(tx, ANN, door.clock.now(), browser_id=None, ip="192.0.2.1")
            assert counted.wait_seconds is None
            lockout.give_back(tx, counted)


def test_the_one_too_many_is_noticed_once(door: Door) -> None:
    closed = []
    for _ in range(13):
        with door.database.write() as tx:
            counted = lockout.count_password(tx, ANN, door.clock.now(), browser_id=None, ip=None)
        closed.append(counted.just_closed)
    assert closed == [False] * 10 + [True] + [False] * 2


def test_counts_are_kept_under_a_digest_that_only_this_hub_can_make(keys: KeyRing, tmp_path: Path) -> None:
    assert lockout.account_of(keys, " Ann@Example.org") == lockout.account_of(keys, "ann@example.org ")
    other = KeyRing(tmp_path / "other")
    assert lockout.account_of(other, "ann@example.org") != lockout.account_of(keys, "ann@example.org")


def test_forgiving_begins_the_counts_of_passwords_anew_but_not_of_codes(door: Door, keys: KeyRing) -> None:
    account, now = lockout.account_of(keys, "ann@example.org"), door.clock.now()
    door.knock(15, account=account)
    with door.database.write() as tx:
        for _ in range(11):
            lockout.count_code(tx, account, now, browser_id=None)
        lockout.forgive(tx, keys, "ann@example.org")
        assert lockout.count_code(tx, account, now, browser_id=None).wait_seconds is not None
    assert door.knock(account=account) == 1


def test_one_browser_is_known_for_each_who_signed_in_and_for_nobody_else(
    database: Database, people: People, clock: ManualClock
) -> None:
    ann, bob, now = people.ann.person_id, people.bob.person_id, clock.now()
    with database.write() as tx:
        first = lockout.remember(tx, ann, "", now)
        assert lockout.browser_of(tx, ann, first, now) is not None
        assert lockout.browser_of(tx, bob, first, now) is None
        second = lockout.remember(tx, bob, first, now)
        assert lockout.browser_of(tx, ann, first, now) is None
        known = [lockout.browser_of(tx, who, second, now) for who in (ann, bob)]
        assert None not in known
        assert len(set(known)) == 2
        assert lockout.browser_of(tx, None, second, now) is None
        assert lockout.forget_browsers(tx, ann) == 1
        assert lockout.browser_of(tx, ann, second, now) is None


def test_a_browser_that_stays_away_for_long_is_a_stranger(
    database: Database, people: People, clock: ManualClock
) -> None:
    with database.write() as tx:
        secret = lockout.remember(tx, people.ann.person_id, "", clock.now())
    clock.turn(401 * 86400)
    with database.write() as tx:
        assert lockout.browser_of(tx, people.ann.person_id, secret, clock.now()) is None
        assert jobs.forget_wrong_tries(tx, clock.now()) == 1


def test_counts_that_have_run_out_are_swept_and_others_not(door: Door) -> None:
    door.knock(3)
    door.clock.turn(6 * 3600 + 1)
    door.knock(account=b"bob")
    with door.database.write() as tx:
        assert jobs.forget_wrong_tries(tx, door.clock.now()) == 2
        assert tx.scalar(store.sign_in_tries.select().with_only_columns(store.sign_in_tries.c.account)) == b"bob"
