"""A file of the device arrives whole, whatever breaks on the way."""

import hashlib
import random
import re

import pytest
from firmware.conformance.house import House

pytestmark = pytest.mark.servers

OFFSET = re.compile(r"upload-offset: *(\d+)", re.IGNORECASE)
SMALL, LARGE = 5_000, 150_000


def test_a_file_is_sent(house: House) -> None:
    house.start()
    wanted = _made(house, "small.bin", SMALL)
    house.do("upload", file="small.bin")
    house.until(lambda: house.desk.files(house.key) == wanted, "it has arrived")


def test_a_large_file_goes_on_where_it_broke_off(house: House) -> None:
    _arrives_although_cut(house)
    offsets = [int(found[1]) for head in house.link.heads if (found := OFFSET.search(head))]
    assert max(offsets) > 0, "it went on in the middle"


def test_a_file_goes_on_although_the_hub_has_not_heard_that_it_broke_off(house: House) -> None:
    """Meanwhile the hub says 423 (docs/reference/device-api.md), which is no refusal."""
    _arrives_although_cut(house, is_unheard=True)


def test_a_file_goes_on_after_a_cut_of_the_power(house: House) -> None:
    house.start()
    wanted = _made(house, "large.bin", LARGE)
    house.link.cut_request("PATCH /api/uploads", 50_000)
    house.do("upload", file="large.bin")
    house.until(lambda: not house.link.faults_left, "it is on its way")
    house.client.kill()
    house.start()
    house.until(lambda: house.desk.files(house.key) == wanted, "it has arrived")


def _arrives_although_cut(house: House, *, is_unheard: bool = False) -> None:
    house.start()
    wanted = _made(house, "large.bin", LARGE)
    house.link.cut_request("PATCH /api/uploads", 50_000, is_unheard=is_unheard)
    house.do("upload", file="large.bin")
    house.until(lambda: house.desk.files(house.key) == wanted, "it has arrived")
    assert not house.link.faults_left


def _made(house: House, name: str, size: int) -> dict[str, str]:
    content = random.Random(name).randbytes(size)
    house.client.put(name, content)
    return {name: hashlib.sha256(content).hexdigest()}
