"""Make packages, stage them for devices, and believe of their fate only what the devices say."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from waystation import devices
from waystation.files.model import KIND, new_uid
from waystation.files.packages import model, store
from waystation.files.packages.events import PackageStateChanged
from waystation.files.packages.model import OPEN, By, Delivery, Member, Next, Package, State, Target
from waystation.kernel import audit, blob_rows, outbox, room
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, Invalid, NotFound

MOST_DEVICES = 1_000_000
MOST_TARGETS = 1000
NO_PACKAGE = "there is no such package"
SEALED = "this package has been staged, so its members stay as they are; make a new version of it"


def create(
    tx: Tx, by: Actor, home_id: int, now: datetime, *, name: str, kind: str, version: str = "", about: str = ""
) -> Package:
    """Empty; Conflict when the home has this version of the name already."""
    name, version = model.check_name(name), model.check_version(version)
    if store.by_name(tx, home_id, name, version) is not None:
        raise Conflict(f"there is a package {name} {version}".rstrip() + " already; give this one another version")
    made = store.add(
        tx,
        uid=new_uid(),
        home_id=home_id,
        name=name,
        kind=model.check_kind(kind),
        version=version,
        about=model.check_about(about),
        created_at=now,
        by=by.who,
    )
    audit.note(tx, by, "made a package", f"package:{made.uid}", now=now, name=name, version=version)
    _announce(tx, made, now)
    return made


def find(tx: Tx, home_id: int, uid: str) -> Package:
    found = store.by_uid(tx, home_id, uid) if uid.isascii() and uid.isalnum() else None
    if found is None:
        raise NotFound(NO_PACKAGE)
    return found


def find_any(tx: Tx, home_id: int, name: str) -> Package:
    """By id, by `name@version`, or by name: then its newest version."""
    bare, _, version = name.rpartition("@")
    found = store.by_uid(tx, home_id, name) or (store.by_name(tx, home_id, bare, version) if bare else None)
    found = found or next(iter(store.named(tx, home_id, name)), None)
    if found is None:
        raise NotFound(f"there is no package {name[:120]}")
    return found


def add_member(tx: Tx, by: Actor, package: Package, now: datetime, *, member: Member) -> None:
    """The member's bytes are a blob already. One of the same name is replaced."""
    add_members(tx, by, package, now, members=[member])


def add_members(tx: Tx, by: Actor, package: Package, now: datetime, *, members: Sequence[Member]) -> None:
    """All or none."""
    _check_loose(package)
    new = {(name := model.check_member(one.name)): one._replace(name=name) for one in members}
    before = {one.name: one for one in store.members(tx, package.id)}
    if len(before | new) > model.MOST_MEMBERS:
        raise Conflict(f"a package has at most {model.MOST_MEMBERS:,} members")
    model.check_members(before | new)
    for name, member in new.items():
        blob_rows.renew(tx, member.sha256, member.size_bytes, now)
        store.put_member(tx, package.id, member)
        audit.note(tx, by, "put a file into a package", f"package:{package.uid}", now=now, name=name)
    replaced = sum(before[name].size_bytes for name in new if name in before)
    _count(tx, package, sum(one.size_bytes for one in new.values()) - replaced, now)
    _announce(tx, package, now)


def remove_member(tx: Tx, by: Actor, package: Package, now: datetime, *, name: str) -> None:
    _check_loose(package)
    found = next((one for one in store.members(tx, package.id) if one.name == name), None)
    if found is None or not store.remove_member(tx, package.id, name):
        raise NotFound("the package has no member of that name")
    _count(tx, package, -found.size_bytes, now)
    audit.note(tx, by, "took a file out of a package", f"package:{package.uid}", now=now, name=name)
    _announce(tx, package, now)


def stage(tx: Tx, by: Actor, package: Package, now: datetime, *, to: Sequence[Target]) -> int:
    """For all devices that the targets name now; for how many. Where it has finished it is staged anew, where it is
    under way it stays so.
    """
    members = store.members(tx, package.id)
    if not members:
        raise Conflict("this package has no members yet, so there is nothing to stage")
    found = devices_of(tx, package.home_id, to)
    if not found:
        raise Invalid("no device is meant by that; name devices, a tag or a model that some device has")
    store.seal(tx, package.id, model.manifest_sha256(members))
    for target in to:
        store.add_target(tx, package.id, target)
    staged = [device for device in found if store.stage(tx, package.id, device.id, now)]
    for device in staged:
        _tell(tx, package, device.key, now, state=State.STAGED)
    words = {"to": [f"{target.by} {target.value}".strip() for target in to][:20], "devices": len(staged)}
    audit.note(tx, by, "staged a package", f"package:{package.uid}", now=now, **words)
    return len(staged)


def devices_of(tx: Tx, home_id: int, to: Iterable[Target]) -> list[devices.Device]:
    """Each once. NotFound for a device that the home does not have."""
    return list({device.id: device for target in to for device in _meant(tx, home_id, target)}.values())


def _meant(tx: Tx, home_id: int, target: Target) -> Sequence[devices.Device]:
    by, value = target
    if by is By.TAG:
        return devices.by_tag(tx, home_id, value)
    if by in (By.HOME, By.MODEL):
        everybody = devices.search(tx, home_id, "", MOST_DEVICES)
        return [one for one in everybody if by is By.HOME or one.model == value]
    device = devices.by_key(tx, home_id, value) or devices.by_serial(tx, home_id, value)
    if device is None:
        raise NotFound(f"there is no device {value[:64]}")
    return [device]


def cancel(tx: Tx, by: Actor, package: Package, now: datetime, *, device_id: int | None = None) -> int:
    """Where it is not finished, or on one device; on how many."""
    ended = [
        one
        for one in store.deliveries(tx, package.id)
        if device_id in (None, one.device_id)
        and store.move(tx, one.id, OPEN, state=State.CANCELLED, changed_at=now, detail="")
    ]
    placed = devices.placed(tx, [one.device_id for one in ended])
    for one in ended:
        _tell(tx, package, placed[one.device_id].key, now, state=State.CANCELLED)
    audit.note(tx, by, "cancelled a package", f"package:{package.uid}", now=now, devices=len(ended))
    return len(ended)


def delete(tx: Tx, by: Actor, package: Package, now: datetime) -> None:
    """Devices keep what they have; those that are just fetching it find nothing more."""
    cancel(tx, by, package, now)
    members = store.members(tx, package.id)
    if not store.delete(tx, package.id):
        raise NotFound(NO_PACKAGE)
    blob_rows.rest(tx, {one.sha256 for one in members}, now)
    _count(tx, package, -sum(one.size_bytes for one in members), now)
    audit.note(tx, by, "deleted a package", f"package:{package.uid}", now=now, name=package.name)
    _announce(tx, package, now, event="deleted")


# Devices


def next_for(tx: Tx, device_id: int, *, uid: str = "", first: int = 0, most: int = model.MANY) -> Next | None:
    """The oldest that is staged for the device and not finished, or the one of this id when that is; else None."""
    found = store.next_of(tx, device_id) if not uid else _of_device(tx, device_id, uid)
    package = store.by_id(tx, found.package_id) if found is not None and found.state in OPEN else None
    if package is None:
        return None
    count, total = store.sizes(tx, [package.id]).get(package.id, (0, 0))
    return Next(package, count, total, first, store.members(tx, package.id, first=first, most=most))


def report(
    tx: Tx, device: devices.CallingDevice, now: datetime, *, uid: str, state: str, done_bytes: int = 0, detail: str = ""
) -> State:
    """What the device says of a package, and its state then. NotFound when it is not the device's; Conflict when it has
    ended otherwise, unless that is what the device says.
    """
    said = _said(state)
    found = _of_device(tx, device.id, uid)
    if found is None:
        raise NotFound("no package of this id is staged for this device")
    if found.state not in model.REPORTED[said]:
        if found.state is said:
            return said
        raise Conflict(f"this package is {found.state} on this device; a person may stage it again")
    values = {"state": said, "done_bytes": done_bytes, "detail": detail[: model.MOST_DETAIL], "changed_at": now}
    store.move(tx, found.id, model.REPORTED[said], **values)
    package = store.by_id(tx, found.package_id)
    assert package is not None
    if said is not found.state:
        tx.tell(PackageStateChanged(package, device.id, device.key, said), now)
    _tell(tx, package, device.key, now, state=said, done_bytes=done_bytes)
    return said


def _said(state: str) -> State:
    if state not in (State.DEPLOYING, State.DEPLOYED, State.FAILED):
        raise Invalid("state is one of deploying, deployed and failed")
    return State(state)


def _of_device(tx: Tx, device_id: int, uid: str) -> Delivery | None:
    placed = devices.placed(tx, [device_id]).get(device_id)
    package = store.by_uid(tx, placed.home_id, uid) if placed is not None else None
    return None if package is None else store.delivery(tx, package.id, device_id)


def _check_loose(package: Package) -> None:
    if package.manifest_sha256 is not None:
        raise Conflict(SEALED)


def _count(tx: Tx, package: Package, more_bytes: int, now: datetime) -> None:
    if more_bytes:
        room.add(tx, package.home_id, KIND, more_bytes)
        outbox.notice(tx, room.CHANGED, {}, now)


def _tell(tx: Tx, package: Package, key: str, now: datetime, *, state: State, done_bytes: int = 0) -> None:
    """What processes know of this device's packages is old, and pages show it."""
    body = {"id": package.uid, "state": state, "done_bytes": done_bytes}
    outbox.notice(tx, f"packages.{package.home_id}.{key}", body, now)


def _announce(tx: Tx, package: Package, now: datetime, *, event: str = "changed") -> None:
    outbox.notice(tx, f"package.{package.home_id}", {"id": package.uid, "event": event}, now)
