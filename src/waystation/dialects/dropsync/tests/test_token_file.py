"""`device_auth.json`: an owner adds a device by writing its id and token there (DS-3)."""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.site import NOON, Site, standing_site

from waystation.dialects.dropsync.tests.standing import Drop
from waystation.dialects.dropsync.tokenfile import TokenFile, read

BEAT = "/api/v1/device/heartbeat/"


class Filed:
    """A site with the file in its data folder, written at the site's time."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.path = folder / "device_auth.json"
        self.file = TokenFile(site.parts)
        self.drop = Drop(site, site.home())

    def write(self, tokens: object, seconds: float = 0) -> None:
        self.path.write_text(tokens if isinstance(tokens, str) else json.dumps(tokens))
        at = (self.site.clock.now() + timedelta(seconds=seconds)).timestamp()
        os.utime(self.path, (at, at))
        self.file.look()

    def beat(self, name: str, token: str) -> int:
        return self.drop.ask("POST", f"{BEAT}{name}", {"token": token}).status


@pytest.fixture
def filed(tmp_path: Path) -> Iterator[Filed]:
    with standing_site(tmp_path) as site:
        yield Filed(site, tmp_path)


def test_a_token_of_the_file_is_good_from_the_first_call__DS_3(tmp_path: Path) -> None:
    """The database is empty, and the file was there before the start."""
    path = tmp_path / "device_auth.json"
    path.write_text('{"esp001": "token-of-one", "esp002": "token-of-two"}')
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    with standing_site(tmp_path) as site:
        drop = Drop(site, site.home())
        for name, token, status in (("esp001", "token-of-one", 200), ("esp002", "token-of-one", 403)):
            assert drop.ask("POST", f"{BEAT}{name}", {"token": token}).status == status


def test_a_changed_line_replaces_the_token_and_a_new_one_adds_a_device__DS_3(filed: Filed) -> None:
    filed.write({"esp001": "old"})
    filed.site.clock.turn(60)
    filed.write({"esp001": "new", "esp002": "second"})
    assert [filed.beat("esp001", "old"), filed.beat("esp001", "new"), filed.beat("esp002", "second")] == [403, 200, 200]
    assert len(filed.drop.admin("GET", "devices").json["devices"]) == 2


def test_a_line_that_is_gone_opens_nothing_any_more__DS_3(filed: Filed) -> None:
    filed.write({"esp001": "one", "esp002": "two"})
    filed.write({"esp002": "two"}, seconds=1)
    assert [filed.beat("esp001", "one"), filed.beat("esp002", "two")] == [403, 200]


@pytest.mark.parametrize("broken", ["", "{", "[]", "7", "\ufffd", '{"esp001": '])
def test_what_is_no_token_file_changes_nothing__DS_3(broken: str, filed: Filed) -> None:
    filed.write({"esp001": "one"})
    filed.write(broken, seconds=5)
    assert filed.beat("esp001", "one") == 200


def test_the_last_deed_of_an_administrator_wins__DS_3(filed: Filed) -> None:
    filed.write({"esp001": "of the file"})
    filed.site.clock.turn(60)
    given = filed.drop.register("esp001")
    filed.write({"esp001": "of the file", "esp002": "other"}, seconds=5)
    assert [filed.beat("esp001", "of the file"), filed.beat("esp001", given)] == [403, 200]
    filed.site.clock.turn(60)
    filed.write({"esp001": "of the file again", "esp002": "other"})
    assert [filed.beat("esp001", "of the file again"), filed.beat("esp001", given)] == [200, 403]


def test_an_older_file_does_not_undo_a_registration__DS_3(filed: Filed) -> None:
    given = filed.drop.register("esp001")
    filed.write({"esp001": "older"}, seconds=-3600)
    assert [filed.beat("esp001", "older"), filed.beat("esp001", given)] == [403, 200]
    assert len(filed.drop.admin("GET", "devices").json["devices"]) == 1


def test_the_tools_own_line_is_no_second_token__DS_3(filed: Filed) -> None:
    """After `register` it writes what it was given into the file."""
    given = filed.drop.register("esp001")
    filed.write({"esp001": given}, seconds=2)
    assert filed.beat("esp001", given) == 200
    assert filed.drop.events() == ["device_registered"]


def test_a_revoked_device_stays_out_when_the_file_is_touched__DS_21(filed: Filed) -> None:
    filed.write({"esp001": "one"})
    filed.site.clock.turn(60)
    filed.drop.admin("POST", "devices/esp001/revoke-token")
    filed.write({"esp001": "one", "esp002": "two"}, seconds=1)
    assert [filed.beat("esp001", "one"), filed.beat("esp002", "two")] == [403, 200]


def test_two_devices_may_have_one_token_and_neither_opens_anything_else__DS_4(filed: Filed) -> None:
    filed.write({"esp001": "same", "esp002": "same"})
    assert [filed.beat("esp001", "same"), filed.beat("esp002", "same"), filed.beat("esp003", "same")] == [200, 200, 403]
    assert filed.site.ask("POST", "/api/readings", "Bearer same", {"values": {"t": 1}}).status in (401, 403)


def test_lines_that_cannot_count_are_left_out_with_a_reason__DS_3() -> None:
    tokens, skipped = read('{"a": "x", "../evil": "x", "b": 7, "c": "", "d": "' + "x" * 300 + '", "e": "a\\u0000"}')
    assert tokens == {"a": "x"}
    assert skipped.keys() == {"../evil", "b", "c", "d", "e"}
