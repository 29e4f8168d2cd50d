import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from waystation.files.packages import bundle, carried, service, store
from waystation.files.packages.bundle import Untrusted
from waystation.files.packages.model import Member, Package
from waystation.files.shelf import Shelf
from waystation.homes import the_home
from waystation.kernel import settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import SystemClock
from waystation.kernel.db import Database
from waystation.kernel.desk import Desk
from waystation.kernel.errors import Conflict, DomainError, Invalid
from waystation.kernel.secrets import KeyRing

WIFI, PINS = b'{"ssid": "barn"}', b'{"led": 2}'


@pytest.fixture
def shelf(database: Database, tmp_path: Path) -> Shelf:
    return at(database, tmp_path / "here")


def at(database: Database, data: Path, trusted: str = "") -> Shelf:
    loaded, sources = settings.load({"data": data, "bundle_keys": trusted or None}, {})
    with database.write() as tx:
        home = the_home(tx, SystemClock().now())
    return Shelf(Desk(loaded, sources, database, home.id))


def packed(shelf: Shelf, **members: bytes) -> Package:
    found = [
        Member(
            name.replace("_", "."), len(content), shelf.taken_in(iter([content]), len(content), lambda _: None).sha256
        )
        for name, content in members.items()
    ]
    with shelf.at.database.write() as tx:
        now = shelf.at.now()
        made = service.create(tx, COMMAND_LINE, shelf.at.home_id, now, name="config", kind="config", version="12")
        service.add_members(tx, COMMAND_LINE, made, now, members=found)
    return made


def exported(shelf: Shelf, path: Path) -> Path:
    carried.export(shelf, packed(shelf, wifi_json=WIFI, pins_json=PINS), path)
    return path


def forget(shelf: Shelf) -> None:
    """As a hub that never heard of it, with the same key."""
    with shelf.at.database.write() as tx:
        for one in store.of_home(tx, shelf.at.home_id):
            service.delete(tx, COMMAND_LINE, one, shelf.at.now())


def test_a_bundle_comes_out_as_it_went_in_and_again_changes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    path = exported(shelf, tmp_path / "config.wsbundle")
    forget(shelf)
    package, is_new = carried.take_in(shelf, path, lambda _: None)
    with shelf.at.database.read() as tx:
        members = store.members(tx, package.id)
    assert is_new
    assert [(one.name, one.size_bytes) for one in members] == [("pins.json", len(PINS)), ("wifi.json", len(WIFI))]
    with shelf.blobs.open(members[1].sha256) as kept:
        assert kept.read() == WIFI
    assert carried.take_in(shelf, path, lambda _: None) == (package, False)


def test_a_bundle_of_another_hub_needs_its_key_to_be_trusted(shelf: Shelf, database: Database, tmp_path: Path) -> None:
    path = exported(shelf, tmp_path / "config.wsbundle")
    forget(shelf)
    key = bundle.public_key(KeyRing(shelf.at.settings.data / "keys"))
    with pytest.raises(Untrusted, match="does not trust"):
        carried.take_in(at(database, tmp_path / "there"), path, lambda _: None)
    assert carried.take_in(at(database, tmp_path / "there", key), path, lambda _: None)[1]


def test_another_content_under_the_same_name_and_version_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    path = exported(shelf, tmp_path / "config.wsbundle")
    forget(shelf)
    packed(shelf, wifi_json=b"other")
    with pytest.raises(Conflict, match="another package config 12"):
        carried.take_in(shelf, path, lambda _: None)


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    change(entries)
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def swap_a_byte(entries: dict[str, bytes]) -> None:
    name = next(name for name in entries if name.startswith("blobs/"))
    entries[name] = b"X" + entries[name][1:]


def shorten(entries: dict[str, bytes]) -> None:
    name = next(name for name in entries if name.startswith("blobs/"))
    entries[name] = entries[name][:-1]


def rename_a_member(entries: dict[str, bytes]) -> None:
    told = json.loads(entries["bundle.json"])
    told["listed"][0]["name"] = "../../etc/passwd"
    entries["bundle.json"] = json.dumps(told).encode()


def add_an_entry(entries: dict[str, bytes]) -> None:
    entries["../../etc/passwd"] = b"root::0:0"


def drop_the_signature(entries: dict[str, bytes]) -> None:
    del entries["bundle.sig"]


def break_the_signature(entries: dict[str, bytes]) -> None:
    entries["bundle.sig"] = bytes(64)


def inflate_the_contents(entries: dict[str, bytes]) -> None:
    entries["bundle.json"] = b" " * (bundle.MOST_CONTENTS_BYTES + 1)


CHANGES = [
    swap_a_byte, shorten, rename_a_member, add_an_entry, drop_the_signature, break_the_signature, inflate_the_contents,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_bundle_that_was_changed_is_refused_and_nothing_is_left(
    change: Callable[[dict[str, bytes]], None], shelf: Shelf, tmp_path: Path
) -> None:
    path = exported(shelf, tmp_path / "config.wsbundle")
    forget(shelf)
    rewritten(path, change)
    with pytest.raises(DomainError):
        carried.take_in(shelf, path, lambda _: None)
    with shelf.at.database.read() as tx:
        assert store.of_home(tx, shelf.at.home_id) == []
    assert list(shelf.drafts.folder.iterdir()) == []


def test_compressed_members_are_refused_so_nothing_can_grow(shelf: Shelf, tmp_path: Path) -> None:
    path = exported(shelf, tmp_path / "config.wsbundle")
    forget(shelf)
    rewritten(path, lambda _: None, zipfile.ZIP_DEFLATED)
    with pytest.raises(Invalid, match="compressed"):
        carried.take_in(shelf, path, lambda _: None)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 100])
def test_what_is_no_bundle_is_refused_in_one_sentence(content: bytes, shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "x.wsbundle"
    path.write_bytes(content)
    with pytest.raises(Invalid, match="cannot be read as a bundle"):
        carried.take_in(shelf, path, lambda _: None)


def test_a_name_twice_in_the_archive_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    path = exported(shelf, tmp_path / "config.wsbundle")
    forget(shelf)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("bundle.json", b"{}")
    with pytest.raises(DomainError):
        carried.take_in(shelf, path, lambda _: None)
