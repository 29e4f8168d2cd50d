"""Links by which a forgotten password is replaced: once, in time, by nobody else."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from waystation.identity import service, store
from waystation.identity.account import jobs, resets
from waystation.identity.account import people as accounts
from waystation.identity.account.model import LINK_LIFETIME, Mine
from waystation.identity.account.service import first_password
from waystation.identity.account.tests.conftest import PASSWORD, People
from waystation.kernel import mail
from waystation.kernel.audit import COMMAND_LINE, Actor
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import NotFound
from waystation.kernel.secrets import KeyRing

NEW = "quite another set of words"
Use = Callable[[str], None]


@pytest.fixture
def use(database: Database, clock: ManualClock, tmp_path: Path) -> Use:
    def used(secret: str) -> None:
        with database.read() as tx:
            row = resets.whose(tx, secret, clock.now())
        mine = Mine(row.id, Actor(f"person:{row.email}"))
        password = first_password(row, NEW)
        with database.write() as tx:
            resets.use_link(tx, secret, mine, clock.now(), keys=KeyRing(tmp_path / "keys"), password=password)

    return used


def link(database: Database, people: People, clock: ManualClock) -> str:
    with database.write() as tx:
        return accounts.reset_link(tx, COMMAND_LINE, people.ann.person_id, clock.now())


def fits(database: Database, password: str) -> bool:
    with database.read() as tx:
        row = store.person_by_email(tx, "ann@example.org")
    return row is not None and service.password_fits(password, row.password_hash)


def test_a_link_sets_the_password_once_and_signs_out_everywhere(
    database: Database, people: People, clock: ManualClock, use: Use
) -> None:
    secret = link(database, people, clock)
    use(secret)
    assert fits(database, NEW)
    with pytest.raises(NotFound):
        use(secret)
    with database.read() as tx:
        row = tx.first(store.session.select().where(store.session.c.person_id == people.ann.person_id))
    assert row is None


def test_a_link_is_good_for_a_day(database: Database, people: People, clock: ManualClock, use: Use) -> None:
    secret = link(database, people, clock)
    clock.turn(LINK_LIFETIME.total_seconds())
    with pytest.raises(NotFound):
        use(secret)
    assert fits(database, PASSWORD)


def test_using_one_link_ends_the_others(database: Database, people: People, clock: ManualClock, use: Use) -> None:
    first, second = link(database, people, clock), link(database, people, clock)
    use(first)
    with pytest.raises(NotFound):
        use(second)


def test_a_disabled_persons_link_opens_nothing(
    database: Database, people: People, clock: ManualClock, use: Use
) -> None:
    secret = link(database, people, clock)
    with database.write() as tx:
        accounts.disable(tx, COMMAND_LINE, people.ann.person_id, clock.now())
        accounts.enable(tx, COMMAND_LINE, people.ann.person_id, clock.now())
    with pytest.raises(NotFound):
        use(secret)


def test_only_who_has_an_account_gets_mail(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        for email in ("ANN@example.org", "nobody@example.org"):
            resets.mail_link(tx, Actor("nobody"), clock.now(), email=email, site="http://hub")
        [letter] = [one.letter for one in mail.waiting(tx)]
    assert letter.to == "ann@example.org"
    assert "http://hub/reset/" in letter.text
    assert "60 minutes" in letter.text


def test_expired_links_are_forgotten(database: Database, people: People, clock: ManualClock) -> None:
    link(database, people, clock)
    with database.write() as tx:
        assert jobs.forget_reset_links(tx, clock.now()) == 0
        assert jobs.forget_reset_links(tx, clock.now() + LINK_LIFETIME + timedelta(seconds=1)) == 1
