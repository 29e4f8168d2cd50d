"""`kill -9` at every statement of an evaluation: no alert is lost and none is told of twice."""

import multiprocessing
import os
import shutil
import signal
from pathlib import Path

import pytest
import sqlalchemy as sa

from waystation.alerts.tests.site import NOON, Site
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database, metadata, sqlite_url

EXPECTED = [
    ("fired", "Warning: Too hot – Kitchen", "2026-01-01T12:00:30"),
    ("recovered", "Recovered: Warning: Too hot – Kitchen", "2026-01-01T12:00:45"),
    ("fired", "Warning: Too hot – Kitchen", "2026-01-01T12:01:00"),
]
forked = multiprocessing.get_context("fork")  # a fresh interpreter takes seconds to load, and there are many


def made(folder: Path) -> None:
    database = Database(sqlite_url(folder / "waystation.db"))
    metadata.create_all(database.engine)
    site = Site(database, ManualClock(NOON))
    site.add_device()
    site.add_rule()
    database.close()


def stored_and_evaluated(folder: Path, kill_at: int, counted: "multiprocessing.connection.Connection") -> None:  # type: ignore[name-defined]
    """Tells how many statements there were, when it was not killed at one of them."""
    database = Database(sqlite_url(folder / "waystation.db"))
    count = 0

    def one_more(*_: object) -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    site = Site.reopened(database, ManualClock(NOON))
    (kitchen,) = site.devices()
    sa.event.listen(database.engine, "before_cursor_execute", one_more)
    sa.event.listen(database.engine, "commit", one_more)
    for value in (20.0, 31.0, 20.0, 32.0):
        site.clock.turn(15)
        if not site.has_said(kitchen):
            site.say(kitchen, value)
        site.step()
    counted.send(count)


def run(folder: Path, kill_at: int) -> int | None:
    """How many statements there were; None when it was killed."""
    told, tell = forked.Pipe(duplex=False)
    child = forked.Process(target=stored_and_evaluated, args=(folder, kill_at, tell))
    child.start()
    child.join(60)
    assert child.exitcode in (0, -signal.SIGKILL)
    return told.recv() if told.poll() else None


def found(folder: Path) -> tuple[list[tuple[str, str, str]], list[str]]:
    database = Database(sqlite_url(folder / "waystation.db"))
    site = Site.reopened(database, ManualClock(NOON))
    told = [(one.kind, one.subject, one.lines[0].at.isoformat()[:19]) for one in site.notices()]
    incidents = [one.opened_at.isoformat()[:19] for one in site.incidents()]
    database.close()
    return told, incidents


@pytest.mark.servers
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.faults)])
def test_killed_anywhere_it_ends_as_if_it_had_not_been(tmp_path: Path, every: int) -> None:
    template = tmp_path / "template"
    template.mkdir()
    made(template)
    whole = shutil.copytree(template, tmp_path / "whole")
    statements = run(whole, 0)
    assert statements is not None
    expected = (EXPECTED, ["2026-01-01T12:00:30", "2026-01-01T12:01:00"])
    assert found(whole) == expected
    for kill_at in range(1, statements + 1, every):
        folder = shutil.copytree(template, tmp_path / str(kill_at))
        assert run(folder, kill_at) is None, "it was killed"
        assert run(folder, 0) is not None, "it went on"
        assert found(folder) == expected, f"killed at statement {kill_at} of {statements}"
