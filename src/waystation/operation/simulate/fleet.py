"""The simulated devices in the hub's registry: the same ones in every run, with credentials for one run only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from waystation import devices
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Tx
from waystation.kernel.desk import Desk
from waystation.kernel.errors import NotFound
from waystation.operation.archive import Tell
from waystation.operation.simulate.kinds import KINDS, Kind

T = TypeVar("T")
AT_ONCE = 50  # devices in one transaction: the hub beside us is not kept from writing for long


@dataclass(frozen=True, slots=True)
class Member:
    """`number` is its place in the fleet, and the seed of its physics."""

    number: int
    kind: type[Kind]
    name: str
    key: str
    serial: str
    api_key: str
    by_mqtt: bool


def enlist(
    desk: Desk, count: int, mqtt_share: float, tell: Tell, *, kinds: Sequence[type[Kind]] = KINDS
) -> list[Member]:
    """Registers what is missing, and gives each device a key of its own for this run."""
    found: list[Member] = []
    for numbers in _groups(range(count)):
        with desk.database.write() as tx:
            found += [
                _member(tx, desk, number, by_mqtt=speaks_mqtt(number, mqtt_share), kinds=kinds) for number in numbers
            ]
        tell("registering devices", len(found), count)
    return found


def dismiss(desk: Desk, members: Sequence[Member], tell: Tell) -> None:
    """Takes all keys back: simulated devices leave no open door behind."""
    for group in _groups(members):
        with desk.database.write() as tx:
            for member in group:
                _take_keys(tx, desk, member)
        tell("taking the keys back", group[-1].number + 1, len(members))


def speaks_mqtt(number: int, share: float) -> bool:
    """Spreads the share evenly over the fleet, and over its kinds."""
    place = number // len(KINDS) + number % len(KINDS) * 7
    return int((place + 1) * share) > int(place * share)


def name_of(number: int, kinds: Sequence[type[Kind]] = KINDS) -> str:
    """`Greenhouse 3`."""
    return f"{kinds[number % len(kinds)].label} {number // len(kinds) + 1}"


def serial_of(number: int, kinds: Sequence[type[Kind]] = KINDS) -> str:
    return f"sim-{name_of(number, kinds).lower().replace(' ', '-')}"


def _member(tx: Tx, desk: Desk, number: int, *, by_mqtt: bool, kinds: Sequence[type[Kind]]) -> Member:
    kind, name, serial = kinds[number % len(kinds)], name_of(number, kinds), serial_of(number, kinds)
    known = devices.by_serial(tx, desk.home_id, serial)
    if known is None:
        model = f"Simulated {kind.label.lower()}"
        made = devices.register(tx, COMMAND_LINE, desk.home_id, desk.now(), name=name, model_text=model, serial=serial)
    else:
        made = devices.new_credential(tx, COMMAND_LINE, known, desk.now())
    return Member(number, kind, made.name, made.key, made.serial, made.api_key, by_mqtt)


def _take_keys(tx: Tx, desk: Desk, member: Member) -> None:
    try:
        devices.revoke(tx, COMMAND_LINE, devices.find(tx, desk.home_id, member.key), desk.now())
    except NotFound:
        return  # somebody deleted the device or revoked its keys during the run


def _groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), AT_ONCE):
        yield items[start : start + AT_ONCE]
