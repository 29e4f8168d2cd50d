"""Homes are made and deleted where a site has many; a hub keeps its one."""

import pytest

from waystation import devices, homes
from waystation.app import FEATURES
from waystation.devices import store as device_rows
from waystation.homes import HomeDeleted, Role
from waystation.homes.tests.house import House
from waystation.identity import Caller
from waystation.kernel import outbox
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.errors import Invalid, Refused


def caller(house: House, who: str) -> Caller:
    return Caller(f"person:{who}@example.org", person_id=house.ids[who])


def test_whoever_makes_a_home_owns_it(house: House) -> None:
    with house.database.write() as tx:
        made = homes.create(tx, caller(house, "stranger"), house.clock.now(), name="  Barn \n 2 ", many=True)
        assert made.name == "Barn 2"
        assert [(home.name, role) for home, role in homes.homes_of(tx, house.ids["stranger"])] == [
            ("Barn 2", Role.OWNER)
        ]


def test_a_hub_keeps_its_one_home(house: House) -> None:
    with house.database.write() as tx:
        with pytest.raises(Refused):
            homes.create(tx, caller(house, "owner"), house.clock.now(), name="Barn", many=False)
        with pytest.raises(Refused):
            homes.delete(tx, house.as_(tx, "owner"), house.clock.now(), typed_name="Lake house", many=False)


def test_a_program_cannot_own_a_home(house: House) -> None:
    with house.database.write() as tx, pytest.raises(Refused):
        homes.create(tx, Caller("token:ci", token_id=1), house.clock.now(), name="Barn", many=True)


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b"])
def test_a_name_can_be_read(house: House, name: str) -> None:
    with house.database.write() as tx, pytest.raises(Invalid):
        homes.rename(tx, house.as_(tx, "owner"), house.clock.now(), name=name)


def test_who_manages_renames(house: House) -> None:
    for who, may in (("owner", True), ("admin", True), ("user", False), ("viewer", False)):
        at = house.fresh()
        with at.database.write() as tx:
            if may:
                homes.rename(tx, at.as_(tx, who), at.clock.now(), name=f"{who} was here")
                assert homes.home_by_uid(tx, at.home.uid).name == f"{who} was here"  # type: ignore[union-attr]
            else:
                with pytest.raises(Refused):
                    homes.rename(tx, at.as_(tx, who), at.clock.now(), name="x")


def test_only_an_owner_deletes_and_types_the_name(house: House) -> None:
    for who, name, fault in (("admin", "Lake house", Refused), ("owner", "lake house", Invalid)):
        with house.database.write() as tx, pytest.raises(fault):
            homes.delete(tx, house.as_(tx, who), house.clock.now(), typed_name=name, many=True)


def test_deleting_a_home_takes_its_devices_and_ends_what_is_open(house: House) -> None:
    listeners = {kind: [heard] for feature in FEATURES for kind, heard in feature.listens.items()}
    house.database.listeners = {HomeDeleted: listeners[HomeDeleted], devices.DeviceDeleted: [note_device]}
    gone.clear()
    other = house.fresh()
    with house.database.write() as tx:
        devices.register(tx, COMMAND_LINE, house.home.id, house.clock.now(), name="Pi")
        kept = devices.register(tx, COMMAND_LINE, other.home.id, house.clock.now(), name="Pi")
        homes.delete(tx, house.as_(tx, "owner"), house.clock.now(), typed_name="Lake house", many=True)
    with house.database.read() as tx:
        assert homes.home_by_uid(tx, house.home.uid) is None
        assert device_rows.count(tx, house.home.id) == 0
        assert devices.by_key(tx, other.home.id, kept.key) is not None
        subjects = [row.subject for row in outbox.waiting(tx, outbox.NOTICE)]
    assert f"home.ended.{house.home.id}" in subjects
    assert len(gone) == 1
    assert house.role("owner") is None


gone: list[devices.DeviceDeleted] = []


def note_device(_tx: object, told: devices.DeviceDeleted, _now: object) -> None:
    gone.append(told)
