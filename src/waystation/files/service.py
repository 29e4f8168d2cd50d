"""Keep, find and delete files; begin and end uploads. Bytes have been made durable before (kernel.blob_rows)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from waystation import devices
from waystation.files import store
from waystation.files.events import FileDeleted, FileStored
from waystation.files.model import KIND, File, Upload, check_name, new_uid
from waystation.files.store import Wanted
from waystation.kernel import audit, blob_rows, outbox, room
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound, TooMany

MOST_OPEN = 100  # uploads that one device, or the people of one home, have begun and not ended
PEOPLE = "people"
ONE_FILE = "there is no such file"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who uploads: a device, or somebody of the home."""

    home_id: int
    by: Actor
    device_id: int | None = None
    device_key: str = ""

    def owns(self, upload: Upload) -> bool:
        """A device its own; people what they began themselves."""
        if upload.home_id != self.home_id or upload.device_id != self.device_id:
            return False
        return self.device_id is not None or upload.by == self.by.who


@dataclass(frozen=True, slots=True)
class Content:
    """Of a blob that is durable."""

    sha256: str
    size_bytes: int
    media_type: str


def keep(tx: Tx, sender: Sender, now: datetime, *, name: str, content: Content) -> File:
    """A file of this name and content. Another one of the name is kept beside it; the same once more is that file, so
    an upload whose answer was lost may be repeated.
    """
    name = check_name(name)
    of_sender = Wanted(sender.home_id, sender.device_id, from_people=sender.device_id is None, name=name)
    last = next(iter(store.newest(tx, of_sender, most=1)), None)
    if last is not None and last.sha256 == content.sha256:
        return last
    kept = store.add(
        tx,
        uid=new_uid(),
        home_id=sender.home_id,
        device_id=sender.device_id,
        name=name,
        sha256=content.sha256,
        size_bytes=content.size_bytes,
        media_type=content.media_type,
        at=now,
        by=sender.by.who,
    )
    _count(tx, sender.home_id, kept.size_bytes, now)
    if sender.device_id is None:  # what devices send all day is in the list of files
        audit.note(tx, sender.by, "uploaded a file", f"file:{kept.uid}", now=now, name=name, bytes=kept.size_bytes)
    tx.tell(FileStored(kept), now)
    _announce(tx, kept, now, key=sender.device_key or PEOPLE, event="stored")
    return kept


def find(tx: Tx, home_id: int, uid: str) -> File:
    found = store.by_uid(tx, home_id, uid) if uid.isascii() and uid.isalnum() else None
    if found is None:
        raise NotFound(ONE_FILE)
    return found


def of_device(tx: Tx, device_id: int, *, before: int | None = None, most: int = 50) -> list[File]:
    """Newest first; `before` is the id that the page before ended at."""
    placed = devices.placed(tx, [device_id]).get(device_id)
    if placed is None:
        return []
    return store.newest(tx, Wanted(placed.home_id, device_id), before=before, most=most)


def delete(tx: Tx, by: Actor, file: File, now: datetime) -> None:
    """Its bytes go by a sweep, unless another file or package has the same."""
    if not store.delete(tx, file.id):
        raise NotFound(ONE_FILE)
    blob_rows.rest(tx, [file.sha256], now)
    _count(tx, file.home_id, -file.size_bytes, now)
    audit.note(tx, by, "deleted a file", f"file:{file.uid}", now=now, name=file.name)
    tx.tell(FileDeleted(file), now)
    placed = devices.placed(tx, [file.device_id]) if file.device_id is not None else {}
    key = placed[file.device_id].key if file.device_id in placed else PEOPLE
    _announce(tx, file, now, key=key, event="deleted")


def forget_device(tx: Tx, told: devices.DeviceDeleted, now: datetime) -> None:
    """Its rows go with its own; this takes them off the count."""
    _count(tx, told.home_id, -store.size_of_device(tx, told.device_id), now)


# Uploads


def begin(tx: Tx, sender: Sender, now: datetime, *, name: str, size_bytes: int, told: str = "") -> Upload:
    """Its storage is taken already now: what has begun can end."""
    if store.open_uploads(tx, sender.home_id, device_id=sender.device_id) >= MOST_OPEN:
        raise TooMany(f"{MOST_OPEN} uploads are under way; end or delete some first", retry_after_seconds=60)
    begun = store.add_upload(
        tx,
        uid=new_uid(),
        home_id=sender.home_id,
        device_id=sender.device_id,
        by=sender.by.who,
        name=check_name(name),
        told=told,
        size_bytes=size_bytes,
        offset_bytes=0,
        touched_at=now,
    )
    _count(tx, sender.home_id, size_bytes, now)
    return begun


def find_upload(tx: Tx, sender: Sender, uid: str) -> Upload:
    found = store.upload_by_uid(tx, uid) if uid.isascii() and uid.isalnum() else None
    if found is None or not sender.owns(found):
        raise NotFound("there is no such upload; it may have rested for a day and ended")
    return found


def end(tx: Tx, sender: Sender, upload: Upload, now: datetime, *, content: Content) -> File:
    """All of it has arrived: it is a file. Conflict when it has ended otherwise meanwhile."""
    _count(tx, sender.home_id, -upload.size_bytes, now)
    kept = keep(tx, sender, now, name=upload.name, content=content)
    if not store.advance(tx, upload.id, before=upload.offset_bytes, offset=upload.size_bytes, now=now):
        raise Conflict("this upload has just ended")
    store.finish_upload(tx, upload.id, kept.uid, now)
    return kept


def give_up(tx: Tx, upload: Upload, now: datetime) -> None:
    """The file that it has become, if it has, stays."""
    if store.delete_upload(tx, upload.id) and upload.file_uid is None:
        _count(tx, upload.home_id, -upload.size_bytes, now)


def forget_old(tx: Tx, now: datetime, days: int, most: int = 100) -> int:
    """Files of devices that are older than that."""
    old = store.older(tx, now - timedelta(days=days), most)
    for file in old:
        if store.delete(tx, file.id):
            blob_rows.rest(tx, [file.sha256], now)
            _count(tx, file.home_id, -file.size_bytes, now)
            tx.tell(FileDeleted(file), now)
    return len(old)


def _count(tx: Tx, home_id: int, more_bytes: int, now: datetime) -> None:
    if more_bytes:
        room.add(tx, home_id, KIND, more_bytes)
        outbox.notice(tx, room.CHANGED, {}, now)


def _announce(tx: Tx, file: File, now: datetime, *, key: str, event: str) -> None:
    """Pages of the home hear of it on the bus."""
    body = {"id": file.uid, "name": file.name, "size_bytes": file.size_bytes, "event": event}
    outbox.notice(tx, f"files.{file.home_id}.{key}", body, now)
