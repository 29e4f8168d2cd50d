"""What goes by itself, what is counted, and what no sweep may touch."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from waystation import devices
from waystation.files import Receiving, jobs, packages
from waystation.files.model import check_name
from waystation.files.packages import Member
from waystation.files.tests.shelf import Shelf, sha256
from waystation.kernel import blob_rows, ranges
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.blobs import Blobs, Drafts, LocalBlobs, Locked
from waystation.kernel.errors import Invalid, StorageFull, Unavailable
from waystation.kernel.room import Room

DAY, HOUR = 86_400, 3600


def swept(shelf: Shelf) -> None:
    for sweep in (jobs.end_rested_uploads, jobs.forget_drafts, jobs.forget_old_files, jobs.forget_blobs):
        sweep(shelf.site.parts, shelf.site.clock.now())


def test_bytes_go_an_hour_after_their_last_file(shelf: Shelf) -> None:
    kept = [shelf.send(name, b"same").json["id"] for name in ("a", "b")]
    for file_id in kept:
        shelf.site.clock.turn(2 * HOUR)
        swept(shelf)
        assert len(shelf.files_on_disk()) == 1
        shelf.delete(file_id)
    swept(shelf)
    assert len(shelf.files_on_disk()) == 1, "a backup that has begun may still read it"
    shelf.site.clock.turn(2 * HOUR)
    swept(shelf)
    assert shelf.files_on_disk() == []
    assert shelf.rows("select size_bytes from room_used") == [(0,)]


def test_bytes_that_a_package_has_stay_when_the_file_goes(shelf: Shelf) -> None:
    file_id = shelf.send("a", b"firmware", shelf.owner.authorization).json["id"]
    with shelf.site.database.write() as tx:
        now = shelf.site.clock.now()
        made = packages.create(tx, COMMAND_LINE, shelf.home.id, now, name="p", kind="firmware")
        packages.add_member(tx, COMMAND_LINE, made, now, member=Member("a", 8, sha256(b"firmware")))
    shelf.delete(file_id)
    shelf.site.clock.turn(2 * HOUR)
    swept(shelf)
    assert len(shelf.files_on_disk()) == 1


def test_an_upload_that_rests_for_a_day_ends_and_leaves_nothing(shelf: Shelf) -> None:
    place = shelf.begin(10).headers["location"]
    shelf.go_on(place, 0, b"01234")
    shelf.site.clock.turn(DAY - HOUR)
    swept(shelf)
    assert shelf.offset(place) == 5
    shelf.site.clock.turn(2 * HOUR)
    swept(shelf)
    assert shelf.site.ask("HEAD", place, shelf.device.authorization).status == 404
    assert shelf.files_on_disk() == []
    assert shelf.rows("select size_bytes from room_used") == [(0,)]


def test_what_a_crash_has_left_goes_and_what_is_under_way_stays(shelf: Shelf) -> None:
    drafts = shelf.site.parts.get(Drafts)
    place = shelf.begin(10).headers["location"]
    shelf.go_on(place, 0, b"01234")
    for name in ("whole-of-a-call-that-died", "whole-of-one-that-lives", "of-an-upload-that-ended"):
        drafts.make(name)
        os.utime(drafts.folder / name, (1, 1))
    with drafts.open("whole-of-one-that-lives"):
        swept(shelf)
    left = {Path(name).name for name in shelf.files_on_disk()}
    assert left == {"whole-of-one-that-lives", place.rpartition("/")[2]}


def test_a_blob_without_a_row_is_adopted_and_swept_later(shelf: Shelf) -> None:
    with shelf.site.parts.get(Drafts).open("stray", new=True) as draft:
        draft.append(b"stray")
        shelf.site.parts.get(Blobs).keep(draft)
        draft.discard()
    swept(shelf)
    assert len(shelf.files_on_disk()) == 1
    jobs.adopt_blobs(shelf.site.parts, shelf.site.clock.now())
    shelf.site.clock.turn(2 * HOUR)
    swept(shelf)
    assert shelf.files_on_disk() == []


def test_a_sweep_never_takes_what_is_just_being_uploaded_again(shelf: Shelf) -> None:
    """The row is renewed before the bytes take their place, so a sweep in between finds nothing to take."""
    file_id = shelf.send("a", b"again").json["id"]
    shelf.delete(file_id)
    shelf.site.clock.turn(2 * HOUR)
    with shelf.site.database.write() as tx:
        blob_rows.renew(tx, sha256(b"again"), 5, shelf.site.clock.now())
    swept(shelf)
    assert len(shelf.files_on_disk()) == 1


def test_a_file_can_only_refer_to_bytes_that_have_a_row(shelf: Shelf) -> None:
    with pytest.raises(sa.exc.IntegrityError), shelf.site.database.write() as tx:
        tx.execute(sa.text("insert into package_member values (1, 'a', 'nothing', 1)"))


def test_files_of_a_deleted_device_go_with_it(shelf: Shelf) -> None:
    shelf.send("a", b"trace")
    shelf.begin(100)
    with shelf.site.database.write() as tx:
        device = devices.find(tx, shelf.home.id, shelf.device.key)
        devices.delete(tx, COMMAND_LINE, device, shelf.site.clock.now(), typed_name=device.name)
    assert shelf.rows("select * from file") == shelf.rows("select * from upload") == []
    assert shelf.rows("select size_bytes from room_used") == [(0,)]


def test_two_parts_at_once_never_mix(shelf: Shelf) -> None:
    place = shelf.begin(10).headers["location"]
    uid = place.rpartition("/")[2]
    with shelf.site.parts.get(Drafts).open(uid):
        answer = shelf.go_on(place, 0, b"01234")
        assert (answer.status, answer.headers["retry-after"]) == (423, "1")
    assert shelf.go_on(place, 0, b"01234").status == 204


def test_one_of_many_that_write_at_the_same_offset_wins(tmp_path: Path) -> None:
    drafts, ready = Drafts(tmp_path), threading.Barrier(8)
    drafts.make("a")

    def write(number: int) -> int | None:
        ready.wait()
        try:
            with drafts.open("a") as draft:
                draft.append(bytes([number]) * 100_000)
                time.sleep(0.2)
        except Locked:
            return None
        return number

    with ThreadPoolExecutor(8) as pool:
        won = [one for one in pool.map(write, range(8)) if one is not None]
    assert (tmp_path / "a").read_bytes() == bytes([won[-1]]) * 100_000


def test_an_upload_waits_while_its_disk_is_unplugged(shelf: Shelf) -> None:
    folder = shelf.site.parts.get(Drafts).folder
    place = shelf.begin(10).headers["location"]
    assert shelf.go_on(place, 0, b"01234").status == 204
    folder.rename(folder.with_name("elsewhere"))
    assert shelf.go_on(place, 5, b"56789").status == 503
    assert shelf.begin(10).status == 503
    assert not folder.exists()
    folder.with_name("elsewhere").rename(folder)
    assert shelf.go_on(place, 5, b"56789").status == 204


def test_a_part_under_way_waits_when_its_disk_is_unplugged(tmp_path: Path) -> None:
    data = tmp_path / "data"
    drafts, kept = Drafts(data / "drafts"), LocalBlobs(data / "blobs")
    with drafts.open("a", new=True) as draft:
        draft.append(b"01234")
        data.rename(tmp_path / "elsewhere")
        with pytest.raises(Unavailable):
            draft.append(b"56789")
        with pytest.raises(Unavailable):
            kept.keep(draft)
        assert not data.exists()
        (tmp_path / "elsewhere").rename(data)
        draft.append(b"56789")
        kept.keep(draft)
    with kept.open(draft.sha256) as file:
        assert file.read() == b"0123456789"


class Full:
    def check(self, home_id: int, more_bytes: int = 0) -> None:
        if more_bytes > 100:
            raise StorageFull(f"home {home_id} is full", retry_after_seconds=60)


def test_a_home_whose_storage_is_full_takes_no_more(shelf: Shelf) -> None:
    shelf.site.parts.put(Room, Full())
    shelf.site.parts.put(Receiving, Receiving(shelf.site.parts))
    assert shelf.send("a", bytes(101)).status == 507
    assert shelf.begin(101).status == 507
    assert shelf.send("a", bytes(50)).status == 200


@given(st.text())
def test_no_name_that_is_taken_is_a_path_or_invisible(name: str) -> None:
    try:
        taken = check_name(name)
    except Invalid:
        return
    assert taken == Path(taken).name
    assert taken.strip() == taken
    assert taken.isprintable()


@given(st.text(alphabet="bytes=0123456789-, "), st.integers(0, 1000))
def test_whatever_range_is_asked_for_is_inside(asked: str, size: int) -> None:
    found = ranges.span(asked, size)
    assert found is None or 0 <= found.start + found.length <= max(size, found.start)


@given(st.integers(0, 2000), st.integers(0, 2000), st.integers(1, 1000))
def test_a_range_is_the_bytes_that_it_names(first: int, last: int, size: int) -> None:
    content = bytes(index % 251 for index in range(size))
    found = ranges.span(f"bytes={first}-{last}", size)
    if last < first:
        assert found is None
    else:
        assert found is not None
        assert content[found.start : found.start + found.length] == content[first : last + 1]
