"""Packages: all of it or nothing, verified, and what was there before comes back when it is not good."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent.tests.lives import Lives

from waystation_agent.folder import Folder
from waystation_agent.identity import Identity
from waystation_agent.local_hub import LocalHub
from waystation_agent.packages import rounds
from waystation_agent.packages.config import Manner, load
from waystation_agent.packages.model import Member, Unsound, check_whole, is_inside, manifest_digest

FIRST = {"wifi.json": b'{"ssid": "barn"}', "tables/a.bin": b"a" * 200_000, "empty": b""}
SECOND = {"wifi.json": b'{"ssid": "attic"}', "tables/a.bin": b"a" * 200_000, "new/b.txt": b"b"}


@pytest.fixture
def lives(folder: Folder, hub: LocalHub, device: Identity) -> Iterator[Lives]:
    made = Lives(folder, hub)
    yield made
    made.end()


def _shelf(lives: Lives, kind: str = "config") -> Path:
    return lives.folder.packages / kind


def test_a_package_is_in_force_all_at_once_and_the_one_before_is_kept(lives: Lives) -> None:
    for members in (FIRST, SECOND, FIRST):
        package = lives.hub.files.stage("config-1", "config", members)
        lives.deploy(package)
        assert lives.hub.files.package(package) == ("deployed", "")
        assert lives.deployed("config") == members
    assert len(list((_shelf(lives) / "versions").iterdir())) == 2
    assert not (_shelf(lives) / "staging").exists()


def test_what_is_here_already_is_not_fetched_again(lives: Lives) -> None:
    lives.deploy(lives.hub.files.stage("config-1", "config", FIRST))
    asked: list[str] = []
    answer = lives.hub.answer
    lives.hub.answer = lambda request: (asked.append(request.path), answer(request))[1]  # type: ignore[method-assign]
    lives.deploy(lives.hub.files.stage("config-2", "config", SECOND))
    assert len([path for path in asked if path.startswith("/api/blobs/")]) == 2
    assert lives.deployed("config") == SECOND


def test_a_fetch_that_broke_off_goes_on_where_it_was(lives: Lives) -> None:
    package = lives.hub.files.stage("data-1", "data", {"big": os.urandom(300_000)})
    lives.packages.step()
    folder = next(iter([lives.packages._shelf(lives.packages._journal.open_package().package)]))  # type: ignore[union-attr]
    staging = folder.make(f"1-{package}")
    (staging / "big").write_bytes((lives.hub.files._folder / _only_blob(lives, package)).read_bytes()[:100_000])
    ranges: list[str] = []
    answer = lives.hub.answer
    lives.hub.answer = lambda request: (ranges.append(request.headers.get("Range", "")), answer(request))[1]  # type: ignore[method-assign]
    lives.deploy(package)
    assert [found for found in ranges if found] == ["bytes=100000-"]
    assert lives.hub.files.package(package)[0] == "deployed"


def _only_blob(lives: Lives, package: str) -> str:
    found = lives.hub.files._next({"id": package})
    assert found
    return found["members"][0]["sha256"]  # type: ignore[index]


def test_damaged_bytes_are_refused_and_the_package_before_stays(lives: Lives) -> None:
    lives.deploy(lives.hub.files.stage("config-1", "config", FIRST))
    lives.hub.files.damage = True
    package = lives.hub.files.stage("config-2", "config", {"x.bin": b"other"})
    lives.deploy(package)
    state, detail = lives.hub.files.package(package)
    assert state == "failed"
    assert "x.bin does not match its hash" in detail
    assert lives.deployed("config") == FIRST
    assert not (_shelf(lives) / "staging").exists()


def test_a_package_that_fails_its_check_is_rolled_back_and_the_reason_is_told(lives: Lives, tmp_path: Path) -> None:
    log = tmp_path / "reloads"
    lives.manners = {
        "config": Manner(
            str(_shelf(lives)),
            after=("sh", "-c", f'cat "$WAYSTATION_PACKAGE_FOLDER/wifi.json" >> {log}; echo >> {log}'),
            check=("sh", "-c", "echo no attic here; ! grep -q attic $WAYSTATION_PACKAGE_FOLDER/wifi.json"),
        )
    }
    lives.begin()
    lives.deploy(lives.hub.files.stage("config-1", "config", FIRST))
    package = lives.hub.files.stage("config-2", "config", SECOND)
    lives.deploy(package)
    assert lives.hub.files.package(package) == (
        "failed",
        "sh ended with code 1: no attic here; the former version is back",
    )
    assert lives.deployed("config") == FIRST
    assert [line for line in log.read_text().splitlines() if line] == [
        '{"ssid": "barn"}',
        '{"ssid": "attic"}',
        '{"ssid": "barn"}',
    ]
    lives.hub.files.stage_again(package)
    lives.deploy(package)
    assert lives.hub.files.reports(package).count("failed") == 2


def test_a_first_package_that_fails_its_check_leaves_nothing(lives: Lives) -> None:
    lives.manners = {"config": Manner(str(_shelf(lives)), check=("false",))}
    lives.begin()
    package = lives.hub.files.stage("config-1", "config", FIRST)
    lives.deploy(package)
    assert lives.hub.files.package(package) == ("failed", "false ended with code 1; nothing is deployed")
    assert not (_shelf(lives) / "current").exists()
    assert list((_shelf(lives) / "versions").iterdir()) == []


def test_a_full_disk_is_said_and_nothing_is_half_done(lives: Lives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "RESERVE_BYTES", 1 << 60)
    package = lives.hub.files.stage("config-1", "config", FIRST)
    lives.deploy(package)
    assert "MiB are free" in lives.hub.files.package(package)[1]
    assert lives.deployed("config") == {}


def test_somebody_elses_folder_in_the_way_is_left_alone(lives: Lives) -> None:
    (_shelf(lives) / "current").mkdir(parents=True)
    (_shelf(lives) / "current/mine").write_text("mine")
    package = lives.hub.files.stage("config-1", "config", FIRST)
    lives.deploy(package)
    assert "is not a link of the agent's" in lives.hub.files.package(package)[1]
    assert lives.deployed("config") == {"mine": b"mine"}


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../../x", "a//b", "", ".", "a/.", "a\\b", "a\0b", "a\nb", "x" * 256, "a/" * 40 + "b"],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(lives: Lives, name: str) -> None:
    assert not is_inside(name)
    package = lives.hub.files.stage("config-1", "config", {name: b"x", "good": b"y"})
    lives.deploy(package)
    state, detail = lives.hub.files.package(package)
    assert state == "failed"
    assert "cannot be called" in detail
    assert lives.deployed("config") == {}


def test_a_type_that_is_not_known_is_refused(lives: Lives) -> None:
    package = lives.hub.files.stage("x", "rootkit", FIRST)
    lives.deploy(package)
    assert lives.hub.files.package(package) == ("failed", "packages of type rootkit are not known here")


def test_a_list_of_members_must_be_whole_and_fit_its_hash() -> None:
    members = [Member("a", 1, "0" * 64), Member("b/c", 2, "1" * 64)]
    check_whole(members, manifest_digest(members))
    for wrong in ([*members, members[0]], members[:1], [*members, Member("b", 1, "2" * 64)]):
        with pytest.raises(Unsound):
            check_whole(wrong, manifest_digest(members))


def test_a_mistake_in_the_table_is_a_sentence(tmp_path: Path) -> None:
    from waystation_agent.errors import BadInput  # noqa: PLC0415

    path = tmp_path / "agent.toml"
    for text, why in (
        ("[packages.photos]", "there are no packages of type photos"),
        ('[packages.config]\npath = "etc"', "path must begin with /"),
        ("[packages]\npoll_seconds = 0", "poll_seconds is from 0.1"),
        ('[packages.config]\nafter = "reload"', "after must be a list of texts"),
    ):
        path.write_text(text)
        with pytest.raises(BadInput, match=why):
            load(path, tmp_path)
