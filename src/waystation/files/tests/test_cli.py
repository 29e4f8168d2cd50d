"""The commands as a person types them, on a folder without a hub."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import commands

pytestmark = pytest.mark.servers  # each command is a program of its own
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def ran(*words: str, code: int = 0, data: str = "data") -> Any:
        options = ["--json", "--data", str(tmp_path / data)]
        ended = commands.run([*words, *options], dict(os.environ))
        assert ended.returncode == code, ended.stdout + ended.stderr
        return json.loads(ended.stdout) if code == 0 else ended.stderr

    return ran


def test_files_and_packages_from_a_terminal(run: Run, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "wifi.json").write_text('{"ssid": "barn"}')
    (tmp_path / "notes.txt").write_text("hello")
    [kept] = run("file", "put", str(tmp_path / "notes.txt"))
    assert [row["id"] for row in run("file", "list")] == [kept["id"]]
    run("file", "get", "notes.txt", "-o", str(tmp_path / "back.txt"))
    assert (tmp_path / "back.txt").read_text() == "hello"
    assert "exists already" in run("file", "get", "notes.txt", "-o", str(tmp_path / "back.txt"), code=1)

    device = run("device", "register", "Porch")["key"]
    run("package", "create", "config", "--type", "config", "--version", "12")
    assert [row["name"] for row in run("package", "add", "config", str(tmp_path / "conf"))] == ["wifi.json"]
    assert run("package", "stage", "config", "--device", device)["staged"] == 1
    assert [row["state"] for row in run("package", "status", "config@12")["deliveries"]] == ["staged"]
    assert "new version" in run("package", "add", "config", str(tmp_path / "notes.txt"), code=1)

    stick = str(tmp_path / "config.wsbundle")
    run("package", "export", "config", "-o", stick)
    assert run("package", "import", stick)["is_new"] is False
    assert "does not trust" in run("package", "import", stick, code=1, data="elsewhere")
    run("package", "delete", "config")
    assert run("package", "import", stick)["is_new"] is True
    run("file", "delete", kept["id"])
    assert run("file", "list") == []
    assert "there is no file" in run("file", "get", kept["id"], code=1)
