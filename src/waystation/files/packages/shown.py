"""Packages as people see them: what is in them, and how far they have got on each device."""

from collections.abc import Mapping, Sequence
from typing import Any

from waystation import devices
from waystation.files.packages import store
from waystation.files.packages.model import Package, State
from waystation.kernel.clock import iso
from waystation.kernel.db import Tx


def facts(tx: Tx, packages: Sequence[Package]) -> list[dict[str, Any]]:
    ids = [one.id for one in packages]
    sizes, states = store.sizes(tx, ids), store.states(tx, ids)
    found: list[dict[str, Any]] = []
    for one in packages:
        count, total = sizes.get(one.id, (0, 0))
        counted: Mapping[State, int] = states.get(one.id, {})
        found.append(
            {
                "id": one.uid,
                "name": one.name,
                "type": one.kind,
                "version": one.version,
                "about": one.about,
                "created_at": iso(one.created_at),
                "by": one.by,
                "manifest_sha256": one.manifest_sha256,
                "count": count,
                "total_bytes": total,
                "devices": {state: counted.get(state, 0) for state in State},
            }
        )
    return found


def deliveries(tx: Tx, package: Package) -> list[dict[str, Any]]:
    """By device, in the order in which it was staged; with datetimes."""
    found = store.deliveries(tx, package.id)
    placed = devices.placed(tx, [one.device_id for one in found])
    return [
        {
            "device": {"key": placed[one.device_id].key, "name": placed[one.device_id].name},
            "state": one.state,
            "done_bytes": one.done_bytes,
            "detail": one.detail,
            "staged_at": one.staged_at,
            "changed_at": one.changed_at,
        }
        for one in found
        if one.device_id in placed
    ]
