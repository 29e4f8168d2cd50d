"""A package is fetched however often the wire breaks, verified, in force all at once, and only then reported."""

import hashlib
import random
from pathlib import Path

import pytest
from firmware.conformance.house import House

pytestmark = pytest.mark.servers

MEMBERS = {
    "wifi.json": b'{"ssid": "barn"}',
    "empty.txt": b"",
    "tables/a.bin": random.Random(1).randbytes(40_000),
    "tables/b.bin": random.Random(2).randbytes(3_000),
    "z.txt": b"last",
}


def test_a_package_that_broke_off_is_resumed_verified_and_in_force_at_once(house: House) -> None:
    house.start()
    key = house.key
    blob = hashlib.sha256(MEMBERS["tables/a.bin"]).hexdigest()
    house.link.cut_answer(f"/api/blobs/{blob}", 15_000, times=2)
    uid = house.desk.stage(key, "config", MEMBERS)
    house.until(lambda: house.desk.package(uid)[0] in ("deployed", "failed"), "the package has ended")
    assert house.desk.package(uid) == ("deployed", "")
    assert _content(house.client.package_folder("config")) == MEMBERS
    assert house.link.requests(f"/api/blobs/{blob}") == 3
    assert house.link.down_bytes(f"/api/blobs/{blob}") < 40_000 + 20_000, "what was there was not fetched again"


def test_a_package_survives_a_cut_of_the_power(house: House) -> None:
    house.start()
    key = house.key
    blob = hashlib.sha256(MEMBERS["tables/b.bin"]).hexdigest()
    house.link.cut_answer(f"/api/blobs/{blob}", 1_000, times=1)
    uid = house.desk.stage(key, "data", MEMBERS)
    house.until(lambda: not house.link.faults_left, "it is in the middle of the package")
    house.client.kill()
    house.start()
    house.until(lambda: house.desk.package(uid)[0] in ("deployed", "failed"), "the package has ended")
    assert house.desk.package(uid) == ("deployed", "")
    assert _content(house.client.package_folder("data")) == MEMBERS


def test_a_damaged_member_is_refused_and_the_package_before_stays(house: House) -> None:
    house.start()
    key = house.key
    first = house.desk.stage(key, "config", {"wifi.json": b"good"})
    house.until(lambda: house.desk.package(first)[0] == "deployed", "the first is deployed")
    damaged = random.Random(house.name).randbytes(2_000)
    second = house.desk.stage(key, "config", {"wifi.json": b"better", "x.bin": damaged}, damaged="x.bin")
    house.until(lambda: house.desk.package(second)[0] in ("deployed", "failed"), "the second has ended")
    state, detail = house.desk.package(second)
    assert (state, "x.bin" in detail) == ("failed", True), detail
    assert _content(house.client.package_folder("config")) == {"wifi.json": b"good"}


def test_a_newer_package_takes_the_place_of_the_older(house: House) -> None:
    house.start()
    key = house.key
    for members in ({"a.txt": b"1", "b.txt": b"2"}, {"a.txt": b"3"}, {"c.txt": b"4"}):
        uid = house.desk.stage(key, "script", members)
        house.until(lambda uid=uid: house.desk.package(uid)[0] == "deployed", "it is deployed")
        assert _content(house.client.package_folder("script")) == members


def _content(folder: Path | None) -> dict[str, bytes]:
    assert folder is not None
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
