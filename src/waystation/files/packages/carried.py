"""Bundles that are written from this hub, and taken in: every byte checked, nothing kept of one that is not whole."""

from pathlib import Path

from waystation.files.packages import bundle, service, store
from waystation.files.packages.bundle import Bundle
from waystation.files.packages.model import Package, manifest_sha256
from waystation.files.shelf import Shelf, Tell
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.errors import Conflict
from waystation.kernel.secrets import KeyRing


def export(shelf: Shelf, package: Package, path: Path) -> None:
    at = shelf.at
    with at.database.read() as tx:
        members = store.members(tx, package.id)
    if not members:
        raise Conflict("this package has no members yet, so there is nothing to carry")
    keys = KeyRing(at.settings.data / "keys")
    bundle.write(path, keys, package, members, now=at.now(), read=shelf.blobs.open)


def take_in(shelf: Shelf, path: Path, tell: Tell) -> tuple[Package, bool]:
    """The package, and whether it is new. The same bundle again changes nothing; Conflict for another content under the
    same name and version.
    """
    at = shelf.at
    trusted = {bundle.public_key(KeyRing(at.settings.data / "keys")), *at.settings.bundle_keys}
    with bundle.opened(path, trusted) as found:
        told = found.contents
        with at.database.read() as tx:
            known = store.by_name(tx, at.home_id, told.name, told.version)
            same = known is not None and manifest_sha256(store.members(tx, known.id)) == told.manifest_sha256
        if known is not None and same:
            return known, False
        if known is not None:
            raise Conflict(f"there is another package {told.name} {told.version}".rstrip() + " here already")
        _take_blobs(shelf, found, tell)
    with at.database.write() as tx:
        now, named = at.now(), {"name": told.name, "kind": told.type, "version": told.version, "about": told.about}
        made = service.create(tx, COMMAND_LINE, at.home_id, now, **named)
        service.add_members(tx, COMMAND_LINE, made, now, members=told.members)
    return made, True


def _take_blobs(shelf: Shelf, found: Bundle, tell: Tell) -> None:
    """Blobs of one that turns out to be damaged are used by nobody, and go by the sweep."""
    done = 0
    for sha256, size in {one.sha256: one.size_bytes for one in found.contents.members}.items():
        before = done
        content = shelf.taken_in(found.pieces(sha256), size, lambda more, before=before: tell(before + more))
        if content.sha256 != sha256:
            raise Conflict("a member of the bundle has another SHA-256 than it says, so nothing of it was taken")
        done += size
