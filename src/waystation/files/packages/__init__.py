"""Sync packages: named sets of files, staged for devices, that count as deployed when the device says so."""

from waystation.files.packages.events import PackageStateChanged
from waystation.files.packages.idle import Idle
from waystation.files.packages.model import (
    By,
    Delivery,
    Kind,
    Member,
    Next,
    Package,
    State,
    Target,
    manifest,
    manifest_sha256,
)
from waystation.files.packages.service import (
    add_member,
    add_members,
    cancel,
    create,
    delete,
    find,
    find_any,
    next_for,
    remove_member,
    report,
    stage,
)
from waystation.files.packages.store import deliveries, members, of_device, of_home, sizes, states, targets

__all__ = [
    "By",
    "Delivery",
    "Idle",
    "Kind",
    "Member",
    "Next",
    "Package",
    "PackageStateChanged",
    "State",
    "Target",
    "add_member",
    "add_members",
    "cancel",
    "create",
    "delete",
    "deliveries",
    "find",
    "find_any",
    "manifest",
    "manifest_sha256",
    "members",
    "next_for",
    "of_device",
    "of_home",
    "remove_member",
    "report",
    "sizes",
    "stage",
    "states",
    "targets",
]
