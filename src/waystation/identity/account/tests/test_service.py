"""Names, e-mail address and password of a person, and what a new password ends."""

from dataclasses import replace

import pytest

from waystation.identity import account, logins, service, store
from waystation.identity.account.model import NewPassword
from waystation.identity.account.tests.conftest import PASSWORD, People
from waystation.kernel import audit, mail, outbox
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, Invalid, NotFound

NEW = "quite another set of words"


def notices(database: Database) -> list[str]:
    with database.read() as tx:
        return [row.subject for row in tx.all(outbox.outbox.select().where(outbox.outbox.c.kind == outbox.NOTICE))]


def deeds(database: Database) -> list[str]:
    with database.read() as tx:
        return [row.did for row in tx.all(audit.audit.select().order_by(audit.audit.c.id))]


def new_password(database: Database, person_id: int, old: str = PASSWORD, new: str = NEW) -> NewPassword:
    with database.read() as tx:
        row = account.person(tx, person_id)
    return account.replace_password(row, old=old, new=new)


def test_a_changed_name_is_trimmed_and_shown_whole(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        account.change_names(tx, people.ann, clock.now(), first_name="  Ann  ", last_name="van  Dyke")
        found = account.profile(tx, people.ann.person_id)
    assert (found.first_name, found.last_name, found.name) == ("Ann", "van Dyke", "Ann van Dyke")
    assert deeds(database)[-1] == "changed a name"


def test_without_names_a_person_is_called_by_the_address(
    database: Database, people: People, clock: ManualClock
) -> None:
    with database.write() as tx:
        account.change_names(tx, people.ann, clock.now(), first_name="Ann", last_name="")
        account.change_names(tx, people.ann, clock.now(), first_name="", last_name="")
        assert account.profile(tx, people.ann.person_id).name == "ann"


@pytest.mark.parametrize("name", ["a" * 61, "zero\0byte", "bell\a"])
def test_a_name_that_is_no_name_is_refused(database: Database, people: People, clock: ManualClock, name: str) -> None:
    with database.write() as tx, pytest.raises(Invalid):
        account.change_names(tx, people.ann, clock.now(), first_name=name, last_name="")


def test_an_address_is_changed_and_the_old_one_told(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        account.change_email(tx, replace(people.ann, mails=True), clock.now(), email=" ann@New.example ")
        assert account.profile(tx, people.ann.person_id).email == "ann@new.example"
        [told] = mail.waiting(tx)
    assert told.letter.to == "ann@example.org"
    assert "ann@new.example" in told.letter.text


def test_an_address_belongs_to_one_account(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx, pytest.raises(Conflict):
        account.change_email(tx, people.ann, clock.now(), email="BOB@example.org")
    with database.write() as tx:
        account.change_email(tx, people.ann, clock.now(), email="Ann@example.org")
        assert account.profile(tx, people.ann.person_id).email == "Ann@example.org"


def test_a_disabled_persons_address_stays_theirs(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        account.people.disable(tx, people.ann.by, people.bob.person_id, clock.now())
        with pytest.raises(Conflict):
            account.change_email(tx, people.ann, clock.now(), email="bob@example.org")


def test_a_new_password_ends_every_other_session_and_app__SH_2(
    database: Database, people: People, clock: ManualClock
) -> None:
    ann, now = people.ann, clock.now()
    with database.write() as tx:
        other = service.open_session(tx, ann.person_id, now, ip=None, agent=None)
        app = logins.log_in(tx, ann.person_id, now, ip=None, agent="okhttp/4.9")
        account.change_password(tx, ann, now, password=new_password(database, ann.person_id))
        assert store.live_login(tx, app.login_id) is None
        assert logins.stay(tx, app.refresh or "", now) is None
        row = store.person_by_id(tx, ann.person_id)
    assert row is not None
    assert service.password_fits(NEW, row.password_hash)
    assert not service.password_fits(PASSWORD, row.password_hash)
    assert sorted(notices(database)) == sorted([f"session.ended.{other.id}", f"login.ended.{app.login_id}"])


def test_an_app_that_changes_the_password_stays_logged_in(
    database: Database, people: People, clock: ManualClock
) -> None:
    now = clock.now()
    with database.write() as tx:
        app = logins.log_in(tx, people.ann.person_id, now, ip=None, agent=None)
        mine = replace(people.ann, session_id=None, login_id=app.login_id)
        account.change_password(tx, mine, now, password=new_password(database, mine.person_id))
        assert store.live_login(tx, app.login_id) is not None
    assert notices(database) == [f"session.ended.{people.ann.session_id}"]


def test_other_sessions_stay_when_the_person_wants_it(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        service.open_session(tx, people.ann.person_id, clock.now(), ip=None, agent=None)
        password = new_password(database, people.ann.person_id)
        account.change_password(tx, people.ann, clock.now(), password=password, sign_out_elsewhere=False)
    assert notices(database) == []


def test_of_two_changes_at_once_the_second_is_refused(database: Database, people: People, clock: ManualClock) -> None:
    first = new_password(database, people.ann.person_id)
    second = new_password(database, people.ann.person_id, new="one more set of words")
    with database.write() as tx:
        account.change_password(tx, people.ann, clock.now(), password=first)
    with database.write() as tx, pytest.raises(Conflict):
        account.change_password(tx, people.ann, clock.now(), password=second)


@pytest.mark.parametrize(("old", "new"), [("wrong as can be", NEW), (PASSWORD, PASSWORD), (PASSWORD, "short")])
def test_a_password_that_may_not_be_changed_so(database: Database, people: People, old: str, new: str) -> None:
    with pytest.raises(Invalid):
        new_password(database, people.ann.person_id, old=old, new=new)


def test_who_has_no_password_chooses_a_first_one_and_proves_none(
    database: Database, people: People, clock: ManualClock
) -> None:
    with database.write() as tx:
        person_id = store.add_person(tx, email="eve@example.org", name="eve", password_hash="", now=clock.now())
        with pytest.raises(account.WrongPassword):
            account.prove("", account.person(tx, person_id).password_hash)
    password = new_password(database, person_id, old="")
    with database.write() as tx:
        account.change_password(tx, replace(people.ann, person_id=person_id), clock.now(), password=password)
        assert account.profile(tx, person_id).has_password


def test_a_disabled_person_is_out_at_once_and_comes_back_with_the_same_password(
    database: Database, people: People, clock: ManualClock
) -> None:
    bob, now = people.bob.person_id, clock.now()
    with database.write() as tx:
        app = logins.log_in(tx, bob, now, ip=None, agent=None)
        account.people.disable(tx, people.ann.by, bob, now)
        assert store.person_by_id(tx, bob) is None
        assert logins.stay(tx, app.refresh or "", now) is None
        with pytest.raises(Conflict):
            account.people.disable(tx, people.ann.by, bob, now)
    assert set(notices(database)) == {f"session.ended.{people.bob.session_id}", f"login.ended.{app.login_id}"}
    with database.write() as tx:
        account.people.enable(tx, people.ann.by, bob, now)
        assert store.person_by_email(tx, "bob@example.org") is not None
        with pytest.raises(Conflict):
            account.people.enable(tx, people.ann.by, bob, now)


def test_nobody_disables_themselves_or_nobody(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        with pytest.raises(Conflict):
            account.people.disable(tx, people.ann.by, people.ann.person_id, clock.now())
        with pytest.raises(NotFound):
            account.people.disable(tx, people.ann.by, 4711, clock.now())
