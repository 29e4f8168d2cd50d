import pytest

from waystation.files import Receiving, packages
from waystation.files.packages import By, Member, Package, Target
from waystation.files.tests.shelf import Shelf, sha256
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.errors import Conflict

WIFI = b'{"ssid": "barn"}'


def made(shelf: Shelf, *members: tuple[str, bytes]) -> Package:
    with shelf.site.database.write() as tx:
        now = shelf.site.clock.now()
        package = packages.create(tx, COMMAND_LINE, shelf.home.id, now, name="config-12", kind="config", version="12")
    for name, content in members:
        assert shelf.send(name.replace("/", "_"), content, shelf.owner.authorization).status == 200
        with shelf.site.database.write() as tx:
            member = Member(name, len(content), sha256(content))
            packages.add_member(tx, COMMAND_LINE, package, now, member=member)
    return package


def stage(shelf: Shelf, package: Package, *to: Target) -> int:
    with shelf.site.database.write() as tx:
        found = packages.find(tx, shelf.home.id, package.uid)
        return packages.stage(tx, COMMAND_LINE, found, shelf.site.clock.now(), to=to)


def next_of(shelf: Shelf, query: str = "", who: str = "") -> dict[str, object] | None:
    answer = shelf.site.ask("GET", f"/api/packages/next{query}", who or shelf.device.authorization)
    assert answer.status == 200, answer.body
    assert len(answer.body) <= 1024 or "limit" in query
    return answer.json["package"]


def report(shelf: Shelf, package: Package, state: str, who: str = "") -> int:
    body = {"id": package.uid, "state": state}
    return shelf.site.ask("POST", "/api/packages/report", who or shelf.device.authorization, body).status


def test_a_package_goes_from_staged_to_deployed_when_the_device_says_so(shelf: Shelf) -> None:
    package = made(shelf, ("wifi.json", WIFI))
    assert next_of(shelf) is None
    assert stage(shelf, package, Target(By.DEVICE, shelf.device.key)) == 1
    shelf.site.parts.get(packages.Idle).drop(shelf.device.key)
    told = next_of(shelf)
    assert told is not None
    line = f"{sha256(WIFI)} {len(WIFI)} wifi.json\n".encode()
    assert told["manifest_sha256"] == sha256(line)
    assert told["members"] == [{"name": "wifi.json", "size_bytes": len(WIFI), "sha256": sha256(WIFI)}]
    blob = shelf.site.ask("GET", f"/api/blobs/{sha256(WIFI)}", shelf.device.authorization)
    assert (blob.status, blob.body, blob.headers["etag"]) == (200, WIFI, f'"{sha256(WIFI)}"')
    assert report(shelf, package, "deploying") == 200
    assert next_of(shelf) is not None
    assert report(shelf, package, "deployed") == 200
    assert report(shelf, package, "deployed") == 200
    assert report(shelf, package, "failed") == 409
    assert next_of(shelf) is None
    assert shelf.site.ask("GET", f"/api/blobs/{sha256(WIFI)}", shelf.device.authorization).status == 404


def test_a_device_knows_of_its_own_packages_only(shelf: Shelf) -> None:
    package = made(shelf, ("wifi.json", WIFI))
    stage(shelf, package, Target(By.DEVICE, shelf.device.key))
    other = shelf.other.authorization
    assert next_of(shelf, who=other) is None
    assert report(shelf, package, "deployed", other) == 404
    assert shelf.site.ask("GET", f"/api/blobs/{sha256(WIFI)}", other).status == 404


def test_members_are_read_page_by_page(shelf: Shelf) -> None:
    package = made(shelf, *((f"conf/{number:02}.json", b"%d" % number) for number in range(20)))
    stage(shelf, package, Target(By.HOME))
    first = next_of(shelf)
    assert first is not None
    seen = list(first["members"])  # type: ignore[call-overload]
    while len(seen) < 20:
        page = next_of(shelf, f"?id={package.uid}&from={len(seen)}")
        assert page is not None
        seen += page["members"]  # type: ignore[operator]
    assert [one["name"] for one in seen] == [f"conf/{number:02}.json" for number in range(20)]
    whole = next_of(shelf, f"?id={package.uid}&from=0&limit=1000")
    assert whole is not None
    assert whole["members"] == seen


def test_part_of_a_blob_by_range(shelf: Shelf) -> None:
    package = made(shelf, ("wifi.json", WIFI))
    stage(shelf, package, Target(By.HOME))
    place, who = f"/api/blobs/{sha256(WIFI)}", shelf.device.authorization

    def asked(**headers: str) -> tuple[int, bytes, str | None]:
        answer = shelf.site.ask("GET", place, who, **headers)
        return answer.status, answer.body, answer.headers.get("content-range")

    size = len(WIFI)
    assert asked(range="bytes=2-4") == (206, WIFI[2:5], f"bytes 2-4/{size}")
    assert asked(range="bytes=5-") == (206, WIFI[5:], f"bytes 5-{size - 1}/{size}")
    assert asked(range="bytes=-3") == (206, WIFI[-3:], f"bytes {size - 3}-{size - 1}/{size}")
    assert asked(range=f"bytes={size}-") == (416, b"", f"bytes */{size}")
    assert asked(range="bytes=-0") == (416, b"", f"bytes */{size}")
    assert asked(range="bytes=0-1,4-5") == (200, WIFI, None)
    assert asked(range="bytes=4-2") == (200, WIFI, None)
    assert asked(range="bytes=0-1", if_range=f'"{sha256(WIFI)}"')[0] == 206
    assert asked(range="bytes=0-1", if_range='"other"') == (200, WIFI, None)
    assert asked(if_none_match=f'"{sha256(WIFI)}"')[0] == 304


def test_what_is_staged_no_longer_changes(shelf: Shelf) -> None:
    package = made(shelf, ("wifi.json", WIFI))
    stage(shelf, package, Target(By.HOME))
    with shelf.site.database.write() as tx:
        sealed = packages.find(tx, shelf.home.id, package.uid)
        assert sealed.manifest_sha256
        with pytest.raises(Conflict, match="new version"):
            packages.remove_member(tx, COMMAND_LINE, sealed, shelf.site.clock.now(), name="wifi.json")


def test_the_part_that_receives_is_there(shelf: Shelf) -> None:
    assert shelf.site.parts.has(Receiving)
