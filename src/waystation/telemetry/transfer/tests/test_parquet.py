"""Readings as Parquet: what another reader of the format finds, and back in without a loss."""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.site import NOON, Answer, Site, standing_site

from waystation.kernel.errors import Invalid
from waystation.telemetry import codec, seal
from waystation.telemetry.transfer import file, parquet, reader
from waystation.telemetry.transfer.shape import Format
from waystation.telemetry.transfer.tests.test_export_api import Place
from waystation.telemetry.transfer.tests.test_files import interrupted, plan_as

AGO = timedelta(seconds=1)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(parquet, "ROWS_IN_GROUP", 10)
    monkeypatch.setattr(reader, "CHUNKS_AT_ONCE", 2)
    monkeypatch.setattr(file, "NOTE_SECONDS", -1.0)
    monkeypatch.setattr(codec, "MOST_VALUES", 8)
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)
    with standing_site(tmp_path / "site") as site:
        yield Place(site)


def fill(place: Place) -> None:
    place.put_all(range(40, 60), lambda ago: {"t": ago / 3, "heating": ago % 2 == 0})
    place.seal()
    place.put_all(range(20), lambda ago: {"t": -ago / 7, "mode": f"=ÄUTO, {ago % 3}"})


def table(answer: Answer) -> Any:
    assert answer.status == 200, answer.body
    return pq.ParquetFile(io.BytesIO(answer.body))


def csv_of(site: Site, authorization: str) -> bytes:
    answer = site.ask("GET", "/api/export", authorization)
    assert answer.status == 200
    return answer.body


def test_another_reader_finds_every_value_with_its_kind(place: Place) -> None:
    fill(place)
    answer = place.get("/api/export?format=parquet&tz=Europe/Berlin")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    assert answer.headers["content-disposition"].endswith('.parquet"')
    found = table(answer)
    assert [found.metadata.row_group(n).num_rows for n in range(found.num_row_groups)] == [10] * 8
    rows = found.read().to_pylist()
    assert {row["device"] for row in rows} == {place.thing.key}
    first = next(row for row in rows if row["metric"] == "t")
    assert first["time"] == NOON - 59 * AGO == first["local_time"]
    assert (first["number"], first["boolean"], first["text"]) == (59 / 3, None, None)
    assert [row["boolean"] for row in rows if row["metric"] == "heating"] == [n % 2 == 0 for n in range(59, 39, -1)]
    assert [row["text"] for row in rows if row["metric"] == "mode"] == [f"=ÄUTO, {n % 3}" for n in range(19, -1, -1)]
    assert place.status(answer)["rows"] == len(rows) == 80


def test_what_was_exported_is_imported_as_the_same_readings(place: Place, tmp_path: Path) -> None:
    fill(place)
    body = place.get("/api/export?format=parquet").body
    with standing_site(tmp_path / "other") as other:
        owner = other.somebody(other.home())
        path = "/api/import?make_devices=true"
        told = other.ask("POST", path, owner.authorization, body).json
        assert (told["stored"], told["refused"], len(told["made_devices"])) == (80, 0, 1)
        again = other.ask("POST", path, owner.authorization, body).json
        assert (again["stored"], again["duplicates"]) == (0, 80)
        copied = csv_of(other, owner.authorization).replace(told["made_devices"][0].encode(), place.thing.key.encode())
    assert copied == csv_of(place.site, place.owner.authorization)


def test_the_same_readings_are_the_same_bytes_however_they_are_kept(place: Place) -> None:
    fill(place)
    before = place.get("/api/export?format=parquet&to=2026-11-21T12:00:00Z")
    place.seal()
    assert place.get("/api/export?format=parquet&to=2026-11-21T12:00:00Z").body == before.body
    number = before.headers["x-export"]
    for begin in (0, 1, 4, 700, len(before.body) - 1, len(before.body)):
        rest = place.get(f"/api/exports/{number}/content?from_byte={begin}")
        assert (rest.status, rest.body) == (200, before.body[begin:])


@pytest.mark.parametrize("after", [1, 3, 7])
def test_an_interrupted_file_is_gone_on_with_and_is_the_same(place: Place, tmp_path: Path, after: int) -> None:
    fill(place)
    plan = plan_as(place, Format.PARQUET)
    done = file.write(place.site.database, plan, tmp_path / "whole.parquet", lambda _: None)
    path = tmp_path / "broken.parquet"
    interrupted(place, path, after, plan)
    again = file.resume(place.site.database, plan, path, lambda _: None)
    assert path.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert (again.rows, again.sha256) == (done.rows, done.sha256)


def test_nothing_to_export_is_a_file_without_rows(place: Place) -> None:
    assert table(place.get("/api/export?format=parquet")).metadata.num_rows == 0


def test_only_the_missing_rows_cannot_be_had_as_parquet(place: Place) -> None:
    fill(place)
    cursor = place.status(place.get("/api/export"))["cursor"]
    answer = place.get(f"/api/export?format=parquet&after={cursor}")
    assert (answer.status, "Parquet" in answer.json["detail"]) == (400, True)


def test_without_the_library_it_is_said_how_to_get_it(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    body = place.get("/api/export?format=parquet").body
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for answer in (
        place.get("/api/export?format=parquet"),
        place.site.ask("POST", "/api/import", place.owner.authorization, body),
    ):
        assert (answer.status, "pip install 'waystation[parquet]'" in answer.json["detail"]) == (400, True)
    assert place.site.ask("POST", "/api/exports?format=parquet", place.owner.authorization).status == 400
    assert place.get("/api/export").status == 200


def written(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def test_a_file_that_another_tool_wrote_is_taken(place: Place) -> None:
    at = pa.array([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)], pa.timestamp("ms", "UTC"))
    body = written({"metric": ["t", "t"], "time": at, "number": pa.array([1, 2], pa.int32())})
    answer = place.site.ask("POST", f"/api/import?device={place.thing.key}", place.owner.authorization, body)
    assert answer.json["stored"] == 2
    assert [line.split(b",")[2:] for line in csv_of(place.site, place.owner.authorization).splitlines()[1:]] == [
        [b"2026-01-01T00:00:00.000000Z", b"1.0"],
        [b"2026-01-02T00:00:00.000000Z", b"2.0"],
    ]


GOOD = pa.array([1_767_225_600_000_000], pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"PAR1", "no Parquet"),
        (b"PAR1" + bytes(200) + b"PAR1", "no Parquet"),
        (written({"metric": ["t"], "time": GOOD, "number": [1.0]})[:-30] + bytes(26) + b"PAR1", "no Parquet"),
        (written({"metric": ["t"], "time": GOOD}), "number"),
        (written({"time": GOOD, "number": [1.0]}), "metric"),
        (written({"metric": ["t"], "time": ["noon"], "number": [1.0]}), "timestamp"),
        (written({"metric": ["t"], "time": GOOD, "number": ["x"]}), "no Parquet"),
        (written({"metric": ["t"], "time": GOOD, "number": pa.array([None], pa.float64())}), "row 1"),
        (written({"metric": ["t"], "time": GOOD, "number": [float("nan")]}), "nan"),
        (written({"metric": ["t t"], "time": GOOD, "number": [1.0]}), "metric's name"),
        (written({"metric": ["t"], "time": pa.array([2**62], pa.timestamp("us")), "number": [1.0]}), "future"),
        (written({"metric": ["t"], "time": pa.array([-(2**62)], pa.timestamp("us")), "number": [1.0]}), "long ago"),
        (written({"metric": ["t"], "time": GOOD, "text": ["a\x00b"]}), "NUL"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_and_nothing_is_stored(place: Place, body: bytes, word: str) -> None:
    answer = place.site.ask("POST", f"/api/import?device={place.thing.key}", place.owner.authorization, body)
    assert (answer.status, word in answer.json["detail"]) == (400, True), answer.body
    assert len(csv_of(place.site, place.owner.authorization).splitlines()) == 1


def test_row_groups_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "LARGEST_GROUP_BYTES", 10)
    spool = parquet.Spool()
    spool.add(written({"metric": ["t"], "time": GOOD, "number": [1.0]}))
    with pytest.raises(Invalid, match="smaller"):
        list(spool.rows())
