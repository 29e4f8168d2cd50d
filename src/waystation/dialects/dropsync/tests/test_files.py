"""Files up and down, and packages: names are no paths, bytes are real, and deployed is what the device has got."""

import hashlib
import json
from pathlib import Path

import pytest
from tests.site import standing_site

from waystation.dialects.dropsync import model
from waystation.dialects.dropsync.tests.standing import BOUNDARY, Drop, form, part

FILES = "/api/v1/files"


@pytest.mark.parametrize("token_first", [True, False])
def test_a_file_goes_up_whole_wherever_the_token_stands__DS_16(token_first: bool, drop: Drop) -> None:  # noqa: FBT001
    drop.register()
    content = bytes(range(256)) * 3000
    answer = drop.upload("trace.bin", content, token_first=token_first)
    history = drop.call("GET", f"{FILES}/sync-history/esp001").json["sync_history"]
    assert answer.json == {
        "status": "uploaded",
        "device_id": "esp001",
        "filename": "trace.bin",
        "size": len(content),
        "sync_id": history[0]["id"],
    }
    shown = drop.admin("GET", "devices/esp001/files").json["files"][0]
    assert shown["sha256"] == hashlib.sha256(content).hexdigest()
    assert drop.call("GET", f"{FILES}/files/esp001/trace.bin").body == content


@pytest.mark.parametrize(
    ("given", "status", "stored"),
    [
        ("../../../x.csv", 200, "x.csv"),
        ("%2e%2e/x.csv", 200, "x.csv"),
        ("C:\\x.csv", 200, "x.csv"),
        ("a\0b.txt", 400, None),
        ("x" * 300 + ".txt", 400, None),
        ("x.exe", 400, None),
        ("x.txt.exe", 400, None),
        ("", 400, None),
        ("..", 400, None),
    ],
)
def test_names_of_uploads_are_no_paths__DS_15(given: str, status: int, stored: str | None, drop: Drop) -> None:
    drop.register()
    answer = drop.upload(given, b"x")
    assert answer.status == status
    names = [one["filename"] for one in drop.call("GET", f"{FILES}/list/esp001").json["files"]]
    assert names == ([] if stored is None else [stored])
    assert drop.call("DELETE", f"{FILES}/files/esp001/{given.replace('/', '%2F') or 'x'}").status == 404


def test_what_is_not_taken_is_named__DS_16(drop: Drop) -> None:
    drop.register()
    answer = drop.upload("x.exe", b"x")
    assert answer.json["detail"].startswith("File type not allowed. Allowed types: [")
    no_file = part('name="token"', drop.tokens["esp001"].encode()) + f"--{BOUNDARY}--\r\n".encode()
    missing = drop.multipart(f"{FILES}/upload/esp001", no_file)
    assert (missing.status, missing.json["detail"][0]["loc"]) == (422, ["body", "file"])
    no_form = drop.site.ask("POST", f"{FILES}/upload/esp001?token={drop.tokens['esp001']}", body=b"file=x")
    assert no_form.status == 422


def test_of_a_stranger_nothing_is_kept__DS_16(drop: Drop, site: object) -> None:
    drop.register()
    for token_first in (True, False):
        body = form("a.txt", b"x" * 100_000, token="wrong", token_first=token_first)
        answer = drop.multipart(f"{FILES}/upload/esp001", body)
        assert (answer.status, answer.json) == (403, {"detail": "Unauthorized device or invalid token"})
    assert drop.call("GET", f"{FILES}/list/esp001").json["file_count"] == 0


def test_an_upload_that_breaks_off_is_not_kept__DS_16(drop: Drop) -> None:
    drop.register()
    for token_first in (True, False):
        whole = form("a.txt", b"x" * 5000, token=drop.tokens["esp001"], token_first=token_first)
        assert drop.multipart(f"{FILES}/upload/esp001", whole[:3000]).status in (400, 422)
    assert drop.call("GET", f"{FILES}/list/esp001").json["file_count"] == 0


@pytest.mark.parametrize("token_first", [True, False])
def test_one_byte_too_many_is_413__DS_16(
    token_first: bool,  # noqa: FBT001
    drop: Drop,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model, "MOST_FILE_BYTES", 1000)
    drop.register()
    assert drop.upload("a.txt", b"x" * 1000, token_first=token_first).status == 200
    answer = drop.upload("b.txt", b"x" * 1001, token_first=token_first)
    assert (answer.status, answer.json) == (413, {"detail": "File too large. Maximum size: 52428800 bytes"})
    assert drop.call("GET", f"{FILES}/list/esp001").json["file_count"] == 1


def test_a_length_beyond_the_limit_is_refused_before_the_body__DS_16(drop: Drop) -> None:
    token = drop.register()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    length = {"content_length": str(60_000_000), "content_type": kind}
    answer = drop.site.ask("POST", f"{FILES}/upload/esp001?token={token}", body=form("a.txt", b"x"), **length)
    assert answer.status == 413


def test_the_files_of_one_device_have_a_limit__DS_16(tmp_path: Path) -> None:
    with standing_site(tmp_path, dropsync_device_bytes=10_000) as site:
        drop = Drop(site, site.home())
        drop.register()
        assert drop.upload("a.txt", b"x" * 10_001).status == 200  # its size was not known before
        answer = drop.upload("b.txt", b"y")
        assert answer.status == 413
        assert "delete some" in answer.json["detail"]


def test_the_same_name_again_overwrites_nothing__DS_15(drop: Drop) -> None:
    drop.register()
    for content in (b"one", b"two", b"two"):
        assert drop.upload("a.txt", content).status == 200
    assert drop.call("GET", f"{FILES}/list/esp001").json["file_count"] == 1
    assert drop.call("GET", f"{FILES}/files/esp001/a.txt").body == b"two"
    with drop.site.database.read() as tx:
        kept = tx.connection.exec_driver_sql("select count(*) from file where name = 'a.txt'").scalar()
    assert kept >= 2
    assert drop.call("DELETE", f"{FILES}/files/esp001/a.txt").json == {"status": "deleted", "filename": "a.txt"}
    assert drop.call("GET", f"{FILES}/files/esp001/a.txt").json == {"detail": "File not found"}
    assert drop.call("DELETE", f"{FILES}/files/esp001/a.txt").status == 404


def test_fifty_files_are_counted_exactly_in_a_kilobyte__DS_8(drop: Drop) -> None:
    drop.register()
    for number in range(50):
        assert drop.upload(f"{number:02}-{'long' * 20}.txt", b"%d" % number).status == 200
    answer = drop.call("GET", f"{FILES}/list/esp001")
    assert answer.json["file_count"] == 50
    assert 0 < len(answer.json["files"]) < 50
    assert len(answer.body) < 1024
    assert model.device_cost(answer.json) <= 1024
    assert all(not one["path"].startswith("/") for one in answer.json["files"])


def test_the_list_marks_what_is_new_for_the_device__DS_18(drop: Drop) -> None:
    drop.register()
    drop.upload("mine.txt", b"mine")
    drop.multipart("/upload/esp001", form("yours.txt", b"yours"), authorization=drop.owner.authorization)
    shown = drop.call("GET", f"{FILES}/list/esp001").json["files"]
    assert [(one["filename"], one.get("new", False)) for one in shown] == [("yours.txt", True), ("mine.txt", False)]
    part_of_it = drop.site.ask(
        "GET", f"{FILES}/files/esp001/yours.txt?token={drop.tokens['esp001']}", range="bytes=0-1"
    )
    assert (part_of_it.status, part_of_it.body) == (206, b"yo")
    assert drop.call("GET", f"{FILES}/list/esp001").json["files"][0]["new"]
    rest = drop.site.ask("GET", f"{FILES}/files/esp001/yours.txt?token={drop.tokens['esp001']}", range="bytes=2-")
    assert (rest.status, rest.body) == (206, b"urs")
    assert all("new" not in one for one in drop.call("GET", f"{FILES}/list/esp001").json["files"])
    history = drop.call("GET", f"{FILES}/sync-history/esp001").json["sync_history"]
    assert [one["sync_type"] for one in history] == ["download", "upload", "upload"]


def test_the_files_of_another_device_do_not_exist__G_13(drop: Drop) -> None:
    drop.register()
    drop.register("esp002")
    drop.upload("a.txt", b"secret")
    assert drop.call("GET", f"{FILES}/files/esp002/a.txt", "esp002").status == 404
    assert drop.call("GET", f"{FILES}/files/esp001/a.txt", "esp002").status == 403
    assert drop.call("DELETE", f"{FILES}/files/esp002/a.txt", "esp002").status == 404


def make(drop: Drop, name: str = "esp001", **files: bytes) -> int:
    fields = {"package_name": "conf", "target_device_id": name, "package_type": "config", "description": "d"}
    if not files:
        return drop.admin("POST", "sync-packages", **fields).json["package_id"]
    texts = b"".join(part(f'name="{key}"', value.encode()) for key, value in fields.items())
    said = b"".join(part(f'name="file"; filename="{key}.json"', content) for key, content in files.items())
    body = texts + said + f"--{BOUNDARY}--\r\n".encode()
    answer = drop.multipart("/api/v1/admin/sync-packages", body, authorization=drop.owner.authorization)
    assert answer.status == 200, answer.body
    return answer.json["package_id"]


def state_of(drop: Drop, number: int) -> str:
    found = drop.admin("GET", "sync-packages").json["packages"]
    return next(one["status"] for one in found if one["id"] == number)


def test_a_package_without_files_works_as_it_always_did__DS_17(drop: Drop) -> None:
    drop.register()
    number = make(drop)
    listed = drop.call("GET", f"{FILES}/sync-packages/esp001").json["packages"]
    assert [(one["id"], one["name"], one["type"], one["file_count"]) for one in listed] == [
        (number, "conf", "config", 0)
    ]
    taken = drop.call("POST", f"{FILES}/sync-packages/esp001/{number}/download")
    assert taken.json == {"status": "deployed", "package_id": number, "package_name": "conf"}
    assert state_of(drop, number) == "deployed"
    assert drop.call("GET", f"{FILES}/sync-packages/esp001").json["packages"] == []
    unknown = drop.call("POST", f"{FILES}/sync-packages/esp001/99999/download")
    assert (unknown.status, unknown.json) == (404, {"detail": "Sync package not found"})
    target = drop.admin("POST", "sync-packages", package_name="p", target_device_id="no", package_type="data")
    assert (target.status, target.json) == (404, {"detail": "Target device not found"})


def test_a_package_has_real_bytes_and_is_deployed_when_the_device_says_so__DS_17(drop: Drop) -> None:
    drop.register()
    number = make(drop, wifi=b'{"ssid": "farm"}', pins=b'{"led": 2}')
    place = f"{FILES}/sync-packages/esp001/{number}"
    shown = drop.call("GET", place).json
    assert (shown["file_count"], shown["size"]) == (2, 26)
    for one in shown["files"]:
        whole = drop.call("GET", f"{place}/files/{one['name']}")
        assert hashlib.sha256(whole.body).hexdigest() == one["sha256"]
        resumed = drop.site.ask("GET", f"{place}/files/{one['name']}?token={drop.tokens['esp001']}", range="bytes=5-")
        assert (resumed.status, resumed.body) == (206, whole.body[5:])
    assert state_of(drop, number) == "staged"
    assert drop.call("POST", f"{place}/report", status="deploying").json["status"] == "deploying"
    assert drop.call("POST", f"{place}/report", status="deployed").json["status"] == "deployed"
    assert state_of(drop, number) == "deployed"
    assert drop.admin("GET", "sync-packages", status="deployed").json["packages"][0]["deployed_at"]
    assert drop.call("POST", f"{place}/report", status="nonsense").status == 400


def test_what_an_old_client_has_not_fetched_is_not_deployed__DS_17(drop: Drop) -> None:
    """The answer is as it always was; what the administrator reads is the truth."""
    drop.register()
    number = make(drop, wifi=b"1", pins=b"2")
    place = f"{FILES}/sync-packages/esp001/{number}"
    assert drop.call("POST", f"{place}/download").json["status"] == "deployed"
    assert state_of(drop, number) == "deploying"
    for name in ("wifi.json", "pins.json"):
        assert drop.call("GET", f"{place}/files/{name}").status == 200
    assert drop.call("POST", f"{place}/download").json["status"] == "deployed"
    assert state_of(drop, number) == "deployed"


def test_files_can_be_put_into_a_package_once__DS_17(drop: Drop) -> None:
    drop.register()
    number = make(drop)
    path = f"/api/v1/admin/sync-packages/{number}/files"
    first = drop.multipart(path, form("a.json", b"{}"), authorization=drop.owner.authorization)
    assert (first.status, first.json["files"][0]["name"]) == (200, "a.json")
    assert drop.multipart(path, form("b.json", b"{}"), authorization=drop.owner.authorization).status == 409
    assert drop.call("GET", f"{FILES}/sync-packages/esp001/{number}/files/a.json").body == b"{}"


def test_packages_of_another_device_do_not_exist__G_13(drop: Drop) -> None:
    drop.register()
    drop.register("esp002")
    number = make(drop, wifi=b"1")
    place = f"{FILES}/sync-packages/esp002/{number}"
    for method, path in (("GET", place), ("GET", f"{place}/files/wifi.json"), ("POST", f"{place}/download")):
        assert drop.call(method, path, "esp002").status == 404
    assert state_of(drop, number) == "staged"


@pytest.mark.parametrize("number", ["x", "-1", "9" * 30, "1e3"])
def test_a_number_that_is_none_is_refused(number: str, drop: Drop) -> None:
    drop.register()
    assert drop.call("GET", f"{FILES}/sync-packages/esp001/{number}").status in (404, 422)
    assert drop.call("POST", f"{FILES}/sync-packages/esp001/{number}/download").status in (404, 422)


def test_small_clients_get_short_lists_and_others_whole_ones__DS_8(drop: Drop) -> None:
    drop.register()
    for number in range(12):
        drop.upload(f"{number}.txt", b"%d" % number)
    path = f"{FILES}/sync-history/esp001"
    small = drop.call("GET", path)
    assert model.device_cost(json.loads(small.body)) <= 1024
    whole = drop.ask("GET", path, {"token": drop.tokens["esp001"]}).json["sync_history"]
    assert len(whole) == 12
    assert small.json["sync_history"] == whole[: len(small.json["sync_history"])]
