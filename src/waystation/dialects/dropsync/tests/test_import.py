"""`waystation import dropsync`: an old hub moves in, each row once, and what stays out is named (DS-25)."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.hub import Hub

from waystation.dialects.dropsync.importing import source
from waystation.dialects.dropsync.importing.source import OldDatabase
from waystation.dialects.dropsync.tests import old_hub
from waystation.dialects.dropsync.tests.served import Client
from waystation.kernel.errors import Invalid, NotFound

StartHub = Callable[..., Hub]
ADMIN = "/api/v1/admin"


@pytest.mark.servers
def test_a_whole_hub_moves_in_and_may_do_so_again__DS_25(hub: StartHub, tmp_path: Path) -> None:
    old_hub.whole_hub(tmp_path / "old")
    running = hub()
    report = running.command("import", "dropsync", str(tmp_path / "old"))
    assert report["devices"] == {"imported": 2, "known": 0, "skipped": 1}
    assert report["tokens"] == {"imported": 1, "known": 0, "skipped": 2}
    assert report["commands"] == {"imported": 3, "known": 0, "skipped": 2}
    assert report["messages"]["imported"] == 2
    assert report["files"] == {"imported": 1, "known": 0, "skipped": 2}
    assert all(one["why"] for one in report["left_out"])
    before = picture(Client(running))
    again = running.command("import", "dropsync", str(tmp_path / "old"))
    assert all(again[kind]["imported"] == 0 for kind in again if kind != "left_out")
    assert picture(Client(running)) == before


def picture(client: Client) -> Any:
    """All that an administrator sees of it."""
    of_device = [f"devices/esp001/{name}" for name in ("commands", "messages", "files", "sync-history")]
    paths = ["devices?include_inactive=true", *of_device, "sync-packages", "system/stats"]
    return [client.get(f"{ADMIN}/{path}") for path in paths]


@pytest.mark.servers
def test_its_devices_go_on_as_if_nothing_had_happened__DS_25(hub: StartHub, tmp_path: Path) -> None:
    old_hub.whole_hub(tmp_path / "old")
    running = hub()
    running.command("import", "dropsync", str(tmp_path / "old"))
    client = Client(running)
    assert client.form("POST", "/api/v1/device/heartbeat/esp001", token=old_hub.TOKEN)[0] == 200
    assert client.form("POST", "/api/v1/device/heartbeat/esp007", token="seven")[0] == 200
    assert client.form("POST", "/api/v1/device/heartbeat/esp001", token="another")[0] == 403  # the database wins
    assert client.form("POST", "/api/v1/device/heartbeat/esp002", token="t2")[0] == 403  # it was inactive
    polled = client.form("GET", "/api/v1/device/commands/esp001", token=old_hub.TOKEN)[1]
    assert (polled["command"], polled["parameters"], polled["priority"]) == ("ping", '{"a": 1}', 3)
    shown = client.get(f"{ADMIN}/devices/esp001/commands")["commands"]
    assert {(one["command"], one["status"]) for one in shown} == {
        ("ping", "sent"),
        ("status", "completed"),
        ("reboot", "failed"),
    }
    said = client.get(f"{ADMIN}/devices/esp001/messages?severity=error")["messages"]
    assert [one["content"] for one in said] == ["cooler", "too hot"]
    assert said[0]["timestamp"] == "2026-11-20T23:15:43.192159"
    assert client.bytes(f"/api/v1/files/files/esp001/trace.csv?token={old_hub.TOKEN}") == b"1,2\n"
    states = {one["status"] for one in client.get(f"{ADMIN}/sync-packages")["packages"]}
    assert states == {"staged", "deployed"}
    logs = client.get(f"{ADMIN}/system/logs?event_type=device_alert")["logs"]
    assert [one["message"] for one in logs] == ["too hot"]  # what was said long ago alerts nobody now


@pytest.mark.servers
def test_the_older_layout_moves_in_too__DS_25(hub: StartHub, tmp_path: Path) -> None:
    old_hub.old_layout(tmp_path / "dropsync.db")
    running = hub()
    report = running.command("import", "dropsync", str(tmp_path / "dropsync.db"))
    assert {kind: report[kind]["imported"] for kind in ("devices", "commands", "messages")} == {
        "devices": 1,
        "commands": 1,
        "messages": 1,
    }
    client = Client(running)
    assert client.form("GET", "/api/v1/device/commands/esp001", token="short")[1]["command"] == "ping"


@pytest.mark.servers
def test_its_database_may_be_where_ours_is__DS_30(hub: StartHub, tmp_path: Path) -> None:
    """`DATABASE_URL=sqlite:///./dropsync.db` names the old file: our tables stand beside its own."""
    path = tmp_path / "dropsync.db"
    old_hub.full_layout(path)
    running = hub(environment={"DATABASE_URL": f"sqlite:///{path}"})
    assert running.command("import", "dropsync", str(path))["devices"]["imported"] == 2
    assert Client(running).form("POST", "/api/v1/device/heartbeat/esp001", token=old_hub.TOKEN)[0] == 200


def test_what_is_no_old_hub_is_said_so__DS_25(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        source.look(tmp_path)
    path = tmp_path / "dropsync.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(Invalid):
        OldDatabase(path).tables()
    path.unlink()
    sqlite3.connect(path).close()
    with pytest.raises(Invalid):
        OldDatabase(path).tables()


def test_links_and_hidden_ways_are_not_followed__DS_25(tmp_path: Path) -> None:
    mine = tmp_path / "uploads" / "device-esp001"
    mine.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (mine / "link.txt").symlink_to(tmp_path / "secret.txt")
    (tmp_path / "uploads" / "device-esp002").symlink_to(tmp_path)
    (mine / "a.txt").write_text("a")
    assert [one.path.name for one in source.uploads_in(tmp_path / "uploads")] == ["a.txt"]
