"""Files up: queued on disk, sent piece by piece, and there once however often the line breaks."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from agent.tests.lives import Lives

from waystation_agent import tus
from waystation_agent.api import BadInput, upload
from waystation_agent.folder import Folder
from waystation_agent.identity import Identity
from waystation_agent.journal import Journal
from waystation_agent.local_hub import LocalHub
from waystation_agent.uploads import queue


@pytest.fixture
def lives(folder: Folder, hub: LocalHub, device: Identity, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lives]:
    monkeypatch.setattr(tus, "FIRST_PIECE", 50_000)
    made = Lives(folder, hub)
    yield made
    made.end()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_bytes(os.urandom(300_000))
    return path


def _send(lives: Lives) -> int:
    def is_over() -> bool:
        with closing(Journal(lives.folder.journal)) as journal:
            return journal.uploads_waiting() == 0

    return lives.work(lambda: lives.uploads.step(), is_over)  # noqa: PLW0108 each life has its own


def test_a_file_arrives_under_its_name(lives: Lives, trace: Path) -> None:
    upload(trace, "Mittwoch.csv", lives.folder.path)
    _send(lives)
    assert lives.hub.files.received() == [("Mittwoch.csv", trace.read_bytes())]


@pytest.mark.servers
def test_the_agent_dies_at_every_step_and_the_file_is_there_once(lives: Lives, trace: Path) -> None:
    for moment in itertools.count(1):
        upload(trace, f"{moment}", lives.folder.path)
        lives.power.off_at, lives.power.moments = moment, 0
        died = _send(lives)
        assert [found for found in lives.hub.files.received() if found[0] == f"{moment}"] == [
            (f"{moment}", trace.read_bytes())
        ]
        if not died:
            break
    assert moment > 12


@pytest.mark.parametrize("fault", ["cut", "lost", 507, 401])
def test_the_line_or_the_hub_fails_at_every_call(lives: Lives, trace: Path, fault: int | str) -> None:
    for before in range(6):
        sound = itertools.chain(itertools.repeat(None, before), [fault], itertools.repeat(None))
        lives.hub.fault = lambda sound=sound: next(sound)  # type: ignore[misc]
        upload(trace, f"{before}", lives.folder.path)
        _send(lives)
        assert [name for name, _ in lives.hub.files.received()].count(f"{before}") == 1


def test_an_upload_that_the_hub_has_forgotten_begins_anew(lives: Lives, trace: Path) -> None:
    upload(trace, None, lives.folder.path)
    for _ in range(3):
        lives.uploads.step()
    lives.hub.files._db.execute("delete from upload")
    _send(lives)
    assert lives.hub.files.received() == [("trace.csv", trace.read_bytes())]


def test_what_the_hub_refuses_is_refused_with_its_reason(lives: Lives, trace: Path) -> None:
    lives.hub.faults.append(413)
    number = upload(trace, None, lives.folder.path)
    _send(lives)
    with closing(Journal(lives.folder.journal)) as journal:
        found = journal.upload(number)
    assert found
    assert (found.ended, found.reason) == ("refused", "The hub was told to fail.")


def test_a_file_that_was_changed_or_removed_meanwhile_is_not_sent_as_another(lives: Lives, trace: Path) -> None:
    for spoil in (lambda: trace.write_bytes(b"other"), trace.unlink):
        upload(trace, None, lives.folder.path)
        lives.uploads.step()
        spoil()
        _send(lives)
    assert lives.hub.files.received() == []


def test_the_same_asked_for_twice_is_sent_once(lives: Lives, trace: Path) -> None:
    with closing(Journal(lives.folder.journal)) as journal:
        first = queue(journal, trace, key="command-1")
        assert queue(journal, trace, key="command-1") == first
        assert queue(journal, trace) != first


def test_what_is_no_file_is_refused(folder: Folder, trace: Path) -> None:
    for path, name in ((trace.parent, None), (trace.parent / "none", None), (trace, "a\nb")):
        with pytest.raises(BadInput):
            upload(path, name, folder.path)


def test_the_command_line_sends_and_says_so(hub: LocalHub, folder: Folder, device: Identity, trace: Path) -> None:
    line = [sys.executable, "-m", "waystation_agent", "upload", str(trace), "--data", str(folder.path)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Sent trace.csv (293.0 KiB, SHA-256 ")
    assert hub.files.received() == [("trace.csv", trace.read_bytes())]
    hub.faults.append(413)
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr.count("did not take trace.csv: The hub was told to fail.")) == (1, 1)
    missing = subprocess.run([*line[:4], "/none", *line[5:]], capture_output=True, text=True, timeout=60, check=False)
    assert (missing.returncode, missing.stderr) == (2, "waystation-agent: /none is not a file\n")


def test_the_json_of_a_status_names_what_waits(lives: Lives, trace: Path) -> None:
    upload(trace, None, lives.folder.path)
    line = [sys.executable, "-m", "waystation_agent", "status", "--json", "--data", str(lives.folder.path)]
    shown = json.loads(subprocess.run(line, capture_output=True, text=True, timeout=60, check=False).stdout)
    assert shown["uploads_waiting"] == 1
