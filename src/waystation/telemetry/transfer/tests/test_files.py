"""Exports and imports that are interrupted anywhere, by a fault or by kill -9, end as if they had not been."""

import contextlib
import hashlib
import http.client
import json
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import commands
from tests.hub import Hub
from tests.servers import StartHub
from tests.site import standing_site

from waystation.kernel.errors import Conflict, NotFound
from waystation.telemetry import codec, seal
from waystation.telemetry.model import LATEST
from waystation.telemetry.transfer import export, file, reader
from waystation.telemetry.transfer.export import Plan, Point, Wanted
from waystation.telemetry.transfer.shape import Format
from waystation.telemetry.transfer.tests.test_export_api import Place

ROWS = 160_000
SOME = 20_000


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(export, "ENOUGH_BYTES", 100)
    monkeypatch.setattr(reader, "CHUNKS_AT_ONCE", 2)
    monkeypatch.setattr(file, "NOTE_SECONDS", -1.0)
    monkeypatch.setattr(codec, "MOST_VALUES", 8)
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)
    with standing_site(tmp_path / "site") as site:
        made = Place(site)
        made.put_all(range(60), lambda ago: {"t": ago / 3})
        made.seal()
        yield made


def plan(place: Place) -> Plan:
    return plan_as(place, Format.CSV)


def plan_as(place: Place, form: Format) -> Plan:
    with place.site.database.read() as tx:
        return export.plan(tx, Wanted(place.home.id, (), (), -LATEST, LATEST, form, newest_series=LATEST))


def interrupted(place: Place, path: Path, after: int, planned: Plan | None = None) -> None:
    left = iter(range(after))

    def stop(_point: Point) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        file.write(place.site.database, planned or plan(place), path, stop)


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_an_interrupted_file_is_gone_on_with_and_is_the_same(place: Place, tmp_path: Path, after: int) -> None:
    whole = tmp_path / "whole.csv"
    done = file.write(place.site.database, plan(place), whole, lambda _: None)
    path = tmp_path / "broken.csv"
    interrupted(place, path, after)
    assert not path.exists()
    place.seal()
    if after == 0:  # nothing was noted yet
        with pytest.raises(NotFound):
            file.resume(place.site.database, plan(place), path, lambda _: None)
        return
    with file.part_of(path).open("ab") as part:
        part.write(b"half a li")
    again = file.resume(place.site.database, plan(place), path, lambda _: None)
    assert path.read_bytes() == whole.read_bytes()
    assert (again.rows, again.sha256) == (done.rows, hashlib.sha256(whole.read_bytes()).hexdigest())
    assert not file.part_of(path).exists()
    assert not file.note_of(path).exists()


def test_a_part_that_somebody_changed_is_not_gone_on_with(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    interrupted(place, path, 3)
    changed = bytearray(file.part_of(path).read_bytes())
    changed[30] ^= 1
    file.part_of(path).write_bytes(changed)
    with pytest.raises(Conflict):
        file.resume(place.site.database, plan(place), path, lambda _: None)


# Kill -9 of the real program.


@pytest.fixture
def filled(hub: StartHub, tmp_path: Path) -> tuple[Hub, Path]:
    made = hub(start=False)
    source = tmp_path / "fleet.csv"
    with source.open("w") as out:
        out.write("device,metric,time,value\n")
        for number in range(ROWS):
            out.write(f"probe-{number % 4},t,{(1_700_000_000 + number) * 1000},{number % 977 / 10}\n")
    return made, source


def killed_when(done: Any, hub: Hub, *words: str) -> None:
    """The command, ended by kill -9 as soon as `done()`."""
    with tempfile.TemporaryFile() as out:
        running = commands.Started([*words, "--data", str(hub.data)], hub.environment, out, out)
        while not done():
            if running.poll() is not None:
                out.seek(0)
                raise AssertionError(out.read())
            time.sleep(0.005)
        running.kill()
        running.wait()


def stored(hub: Hub) -> int:
    if not (hub.data / "waystation.db").exists():
        return 0
    database = sqlite3.connect(f"file:{hub.data / 'waystation.db'}?mode=ro", uri=True)
    try:
        return sum(
            database.execute(f"select coalesce({what}, 0) from {table}").fetchone()[0]
            for what, table in (("count(*)", "tail"), ("sum(count)", "chunk"))
        )
    except sqlite3.OperationalError:
        return 0
    finally:
        database.close()


@pytest.mark.servers
def test_kill_9_in_the_middle_of_import_and_export_leaves_nothing_out_and_doubles_nothing(
    filled: tuple[Hub, Path], tmp_path: Path
) -> None:
    hub, source = filled
    killed_when(lambda: stored(hub) >= SOME, hub, "import", "readings", str(source), "--make-devices")
    assert stored(hub) < ROWS
    again = hub.command("import", "readings", str(source), "--make-devices")
    assert again["stored"] + again["duplicates"] == ROWS == again["read"]
    assert SOME <= again["duplicates"] < ROWS

    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    facts = hub.command("export", "-o", str(whole), "--to", "2026-01-01T00:00:00Z")
    assert facts["rows"] == ROWS
    assert facts["sha256"] == hashlib.sha256(whole.read_bytes()).hexdigest()
    killed_when(file.note_of(broken).exists, hub, "export", "-o", str(broken), "--to", "2026-01-01T00:00:00Z")
    assert not broken.exists()
    assert hub.command("export", "-o", str(broken), "--resume")["sha256"] == facts["sha256"]
    assert broken.read_bytes() == whole.read_bytes()

    hub.start()
    given, number = read_some(hub, 1_000_000)
    hub.kill()
    hub.start()
    assert hub.get(f"/api/exports/{number}")["state"] in ("waiting", "running", "stopped")
    given += rest(hub, number, len(given))
    assert given == whole.read_bytes()
    told = hub.get(f"/api/exports/{number}")
    assert (told["state"], told["rows"], told["sha256"]) == ("done", ROWS, facts["sha256"])


@contextlib.contextmanager
def asked(hub: Hub, path: str) -> Iterator[http.client.HTTPResponse]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {hub.token}"})
        with connection.getresponse() as answer:
            yield answer


def read_some(hub: Hub, size: int) -> tuple[bytes, int]:
    """What was read of an export when its connection was cut, and the export's number."""
    with asked(hub, "/api/export?to=2026-01-01T00:00:00Z") as answer:
        return answer.read(size), int(answer.headers["x-export"])


def rest(hub: Hub, number: int, offset: int) -> bytes:
    with asked(hub, f"/api/exports/{number}/content?from_byte={offset}") as answer:
        assert answer.status == 200, json.load(answer)
        return answer.read()
