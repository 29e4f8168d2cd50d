"""Where a person is signed in, seen and ended by nobody else."""

from datetime import timedelta

import pytest

from waystation.identity import account, logins, service
from waystation.identity.account.model import Whereabouts
from waystation.identity.account.tests.conftest import People
from waystation.identity.account.whereabouts import whereabouts
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import NotFound

IDLE = timedelta(hours=2.5)


def found(database: Database, people: People, clock: ManualClock) -> list[Whereabouts]:
    with database.read() as tx:
        return whereabouts(tx, people.ann, clock.now(), idle=IDLE)


def test_browsers_and_apps_are_listed_this_one_first(database: Database, people: People, clock: ManualClock) -> None:
    clock.turn(60)
    with database.write() as tx:
        service.open_session(tx, people.ann.person_id, clock.now(), ip="192.0.2.7", agent="Chrome/140.0 Android")
        logins.log_in(tx, people.ann.person_id, clock.now(), ip="192.0.2.8", agent="okhttp/4.9")
    first, *others = found(database, people, clock)
    assert (first.name, first.ip, first.is_this_one) == ("Firefox on Linux", "192.0.2.1", True)
    assert {(one.name, one.ip, one.is_app) for one in others} == {
        ("Chrome on Android", "192.0.2.7", False),
        ("okhttp", "192.0.2.8", True),
    }


def test_what_was_idle_too_long_is_not_listed(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        logins.log_in(tx, people.ann.person_id, clock.now(), ip=None, agent=None)
    clock.turn(IDLE.total_seconds())
    assert [one.is_app for one in found(database, people, clock)] == [True]
    clock.turn(logins.REFRESH_LIFETIME.total_seconds())
    assert found(database, people, clock) == []


def test_nobody_signs_another_person_out(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        app = logins.log_in(tx, people.bob.person_id, clock.now(), ip=None, agent=None)
        with pytest.raises(NotFound):
            account.sign_out_browser(tx, people.ann, clock.now(), people.bob.session_id or 0)
        with pytest.raises(NotFound):
            account.sign_out_app(tx, people.ann, clock.now(), app.login_id)
        assert len(whereabouts(tx, people.bob, clock.now(), idle=IDLE)) == 2


def test_signing_out_elsewhere_leaves_this_one(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        other = service.open_session(tx, people.ann.person_id, clock.now(), ip=None, agent=None)
        app = logins.log_in(tx, people.ann.person_id, clock.now(), ip=None, agent=None)
        account.sign_out_browser(tx, people.ann, clock.now(), other.id)
        with pytest.raises(NotFound):
            account.sign_out_browser(tx, people.ann, clock.now(), other.id)
        assert account.sign_out_elsewhere(tx, people.ann, clock.now()) == 1
        with pytest.raises(NotFound):
            account.sign_out_app(tx, people.ann, clock.now(), app.login_id)
    assert [one.is_this_one for one in found(database, people, clock)] == [True]
    with database.write() as tx:
        assert account.people.sign_out_everywhere(tx, people.bob.by, people.ann.person_id, clock.now()) == 1
        assert len(whereabouts(tx, people.bob, clock.now(), idle=IDLE)) == 1
