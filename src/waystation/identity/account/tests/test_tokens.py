"""API tokens of people: theirs alone, counted, and ended at once."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.identity import account, store
from waystation.identity.account.model import (
    MOST_NAME,
    MOST_TOKENS,
    Mine,
    NewToken,
    Scope,
    check_token_name,
    parse_days,
)
from waystation.identity.account.tests.conftest import People
from waystation.kernel import mail, outbox, secrets
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, Invalid, NotFound


def make(database: Database, mine: Mine, clock: ManualClock, days: int | None = 30) -> tuple[int, str]:
    with database.write() as tx:
        text = account.make_token(tx, mine, clock.now(), NewToken("solar", Scope.READ, days))
        return account.tokens(tx, mine.person_id, clock.now())[0].id, text


def notices(database: Database) -> list[str]:
    with database.read() as tx:
        return [row.subject for row in tx.all(outbox.outbox.select().where(outbox.outbox.c.kind == outbox.NOTICE))]


def test_a_token_is_kept_without_its_text(database: Database, people: People, clock: ManualClock) -> None:
    number, text = make(database, people.ann, clock)
    with database.read() as tx:
        [shown] = account.tokens(tx, people.ann.person_id, clock.now())
        row = store.live_token(tx, secrets.digest(text), clock.now())
        stored = tx.all(store.api_token.select())
    assert (shown.id, shown.hint, shown.role) == (number, f"{text[:7]}…", "viewer")
    assert row is not None
    assert row.person_id == people.ann.person_id
    assert text not in repr(stored)


def test_only_its_person_revokes_a_token_and_once(database: Database, people: People, clock: ManualClock) -> None:
    number, text = make(database, people.ann, clock)
    with database.write() as tx:
        with pytest.raises(NotFound):
            account.revoke_token(tx, people.bob, clock.now(), number)
        assert account.revoke_token(tx, people.ann, clock.now(), number) == "solar"
        with pytest.raises(NotFound):
            account.revoke_token(tx, people.ann, clock.now(), number)
        assert store.live_token(tx, secrets.digest(text), clock.now()) is None
    assert notices(database) == [f"token.ended.{number}"]


def test_an_expired_token_is_listed_as_such(database: Database, people: People, clock: ManualClock) -> None:
    make(database, people.ann, clock)
    make(database, people.ann, clock, days=None)
    clock.turn(timedelta(days=30).total_seconds())
    with database.read() as tx:
        listed = account.tokens(tx, people.ann.person_id, clock.now())
    assert [token.has_expired for token in listed] == [False, True]


def test_a_person_has_so_many_tokens_and_no_more(database: Database, people: People, clock: ManualClock) -> None:
    for _ in range(MOST_TOKENS):
        make(database, people.ann, clock)
    with pytest.raises(Conflict):
        make(database, people.ann, clock)
    make(database, people.bob, clock)


def test_disabling_a_person_ends_what_their_tokens_keep_open(
    database: Database, people: People, clock: ManualClock
) -> None:
    number, text = make(database, people.bob, clock)
    with database.write() as tx:
        account.people.disable(tx, people.ann.by, people.bob.person_id, clock.now())
        assert store.live_token(tx, secrets.digest(text), clock.now()) is None
    assert f"token.ended.{number}" in notices(database)


def test_a_person_is_told_of_a_new_token(database: Database, people: People, clock: ManualClock) -> None:
    _, text = make(database, Mine(people.ann.person_id, people.ann.by, mails=True), clock)
    with database.read() as tx:
        [letter] = [one.letter for one in mail.waiting(tx)]
    assert "solar" in letter.text
    assert text not in letter.text


@given(st.text(max_size=80))
def test_a_name_that_is_taken_can_be_stored_and_shown(text: str) -> None:
    with suppress(Invalid):
        name = check_token_name(text)
        assert name == name.strip()
        assert name.isprintable()
        assert 0 < len(name) <= MOST_NAME


@given(st.text(max_size=6))
def test_a_token_lasts_as_long_as_the_form_offers(text: str) -> None:
    with suppress(Invalid):
        assert parse_days(text) in (None, 30, 90, 365)
