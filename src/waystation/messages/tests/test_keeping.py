"""How long lines are kept, how many, and what goes with a device."""

from datetime import timedelta

from waystation import devices
from waystation.kernel import room
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings
from waystation.messages import jobs
from waystation.messages.model import size_of
from waystation.messages.service import forget_device
from waystation.messages.store import Wanted, newest
from waystation.messages.tests.house import OWNER, House, line


def sweep(house: House, **settings: int) -> int:
    """Until nothing is left to do; how much was done."""
    parts = Parts(Settings(**settings), house.database)  # type: ignore[arg-type]
    done = 0
    while step := jobs.forget(parts, house.clock.now()):
        done += step
    return done


def used(house: House) -> int:
    with house.database.read() as tx:
        return room.used(tx).get(house.home_id, 0)


def test_lines_go_after_thirty_days_by_their_arrival__DS_24(house: House) -> None:
    house.clock.turn(timedelta(days=1).total_seconds())
    house.write(line("of long ago", -86_400 * 300))
    house.clock.turn(timedelta(days=29).total_seconds())
    house.write(line("young"))
    assert sweep(house) == 0
    house.clock.turn(timedelta(days=1, seconds=1).total_seconds())
    assert sweep(house) == 1
    assert house.said() == [("young", 1)]


def test_each_device_keeps_its_newest__DS_24(house: House) -> None:
    shed = house.device("Shed")
    house.write(line("from the shed"), device=shed)
    house.write(*(line(f"{n}") for n in range(2500)))
    assert sweep(house, messages_per_device=100) == 2400
    assert house.said(device_id=house.porch.id) == [(f"{n}", 1) for n in range(2400, 2500)]
    assert house.said(device_id=shed.id) == [("from the shed", 1)]


def test_what_lines_take_counts_as_storage_until_they_go(house: House) -> None:
    house.write(line("a"), line("a"), line("ä" * 100))
    assert used(house) == size_of("a") + size_of("ä" * 100)
    sweep(house, messages_per_device=1)
    assert used(house) == size_of("ä" * 100)


def test_with_a_device_its_lines_go_at_once_and_their_rows_a_little_later(house: House) -> None:
    shed = house.device("Shed")
    house.write(*(line(f"{n}") for n in range(1500)), device=shed)
    house.write(line("stays"))
    house.database.listeners = {devices.DeviceDeleted: [forget_device]}
    with house.database.write() as tx:
        devices.delete(tx, OWNER, shed, house.clock.now(), typed_name="Shed")
    assert (house.said(), used(house)) == ([("stays", 1)], size_of("stays"))
    assert sweep(house) == 1501
    with house.database.read() as tx:
        assert not newest(tx, Wanted(house.home_id, shed.id), most=10)
    assert (house.said(), used(house)) == ([("stays", 1)], size_of("stays"))
