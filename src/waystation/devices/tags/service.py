"""Give a device a tag, and take it away."""

from collections.abc import Iterable
from datetime import datetime

from waystation.devices.model import Device
from waystation.devices.tags import store
from waystation.devices.tags.model import MOST_TAGS, check_tag
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound


def tag(tx: Tx, by: Actor, device: Device, now: datetime, *, tag: str) -> list[str]:
    """All its tags. One that it has already changes nothing."""
    tag = check_tag(tag)
    if store.add(tx, device.id, tag):
        if len(store.tags_of(tx, device.id)) > MOST_TAGS:
            raise Conflict(f"{device.name} has {MOST_TAGS} tags already")
        audit.note(tx, by, "tagged a device", f"device:{device.key}", now=now, tag=tag)
    return store.tags_of(tx, device.id)


def by_tag(tx: Tx, home_id: int, tag: str) -> list[Device]:
    """By name."""
    return store.by_tag(tx, home_id, check_tag(tag))


def untag(tx: Tx, by: Actor, device: Device, now: datetime, *, tag: str) -> list[str]:
    """The tags that are left; NotFound when it had no such tag."""
    tag = check_tag(tag)
    if not store.remove(tx, device.id, tag):
        raise NotFound(f"{device.name} has no tag {tag}")
    audit.note(tx, by, "took a tag from a device", f"device:{device.key}", now=now, tag=tag)
    return store.tags_of(tx, device.id)


def put(tx: Tx, by: Actor, device: Device, now: datetime, *, tags: Iterable[str]) -> list[str]:
    """These and no others; each that comes or goes is audited."""
    wanted, before = {check_tag(one) for one in tags}, set(store.tags_of(tx, device.id))
    for one in sorted(before - wanted):
        untag(tx, by, device, now, tag=one)
    for one in sorted(wanted - before):
        tag(tx, by, device, now, tag=one)
    return sorted(wanted)
