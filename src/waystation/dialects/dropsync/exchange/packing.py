"""Sync packages under DropSync's words: made for one device, staged with their files, deployed when that is proved.

The original's packages were rows without files. One that has none is kept here until it gets some: there is nothing
that the house could stage, and nothing that could be delivered falsely (DS-17).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from waystation.devices import CallingDevice, Device
from waystation.dialects.dropsync import journal, store
from waystation.dialects.dropsync.store import Meant
from waystation.files import packages
from waystation.files.packages import By, Member, Package, State, Target
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound

UNKNOWN = "Sync package not found"
MOST_VERSIONS = 1000
MOST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Packed:
    """A package on a device."""

    package: Package
    device_id: int
    state: str
    changed_at: datetime
    count: int
    total_bytes: int

    @property
    def deployed_at(self) -> datetime | None:
        return self.changed_at if self.state == State.DEPLOYED else None


def create(
    tx: Tx, by: Actor, device: Device, now: datetime, *, name: str, kind: str, about: str, members: Sequence[Member]
) -> Package:
    """Staged for the device at once. The same name again is the next version of it."""
    made = _next_version(tx, by, device.home_id, now, name=name, kind=kind, about=about)
    store.add_meant(tx, Meant(made.id, device.id, State.STAGED, now))
    if members:
        fill(tx, by, made, now, device=device, members=members)
    words = f"Package {made.name} created for {{device}}"
    journal.note_of(tx, device.id, now, "package_created", said=words, package_id=made.id)
    return made


def fill(tx: Tx, by: Actor, package: Package, now: datetime, *, device: Device, members: Sequence[Member]) -> None:
    """Its files, all of them: from now on it stays as it is."""
    for member in members:
        packages.add_member(tx, by, package, now, member=member)
    packages.stage(tx, by, package, now, to=[Target(By.DEVICE, device.key)])


def of_device(tx: Tx, device_id: int, home_id: int) -> Sequence[Packed]:
    """Newest first: what the house has staged for it, and what was made for it here."""
    return [one for one in of_home(tx, home_id) if one.device_id == device_id]


def of_home(tx: Tx, home_id: int) -> Sequence[Packed]:
    """Each package on each device, newest first."""
    found = packages.of_home(tx, home_id, most=MOST_SHOWN)
    ids = [one.id for one in found]
    sizes, meant = packages.sizes(tx, ids), store.meant_for(tx, ids)
    packed: list[Packed] = []
    for one in found:
        count, total = sizes.get(one.id, (0, 0))
        deliveries = packages.deliveries(tx, one.id)
        packed += [Packed(one, d.device_id, d.state, d.changed_at, count, total) for d in deliveries]
        if not deliveries and one.id in meant:
            mine = meant[one.id]
            packed.append(Packed(one, mine.device_id, mine.state, mine.changed_at, count, total))
    return packed


def find(tx: Tx, device: CallingDevice, number: int) -> Packed:
    """By its number; NotFound when it is not this device's, or was called back."""
    found = next(iter(packages.of_home(tx, device.home_id, before=number + 1, most=1)), None)
    if found is not None and found.id == number:
        for one in of_device(tx, device.id, device.home_id):
            if one.package.id == number and one.state not in (State.CANCELLED, State.FAILED):
                return one
    raise NotFound(UNKNOWN)


def fetched_mark(package: Package, member: str) -> str:
    return f"{package.uid}/{member}"


def take(tx: Tx, device: CallingDevice, packed: Packed, now: datetime) -> str:
    """An old client says that it takes the package, and never says more. Deployed is only what it has fetched whole."""
    package, state = packed.package, packed.state
    if state == State.DEPLOYED:
        return state
    if not packed.count:
        store.set_meant(tx, package.id, State.DEPLOYED, now)
        state = State.DEPLOYED
    else:
        fetched = store.fetched(tx, device.id)
        has_all = all(fetched_mark(package, one.name) in fetched for one in packages.members(tx, package.id))
        wanted = State.DEPLOYED if has_all else State.DEPLOYING
        state = packages.report(tx, device, now, uid=package.uid, state=wanted, detail="by an old client")
    if state == State.DEPLOYED:
        tell_deployed(tx, device.id, package, now)
    return state


def report(tx: Tx, device: CallingDevice, packed: Packed, now: datetime, *, state: str, detail: str) -> str:
    """What a new client says of it."""
    if not packed.count:
        if state not in (State.DEPLOYING, State.DEPLOYED, State.FAILED):
            raise Invalid("state is one of deploying, deployed and failed")
        store.set_meant(tx, packed.package.id, state, now)
    else:
        state = packages.report(tx, device, now, uid=packed.package.uid, state=state, detail=detail)
    if state == State.DEPLOYED != packed.state:
        tell_deployed(tx, device.id, packed.package, now)
    return state


def tell_deployed(tx: Tx, device_id: int, package: Package, now: datetime) -> None:
    words = f"Package {package.name} deployed to {{device}}"
    journal.note_of(tx, device_id, now, "package_deployed", said=words, package_id=package.id)


def _next_version(tx: Tx, by: Actor, home_id: int, now: datetime, *, name: str, kind: str, about: str) -> Package:
    for number in range(1, MOST_VERSIONS):
        version = "" if number == 1 else str(number)
        try:
            return packages.create(tx, by, home_id, now, name=name, kind=kind, version=version, about=about)
        except Conflict:
            continue
    raise Conflict(f"there are {MOST_VERSIONS} versions of this package already; delete some")
