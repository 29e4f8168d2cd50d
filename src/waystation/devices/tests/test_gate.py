import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from waystation import devices
from waystation.devices import edges, store
from waystation.devices.gate import WRONG, parse
from waystation.devices.tests.registry import OWNER, Registry, proof
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError, Refused, Unauthenticated

MALFORMED = [None, b"", b"Device", b"Device ", b"Device me", b"Device :key", b"Device me:", b"Basic a:b", b"Bearer "]


class Counted:
    """Counts the transactions that read, and does something at the end of the next one."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        self.then: Callable[[], None] = lambda: None
        opened = database.read

        class Watching:
            def __enter__(inner) -> Tx:  # noqa: N805
                self.reads += 1
                inner.context = opened()
                return inner.context.__enter__()

            def __exit__(inner, *fault: object) -> bool | None:  # noqa: N805
                ended = inner.context.__exit__(*fault)
                self.then()
                return ended

        monkeypatch.setattr(database, "read", Watching)


@pytest.fixture
def counted(site: Registry, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counted]:
    return lambda: Counted(site.database, monkeypatch)


def test_a_device_is_admitted_by_serial_key_or_bearer(site: Registry) -> None:
    made = site.register(serial="SN-7")
    for header in (proof(made), proof(made, name=made.key), f"bearer {made.api_key}".encode()):
        assert site.admit(header).key == made.key


@pytest.mark.parametrize("header", MALFORMED)
def test_nothing_or_nothing_readable_is_401__G_8(site: Registry, header: bytes | None) -> None:
    assert site.answer(header) == 401
    with pytest.raises(Unauthenticated):
        parse(header)


def test_a_wrong_key_and_an_unknown_device_read_the_same__G_7(site: Registry) -> None:
    made, other = site.register(), site.register("Cellar")
    wrong = [
        f"Device {made.serial}:{'x' * 43}".encode(),
        f"Device nobody:{'x' * 43}".encode(),
        f"Device {made.serial}:{other.api_key}".encode(),
        f"Device nobody:{made.api_key}".encode(),
        f"Bearer {'x' * 43}".encode(),
    ]
    told = set()
    for header in wrong:
        with pytest.raises(DomainError) as refused:
            site.admit(header)
        told.add((refused.value.status, refused.value.sentence))
    assert told == {(403, "Invalid device credentials")}


def test_what_was_proven_is_known_without_the_database(site: Registry, counted: Callable[[], Counted]) -> None:
    made = site.register()
    site.admit(proof(made))
    looked = counted()
    assert site.admit(proof(made)).key == made.key
    assert site.gate.known(proof(made)) is not None
    assert looked.reads == 0


def test_a_refusal_is_never_remembered(site: Registry, counted: Callable[[], Counted]) -> None:
    looked = counted()
    assert [site.answer(b"Device nobody:key") for _ in range(2)] == [403, 403]
    assert looked.reads == 2


def test_another_header_proves_nothing_for_this_one(site: Registry) -> None:
    made = site.register()
    site.admit(proof(made))
    assert site.gate.known(proof(made) + b"x") is None
    assert site.gate.known(None) is None


def test_a_proof_is_forgotten_for_its_device_only(site: Registry) -> None:
    made, other = site.register(), site.register("Cellar")
    site.admit(proof(made))
    site.admit(proof(other))
    asyncio.run(site.gate.by_key(made.key))
    site.gate.drop(site.device(made).id)
    assert site.gate.known(proof(made)) is None
    assert site.gate.known(proof(other)) is not None


def test_after_a_gap_on_the_bus_nothing_is_believed(site: Registry) -> None:
    made = site.register()
    site.admit(proof(made))
    site.gate.drop_all()
    assert site.gate.known(proof(made)) is None


def test_who_is_revoked_while_being_looked_up_is_not_remembered__G_14(
    site: Registry, counted: Callable[[], Counted]
) -> None:
    """Read before the revocation, remembered after it: that proof would open for ever."""
    made = site.register()
    device = site.device(made)
    looked = counted()

    def revoke_in_between() -> None:
        looked.then = lambda: None
        with site.database.write() as tx:
            devices.revoke(tx, OWNER, device, site.clock.now())

    looked.then = revoke_in_between
    site.admit(proof(made))  # it was good when we looked
    assert site.gate.known(proof(made)) is None
    assert site.answer(proof(made)) == 403


def test_a_credential_that_runs_out_opens_nothing_though_it_was_known(site: Registry) -> None:
    made = site.register()
    site.admit(proof(made))
    site.clock.turn(10 * 365 * 86_400 + 1)
    assert site.gate.known(proof(made)) is None
    assert site.answer(proof(made)) == 403


def test_an_mqtt_log_in_takes_serial_or_key_and_never_a_bearers_word(site: Registry) -> None:
    made = site.register(serial="SN-7")
    for user in ("SN-7", made.key):
        assert asyncio.run(site.gate.admit_login(user, made.api_key)).key == made.key
    with pytest.raises(DomainError):
        asyncio.run(site.gate.admit_login("", made.api_key))
    with pytest.raises(DomainError):
        asyncio.run(site.gate.admit_login("SN-7", "x" * 43))


def test_a_deleted_device_is_no_longer_found_by_its_key(site: Registry) -> None:
    made = site.register()
    assert asyncio.run(site.gate.by_key(made.key)) is not None
    site.change(made, devices.delete, typed_name="Kitchen")
    assert asyncio.run(site.gate.by_key(made.key)) is None


def test_uses_are_handed_over_once(site: Registry) -> None:
    made = site.register()
    site.admit(proof(made))
    assert site.gate.take_used() == {site.credential_ids(made)[0]: site.clock.now()}
    assert site.gate.take_used() == {}


def test_many_that_come_at_once_are_looked_up_together(site: Registry, counted: Callable[[], Counted]) -> None:
    made = [site.register(f"Lamp {number}") for number in range(20)]
    watching = counted()

    async def all_at_once() -> list[object]:
        over_http = [site.gate.admit(proof(one)) for one in made]
        over_mqtt = [site.gate.admit_login(one.key, one.api_key) for one in made]
        wrong = [site.gate.admit_login(one.key, "x" * 43) for one in made]
        return list(await asyncio.gather(*over_http, *over_mqtt, *wrong, return_exceptions=True))

    found = asyncio.run(all_at_once())
    assert [one.key for one in found[:40] if isinstance(one, devices.CallingDevice)] == [one.key for one in made] * 2
    assert {repr(one) for one in found[40:]} == {repr(Refused(WRONG))}
    assert watching.reads == 2  # the first, and all who came meanwhile


def test_who_logged_in_is_known_by_key_until_access_changes(site: Registry, counted: Callable[[], Counted]) -> None:
    made = site.register()
    asyncio.run(site.gate.admit_login(made.serial, made.api_key))
    watching = counted()
    device = asyncio.run(site.gate.by_key(made.key))
    assert device is not None
    assert (device.key, watching.reads) == (made.key, 0)
    site.gate.drop(device.id)
    asyncio.run(site.gate.by_key(made.key))
    assert watching.reads == 1


def test_many_that_were_heard_are_written_down_part_by_part(site: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edges, "MOST_AT_ONCE", 2)
    for made in [site.register(f"Lamp {number}") for number in range(5)]:
        site.gate.hear(site.admit(proof(made)).id, site.clock.now(), "192.0.2.7")
    before = site.database.commits
    edges._write_uses(site.gate, site.database)
    assert site.database.commits - before == 3
    with site.database.read() as tx:
        assert len(store.last_seen(tx, site.clock.now() - timedelta(seconds=1))) == 5
