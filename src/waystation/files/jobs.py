"""Sweeps: uploads that rest, files that are old, bytes that nobody uses any more."""

from datetime import datetime

from waystation.files import service, store
from waystation.files.model import REST
from waystation.files.receiving import WHOLE
from waystation.kernel import blob_rows
from waystation.kernel.blobs import Blobs, Drafts
from waystation.kernel.db import Database
from waystation.kernel.parts import Parts
from waystation.kernel.settings import Settings

AT_ONCE = 100


def end_rested_uploads(parts: Parts, now: datetime) -> int:
    """With what had arrived of them, a day after their last part; and drafts that no upload has."""
    drafts = parts.get(Drafts)
    with parts.get(Database).write() as tx:
        rested = store.rested_uploads(tx, now - REST, AT_ONCE)
        for upload in rested:
            service.give_up(tx, upload, now)
    for upload in rested:
        drafts.remove(upload.uid)
    return len(rested)


def forget_drafts(parts: Parts, _now: datetime) -> int:
    """What a crash has left: of calls that died, of uploads that have become files or were deleted."""
    drafts = parts.get(Drafts)
    uids = [name for name in drafts.names() if not name.startswith(WHOLE)]
    with parts.get(Database).read() as tx:
        known = {uid for start in range(0, len(uids), 500) for uid in store.open_uids(tx, uids[start : start + 500])}
    left = [name for name in uids if name not in known]
    return sum(drafts.sweep(name) for name in (WHOLE, *left)) * 0


def forget_old_files(parts: Parts, now: datetime) -> int:
    """Of devices, when the settings say how long they are kept."""
    days = parts.get(Settings).keep_device_files_days
    if not days:
        return 0
    with parts.get(Database).write() as tx:
        return service.forget_old(tx, now, days)


def forget_blobs(parts: Parts, now: datetime) -> int:
    return blob_rows.sweep(parts.get(Database), parts.get(Blobs), now)


def adopt_blobs(parts: Parts, now: datetime) -> int:
    """Bytes that no row tells of, as a restored database leaves them, are swept later like all others."""
    return blob_rows.adopt(parts.get(Database), parts.get(Blobs), now) * 0
