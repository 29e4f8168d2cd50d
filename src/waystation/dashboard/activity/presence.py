"""Devices that fall silent and come back: a look at all of them, and a line for each that changed."""

from datetime import datetime, timedelta

from waystation import devices
from waystation.dashboard.activity import store
from waystation.dashboard.activity.model import Kind
from waystation.files import packages
from waystation.kernel.db import Database, Tx

PATIENCE = timedelta(minutes=5)
"""Longer than a page waits before it shows a device as offline: what is written down should not flicker."""
AT_ONCE = 500
KEPT = timedelta(days=30)
HEARD, SILENT = "came online", "fell silent"


def look(database: Database, now: datetime) -> int:
    """A sweep: how many devices changed, at most so many at once."""
    with database.read() as tx:
        known, heard = store.known(tx), devices.last_seen(tx, now - PATIENCE)
    changed = {one: True for one in heard if not known.get(one)}
    changed |= {one: False for one, was in known.items() if was and one not in heard}
    changed = dict(sorted(changed.items())[:AT_ONCE])
    if not changed:
        return 0
    with database.write() as tx:
        placed = devices.placed(tx, changed.keys())
        rows = [
            {
                "home_id": placed[one].home_id,
                "at": heard.get(one, now) if is_online else now,
                "kind": Kind.DEVICE,
                "device_key": placed[one].key,
                "did": HEARD if is_online else SILENT,
            }
            for one, is_online in changed.items()
            if one in placed and (store.come_online(tx, one) if is_online else store.fall_silent(tx, one))
        ]
        if rows:
            store.add(tx, rows)
    return len(rows)


def package_moved(tx: Tx, told: packages.PackageStateChanged, now: datetime) -> None:
    """A listener; how far it has got is shown elsewhere, here only how it ended."""
    if told.state not in (packages.State.DEPLOYED, packages.State.FAILED):
        return
    row = {
        "home_id": told.package.home_id,
        "at": now,
        "kind": Kind.PACKAGE,
        "device_key": told.device_key,
        "did": "has deployed" if told.state is packages.State.DEPLOYED else "could not deploy",
        "of": told.package.name,
        "of_uid": told.package.uid,
        "severity": "" if told.state is packages.State.DEPLOYED else "error",
    }
    store.add(tx, [row])


def forget(tx: Tx, now: datetime) -> int:
    return store.forget(tx, now - KEPT)
