import base64
import hashlib

import pytest

from waystation.files.tests.shelf import Shelf, sha256

CSV = b"at,temp\n1,20.5\n"


def test_a_file_in_one_call_is_kept_under_its_hash(shelf: Shelf) -> None:
    answer = shelf.send("trace.csv", CSV)
    assert answer.status == 200, answer.body
    told = answer.json
    assert (told["name"], told["size_bytes"], told["sha256"]) == ("trace.csv", len(CSV), sha256(CSV))
    place = sha256(CSV)
    assert shelf.files_on_disk() == [f"{place[:2]}/{place[2:4]}/{place}"]


def test_the_same_bytes_are_stored_once_and_two_of_a_name_are_both_kept(shelf: Shelf) -> None:
    first = shelf.send("a.csv", CSV).json["id"]
    assert shelf.send("b.csv", CSV).json["id"] != first
    assert shelf.send("a.csv", CSV + b"2,21\n").json["id"] != first
    assert len(shelf.files_on_disk()) == 2
    assert len(shelf.rows("select id from file")) == 3


def test_an_upload_whose_answer_was_lost_may_be_repeated(shelf: Shelf) -> None:
    assert shelf.send("a.csv", CSV).json == shelf.send("a.csv", CSV).json


def test_what_arrived_damaged_is_refused_and_nothing_is_left(shelf: Shelf) -> None:
    answer = shelf.send("a.csv", CSV, sha256=sha256(b"other"))
    assert answer.status == 409
    assert shelf.files_on_disk() == []
    assert shelf.rows("select * from file") == []


@pytest.mark.parametrize(
    "name",
    ["..", "a/b", "../../etc/passwd", "%2e%2e%2fx", "C:%5Cx.csv", "a%00b", "a%0Ab", "%E2%80%AEtxt.exe",
     "a%E2%80%8Bb", "", "%20", "x" * 256],
)  # fmt: skip
def test_a_name_that_is_a_path_or_a_trick_is_refused(shelf: Shelf, name: str) -> None:
    assert shelf.send(name, CSV).status == 400
    assert shelf.files_on_disk() == []


def test_resumable_in_parts(shelf: Shelf) -> None:
    begun = shelf.begin(10)
    assert begun.status == 201
    place = begun.headers["location"]
    assert shelf.offset(place) == 0
    part = shelf.go_on(place, 0, b"01234")
    assert (part.status, part.headers["upload-offset"], part.headers["tus-resumable"]) == (204, "5", "1.0.0")
    assert shelf.offset(place) == 5
    last = shelf.go_on(place, 5, b"56789")
    assert (last.status, last.headers["upload-offset"]) == (204, "10")
    assert shelf.offset(place) == 10
    assert shelf.rows("select sha256, name, uid from file") == [
        (sha256(b"0123456789"), "trace.csv", last.headers["x-file"])
    ]
    assert not [name for name in shelf.files_on_disk() if name.startswith("drafts")]


def test_a_part_at_another_offset_is_refused_and_changes_nothing(shelf: Shelf) -> None:
    place = shelf.begin(10).headers["location"]
    shelf.go_on(place, 0, b"01234")
    for offset in (0, 4, 6, 10):
        assert shelf.go_on(place, offset, b"xxx").status == 409
    assert shelf.offset(place) == 5


def test_a_part_whose_checksum_is_wrong_is_thrown_away(shelf: Shelf) -> None:
    place = shelf.begin(10).headers["location"]

    def checksum(of: bytes) -> str:
        return f"sha256 {base64.b64encode(hashlib.sha256(of).digest()).decode()}"

    assert shelf.go_on(place, 0, b"01234", upload_checksum=checksum(b"other")).status == 460
    assert shelf.offset(place) == 0
    assert shelf.go_on(place, 0, b"01234", upload_checksum=checksum(b"01234")).status == 204
    assert shelf.go_on(place, 5, b"56789", upload_checksum="md5 AAAA").status == 400


def test_the_first_bytes_may_come_with_the_creation(shelf: Shelf) -> None:
    place = shelf.begin(5).headers["location"]
    assert shelf.offset(place) == 0
    told = {"upload_length": "5", "tus_resumable": "1.0.0", "content_type": "application/offset+octet-stream"}
    answer = shelf.site.ask("POST", "/api/uploads", shelf.device.authorization, b"abcde", **told)
    assert (answer.status, answer.headers["upload-offset"]) == (201, "5")
    assert shelf.rows("select name, size_bytes from file") == [("unnamed", 5)]


def test_more_than_was_announced_is_refused(shelf: Shelf) -> None:
    place = shelf.begin(4).headers["location"]
    assert shelf.go_on(place, 0, b"01234").status == 400
    assert shelf.offset(place) == 0


def test_only_who_began_an_upload_may_know_of_it(shelf: Shelf) -> None:
    place = shelf.begin(4).headers["location"]
    others = (shelf.other.authorization, shelf.owner.authorization, shelf.stranger.authorization)
    for who in others:
        assert shelf.go_on(place, 0, b"0123", who).status == 404
        assert shelf.site.ask("DELETE", place, who).status == 404
    assert shelf.site.ask("PATCH", place).status == 401


def test_people_upload_as_devices_do_and_viewers_may_not(shelf: Shelf) -> None:
    place = shelf.begin(4, "plan.txt", shelf.owner.authorization).headers["location"]
    assert shelf.go_on(place, 0, b"text", shelf.owner.authorization).status == 204
    assert shelf.rows("select device_id, name, media_type from file") == [(None, "plan.txt", "text/plain")]
    assert shelf.begin(4, who=shelf.viewer.authorization).status == 403


def test_an_upload_that_is_given_up_leaves_nothing(shelf: Shelf) -> None:
    place = shelf.begin(10).headers["location"]
    shelf.go_on(place, 0, b"01234")
    assert shelf.site.ask("DELETE", place, shelf.device.authorization).status == 204
    assert shelf.site.ask("HEAD", place, shelf.device.authorization).status == 404
    assert shelf.files_on_disk() == []
    assert shelf.rows("select size_bytes from room_used") == [(0,)]


def test_what_is_larger_than_allowed_is_refused_before_it_comes(shelf: Shelf) -> None:
    assert shelf.begin(5 << 30).status == 413


def test_storage_is_counted_from_the_beginning_of_an_upload(shelf: Shelf) -> None:
    place = shelf.begin(10).headers["location"]
    assert shelf.rows("select size_bytes from room_used") == [(10,)]
    shelf.go_on(place, 0, b"0123456789")
    assert shelf.rows("select size_bytes from room_used") == [(10,)]


def test_another_version_of_tus_is_told_which_one_we_speak(shelf: Shelf) -> None:
    answer = shelf.begin(4, tus_resumable="0.2.2")
    assert (answer.status, answer.headers["tus-version"]) == (412, "1.0.0")
    asked = shelf.site.ask("OPTIONS", "/api/uploads", shelf.device.authorization)
    assert (asked.status, "checksum" in asked.headers["tus-extension"]) == (204, True)
