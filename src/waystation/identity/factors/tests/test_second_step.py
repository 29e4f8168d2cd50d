"""Apps, recovery codes and the second step as services, on both databases."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyotp import TOTP

from waystation.identity.factors import model, service, store, totp
from waystation.identity.factors.tests.conftest import People, notes
from waystation.kernel import mail, outbox
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def set_up(database: Database, sealing: Sealing, people: People, clock: ManualClock) -> tuple[TOTP, list[str]]:
    with database.write() as tx:
        phone = TOTP(totp.offer(tx, sealing, people.ann.person_id, clock.now()))
    with database.write() as tx:
        return phone, service.confirm_app(tx, sealing, people.ann, clock.now(), code=phone.at(clock.now()))


def mailed(database: Database) -> list[str]:
    with database.read() as tx:
        rows = tx.all(outbox.outbox.select().where(outbox.outbox.c.kind == mail.MAIL).order_by(outbox.outbox.c.id))
    return [msgspec.json.decode(row.body)["text"] for row in rows]


@given(shift=st.integers(-200, 200), start=st.integers(600, 4_000_000_000))
def test_a_code_fits_for_its_step_and_the_ones_beside_it(shift: int, start: int) -> None:
    now = ManualClock().at.fromtimestamp(start + 60, ManualClock().at.tzinfo)
    code = TOTP(SECRET).at(now + timedelta(seconds=shift))
    step = model.step_of(now) - model.step_of(now + timedelta(seconds=shift))
    found = model.matching_step(SECRET, code, now, after=0)
    if abs(step) <= 1:
        assert found is not None
    elif found is not None:
        assert TOTP(SECRET).generate_otp(found) == code  # the same six digits by chance


@given(st.text(max_size=20))
def test_no_text_that_is_no_code_fits(typed: str) -> None:
    now = ManualClock().at
    found = model.matching_step(SECRET, typed, now, after=0)
    assert found is None or TOTP(SECRET).generate_otp(found) == "".join(typed.split())


def test_a_used_step_and_all_before_it_are_spent() -> None:
    now = ManualClock().at
    here = model.step_of(now)
    before = TOTP(SECRET).generate_otp(here - 1)
    assert model.matching_step(SECRET, before, now, after=0) == here - 1
    assert model.matching_step(SECRET, before, now, after=here - 1) is None
    assert model.matching_step(SECRET, before, now, after=here) is None


def test_an_app_counts_only_after_its_first_code(
    database: Database, people: People, sealing: Sealing, clock: ManualClock
) -> None:
    with database.write() as tx:
        secret = totp.offer(tx, sealing, people.ann.person_id, clock.now())
        assert not service.factors(tx, people.ann.person_id).second_step
        with pytest.raises(Invalid, match="does not fit"):
            service.confirm_app(tx, sealing, people.ann, clock.now(), code="000000")
        code = TOTP(secret).at(clock.now())
        assert service.code_fits(tx, sealing, people.ann.person_id, clock.now(), code=code) is None
        codes = service.confirm_app(tx, sealing, people.ann, clock.now(), code=code)
        found = service.factors(tx, people.ann.person_id)
    assert (found.second_step, found.app, found.recovery_codes) == (True, True, len(codes))


def test_the_secret_is_not_to_be_read_from_the_database(
    database: Database, people: People, sealing: Sealing, clock: ManualClock
) -> None:
    phone, codes = set_up(database, sealing, people, clock)
    with database.read() as tx:
        row = store.totp_of(tx, people.ann.person_id)
        digests = [one.digest for one in tx.all(store.recovery_code.select())]
    assert row is not None
    assert phone.secret.encode() not in row.secret
    assert not any(code.encode() in digest for code in codes for digest in digests)


def test_an_offer_is_replaced_by_the_next_but_never_a_confirmed_app(
    database: Database, people: People, sealing: Sealing, clock: ManualClock
) -> None:
    with database.write() as tx:
        first = totp.offer(tx, sealing, people.ann.person_id, clock.now())
        second = totp.offer(tx, sealing, people.ann.person_id, clock.now())
        with pytest.raises(Invalid):
            totp.confirm(tx, sealing, people.ann.person_id, clock.now(), code=TOTP(first).at(clock.now()))
        totp.confirm(tx, sealing, people.ann.person_id, clock.now(), code=TOTP(second).at(clock.now()))
        with pytest.raises(Conflict):
            totp.offer(tx, sealing, people.ann.person_id, clock.now())
        with pytest.raises(NotFound):
            totp.confirm(tx, sealing, people.ann.person_id, clock.now(), code=TOTP(second).at(clock.now()))


def test_a_recovery_code_is_good_once_and_for_its_person_only(
    database: Database, people: People, sealing: Sealing, clock: ManualClock
) -> None:
    _, codes = set_up(database, sealing, people, clock)
    with database.write() as tx:
        fits = [
            service.code_fits(tx, sealing, who.person_id, clock.now(), code=codes[0])
            for who in (people.bob, people.ann, people.ann)
        ]
        left = service.factors(tx, people.ann.person_id).recovery_codes
    assert fits == [None, "recovery code", None]
    assert left == 9


def test_switching_off_takes_app_codes_and_waiting_sign_ins_away(
    database: Database, people: People, sealing: Sealing, clock: ManualClock
) -> None:
    _, codes = set_up(database, sealing, people, clock)
    with database.write() as tx:
        waiting = service.begin(tx, people.ann.person_id, clock.now(), wanted="/")
        service.switch_off(tx, people.ann, clock.now())
        assert service.pending(tx, waiting, clock.now()) is None
        found = service.factors(tx, people.ann.person_id)
        assert (found.second_step, found.app, found.recovery_codes) == (False, False, 0)
        assert service.code_fits(tx, sealing, people.ann.person_id, clock.now(), code=codes[0]) is None
    with database.write() as tx, pytest.raises(Conflict):
        service.switch_off(tx, people.ann, clock.now())


def test_every_change_is_noted_and_told_by_mail(
    database: Database, people: People, sealing: Sealing, clock: ManualClock
) -> None:
    set_up(database, sealing, people, clock)
    with database.write() as tx:
        service.new_recovery_codes(tx, people.ann, clock.now())
        service.switch_off(tx, people.ann, clock.now())
    assert [note.split(": ")[1] for note in notes(database)] == [
        "set up an authenticator app person:ann@example.org",
        "made new recovery codes person:ann@example.org",
        "switched the second step off person:ann@example.org",
    ]
    assert [text.split(".")[0] for text in mailed(database)] == [
        "An authenticator app was set up for your account",
        "New recovery codes were made; the earlier ones no longer work",
        "The second step was switched off: your password alone signs you in",
    ]


def test_an_administrator_can_take_everything_away_from_who_lost_it(
    database: Database, people: People, sealing: Sealing, clock: ManualClock
) -> None:
    set_up(database, sealing, people, clock)
    with database.write() as tx:
        service.clear(tx, service.Mine(people.ann.person_id, people.bob.by), clock.now())
        assert service.factors(tx, people.ann.person_id) == model.Factors(
            second_step=False, app=False, passkeys=0, recovery_codes=0
        )
    assert notes(database)[-1].startswith("person:bob@example.org: removed the second step")


def test_passkeys_as_second_step_need_a_passkey_and_go_with_the_last(
    database: Database, people: People, clock: ManualClock
) -> None:
    facts = {"site": "localhost", "public_key": b"", "uses": 0, "is_synced": False}
    with database.write() as tx, pytest.raises(Conflict, match="add a passkey first"):
        service.use_passkeys_as_second_step(tx, people.ann, clock.now())
    with database.write() as tx:
        made = [
            store.add_passkey(tx, people.ann.person_id, name, clock.now(), credential_id=name.encode(), **facts)
            for name in ("phone", "key")
        ]
        assert store.add_passkey(tx, people.bob.person_id, "x", clock.now(), credential_id=b"key", **facts) is None
        assert len(service.use_passkeys_as_second_step(tx, people.ann, clock.now())) == 10
        service.delete_passkey(tx, people.ann, clock.now(), passkey_id=made[0] or 0)
        assert service.factors(tx, people.ann.person_id).second_step
        service.delete_passkey(tx, people.ann, clock.now(), passkey_id=made[1] or 0)
        assert not service.factors(tx, people.ann.person_id).second_step


def test_nobody_touches_a_passkey_of_somebody_else(database: Database, people: People, clock: ManualClock) -> None:
    facts = {"site": "localhost", "credential_id": b"1", "public_key": b"", "uses": 0, "is_synced": False}
    with database.write() as tx:
        made = store.add_passkey(tx, people.ann.person_id, "phone", clock.now(), **facts) or 0
        for act in (service.rename_passkey, service.delete_passkey):
            more = {"name": "mine"} if act is service.rename_passkey else {}
            with pytest.raises(NotFound):
                act(tx, people.bob, clock.now(), passkey_id=made, **more)  # type: ignore[arg-type]


def test_secrets_of_apps_move_to_a_new_key(
    database: Database, people: People, sealing: Sealing, keys: KeyRing, clock: ManualClock
) -> None:
    phone, _ = set_up(database, sealing, people, clock)
    sealing.replace_key()
    with database.write() as tx:
        assert totp.reseal(tx, sealing) == 1
    keys.forget_earlier("sealing")
    clock.turn(60)
    with database.write() as tx:
        assert totp.fits(tx, sealing, people.ann.person_id, clock.now(), code=phone.at(clock.now()))


def test_who_signed_in_ten_minutes_ago_is_asked_again(database: Database, people: People, clock: ManualClock) -> None:
    with database.write() as tx:
        assert service.is_confirmed(tx, people.ann, clock.now())
        clock.turn(600)
        assert not service.is_confirmed(tx, people.ann, clock.now())
        store.confirm_session(tx, people.ann.session_id, clock.now())
        assert service.is_confirmed(tx, people.ann, clock.now())
        assert not service.is_confirmed(tx, people.bob, clock.now())
