"""Exports through the front door: every row once, in every form, resumable, and the same bytes again."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.site import NOON, Answer, Site, Somebody, Thing, standing_site

from waystation import homes
from waystation.homes import Role
from waystation.kernel.clock import micros
from waystation.telemetry import codec, seal, store
from waystation.telemetry.model import Cursor, Row, Stamped, Value, kind_of, own
from waystation.telemetry.transfer import export, reader
from waystation.telemetry.transfer.fetch import Exports

NOON_US = micros(NOON)


class Place:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.home: homes.Home = site.home()
        self.owner: Somebody = site.somebody(self.home)
        self.viewer: Somebody = site.somebody(self.home, Role.VIEWER)
        self.stranger: Somebody = site.somebody(site.home("Town house"))
        self.thing: Thing = site.device(self.home)

    def put(self, seconds_ago: float, thing: Thing | None = None, **values: Value) -> None:
        self.put_all([seconds_ago], lambda _: values, thing)

    def put_all(
        self, agos: Iterable[float], values_of: Callable[[Any], Mapping[str, Value]], thing: Thing | None = None
    ) -> None:
        rows: list[Row] = [
            (metric, int(kind_of(value)), stamp, value if isinstance(value, str) else float(value))
            for ago in agos
            for stamp in (own(NOON_US - round(ago * 1_000_000)),)
            for metric, value in values_of(ago).items()
        ]
        with self.site.database.write() as tx:
            store.append(tx, store.SeriesIds(), [Stamped((thing or self.thing).id, rows)])

    def seal(self) -> None:
        while seal.seal(self.site.database, self.site.clock.now()):
            pass

    def get(self, path: str, **headers: str) -> Answer:
        return self.site.ask("GET", path, self.viewer.authorization, **headers)

    def status(self, of: Answer) -> Any:
        return self.get(f"/api/exports/{of.headers['x-export']}").json


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)
    monkeypatch.setattr(reader, "CHUNKS_AT_ONCE", 2)
    monkeypatch.setattr(codec, "MOST_VALUES", 8)
    monkeypatch.setattr(export, "ENOUGH_BYTES", 100)
    with standing_site(tmp_path) as site:
        yield Place(site)


def table(answer: Answer) -> list[list[str]]:
    assert answer.status == 200, answer.body
    return list(csv.reader(io.StringIO(answer.body.decode())))


def test_csv_has_one_row_for_every_value_by_metric_and_time(place: Place) -> None:
    place.put(1, t=21.5, on=True)
    place.seal()
    place.put(2.5, t=-0.1, mode="heat, or cool")
    key = place.thing.key
    assert table(place.get(f"/api/export?device={key}")) == [
        ["device", "metric", "time", "value"],
        [key, "mode", "2026-11-21T11:59:57.500000Z", "heat, or cool"],
        [key, "on", "2026-11-21T11:59:59.000000Z", "true"],
        [key, "t", "2026-11-21T11:59:57.500000Z", "-0.1"],
        [key, "t", "2026-11-21T11:59:59.000000Z", "21.5"],
    ]


def test_wide_csv_has_one_row_for_every_moment_of_a_device(place: Place) -> None:
    other = place.site.device(place.home, "Attic")
    place.put(1, t=21.5, on=True)
    place.put(2, t=20.0)
    place.put(1, other, humidity=0.5)
    assert table(place.get("/api/export?format=csv-wide")) == [
        ["device", "time", "humidity", "on", "t"],
        [place.thing.key, "2026-11-21T11:59:58.000000Z", "", "", "20.0"],
        [place.thing.key, "2026-11-21T11:59:59.000000Z", "", "true", "21.5"],
        [other.key, "2026-11-21T11:59:59.000000Z", "0.5", "", ""],
    ]


def test_a_metric_that_changed_its_kind_keeps_both_values_of_one_moment(place: Place) -> None:
    place.put(1, t=21.5)
    place.put(1, t="broken")
    place.put(1, t=True)
    rows = table(place.get("/api/export?format=csv-wide"))[1:]
    assert sorted(row[2] for row in rows) == ["21.5", "broken", "true"]


def test_ndjson_has_one_object_for_every_value(place: Place) -> None:
    place.put(1, t=21.5, on=False, mode='say "hi"\n')
    lines = [json.loads(line) for line in place.get("/api/export?format=ndjson").body.splitlines()]
    at = "2026-11-21T11:59:59.000000Z"
    assert lines == [
        {"device": place.thing.key, "metric": "mode", "at": at, "value": 'say "hi"\n'},
        {"device": place.thing.key, "metric": "on", "at": at, "value": False},
        {"device": place.thing.key, "metric": "t", "at": at, "value": 21.5},
    ]


def test_local_time_stands_beside_utc_and_is_right_when_clocks_change(place: Place) -> None:
    hour_of_change = (NOON_US - micros(NOON.replace(month=10, day=25, hour=1, minute=0))) / 1_000_000
    place.put(hour_of_change + 0.000001, t=1.0)
    place.put(hour_of_change, t=2.0)
    rows = table(place.get("/api/export?tz=Europe/Berlin"))
    assert rows[0] == ["device", "metric", "time", "local_time", "value"]
    assert [row[3] for row in rows[1:]] == ["2026-10-25T02:59:59.999999+02:00", "2026-10-25T02:00:00.000000+01:00"]
    line = json.loads(place.get("/api/export?format=ndjson&tz=Asia/Kathmandu").body.splitlines()[0])
    assert line["local"] == "2026-10-25T06:44:59.999999+05:45"


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "/etc/localtime", "Europe", "%00", "a" * 300])
def test_a_wrong_zone_is_refused_with_a_sentence(place: Place, name: str) -> None:
    answer = place.get(f"/api/export?tz={name}")
    assert (answer.status, "zone" in answer.json["detail"]) == (400, True)


@pytest.mark.parametrize("asked", ["from=tomorrow", "from=now&to=-1d", "format=xml", "after=zz", "after=1.fffff"])
def test_wrong_questions_are_refused_before_anything_is_sent(place: Place, asked: str) -> None:
    place.put(1, t=1.0)
    assert place.get(f"/api/export?{asked}").status in (400, 422)


def test_only_the_range_and_the_metrics_asked_for(place: Place) -> None:
    place.put_all(range(10), lambda ago: {"t": float(ago), "u": 1.0})
    assert [row[3] for row in table(place.get("/api/export?metric=t&from=-7s&to=-5s"))[1:]] == ["7.0", "6.0", "5.0"]


def test_formulas_in_text_are_disarmed(place: Place) -> None:
    place.put(1, note="=HYPERLINK(1)", other="-5", third="")
    assert [row[3] for row in table(place.get("/api/export"))[1:]] == ["'=HYPERLINK(1)", "'-5", "'"]


def test_long_texts_and_their_line_ends_survive(place: Place) -> None:
    texts = ["a\nb", 'c"d' * 300, "e,f"]
    for number, text in enumerate(texts):
        place.put(3 - number, note=text, t=1.5)
    assert [row[3] for row in table(place.get("/api/export?metric=note"))[1:]] == texts
    assert [row[2:] for row in table(place.get("/api/export?format=csv-wide"))[1:]] == [[text, "1.5"] for text in texts]


def test_at_the_end_rows_and_sha256_are_told(place: Place) -> None:
    place.put_all(range(50), lambda ago: {"t": ago / 7})
    answer = place.get("/api/export")
    told = place.status(answer)
    assert (told["state"], told["rows"], told["bytes"]) == ("done", 50, len(answer.body))
    assert told["sha256"] == hashlib.sha256(answer.body).hexdigest()


def test_readings_that_come_later_are_not_in_an_export_that_was_ordered(place: Place) -> None:
    place.put(1, t=1.0)
    made = place.site.ask("POST", "/api/exports?format=ndjson", place.viewer.authorization).json
    assert (made["state"], made["rows"]) == ("waiting", 0)
    place.put(-1, t=2.0)
    place.put(1, new=3.0)
    assert place.get(made["content"]).body.count(b"\n") == 1


@pytest.mark.parametrize("form", ["csv", "csv-wide", "ndjson"])
def test_any_byte_is_a_place_to_go_on_though_sealing_moved_everything(place: Place, form: str) -> None:
    other = place.site.device(place.home, "Attic")
    place.put_all(range(0, 40, 2), lambda ago: {"t": ago / 3, "mode": "heat"})
    place.seal()
    place.put_all(range(1, 40, 2), lambda ago: {"t": ago / 3, "mode": "heat"})
    place.put_all(range(40), lambda ago: {"t": ago / 9}, other)
    whole = place.get(f"/api/export?format={form}&tz=Europe/Berlin")
    content = place.status(whole)["content"]
    place.seal()
    for size in (0, 1, 99, 1000, len(whole.body) - 1, len(whole.body)):
        place.site.parts.get(Exports)._trails.clear()  # as after a restart
        assert place.get(f"{content}?from_byte={size}").body == whole.body[size:]
        assert place.get(f"{content}?from_byte={size}").body == whole.body[size:]
    part = place.get(content, range="bytes=100-")
    assert (part.status, part.body) == (206, whole.body[100:])
    assert part.headers["content-range"] == f"bytes 100-{len(whole.body) - 1}/{len(whole.body)}"


def test_parts_that_would_not_fit_are_never_given(place: Place) -> None:
    place.put_all(range(50), lambda ago: {"t": ago / 7})
    whole = place.get("/api/export")
    content = place.status(whole)["content"]
    place.put(20.5, t=99.0)
    place.site.parts.get(Exports)._trails.clear()
    answer = place.get(f"{content}?from_byte={len(whole.body) - 10}")
    assert (answer.status, "anew" in answer.json["detail"]) == (409, True)
    assert place.get(f"{content}?from_byte={len(whole.body) + 1}").status == 409


def test_rows_behind_a_cursor_come_without_a_header(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put_all(range(50), lambda ago: {"t": ago / 7})
    place.seal()
    whole = place.get("/api/export")
    cursors: list[tuple[int, object]] = []
    noted = Exports._note

    def note(self: Exports, number: int, point: export.Point, *, is_done: bool = False) -> None:
        cursors.append((point.size, point.cursor))
        noted(self, number, point, is_done=is_done)

    monkeypatch.setattr(Exports, "_note", note)
    monkeypatch.setattr("waystation.telemetry.transfer.fetch.NOTE_SECONDS", -1.0)
    assert place.get("/api/export").body == whole.body
    assert len(cursors) > 3
    for size, cursor in tuple(cursors):
        assert isinstance(cursor, Cursor)
        assert place.get(f"/api/export?after={cursor.text()}").body == whole.body[size:]


def test_an_export_is_its_homes_own(place: Place) -> None:
    place.put(1, t=1.0)
    answer = place.get("/api/export")
    here = place.status(answer)
    for path in (f"/api/exports/{here['id']}", here["content"], f"/api/export?device={place.thing.key}"):
        assert place.site.ask("GET", path, place.stranger.authorization).status == 404
    assert place.site.ask("GET", "/api/export", place.stranger.authorization).body.count(b"\n") == 1


def test_nothing_at_all_is_a_header(place: Place) -> None:
    answer = place.get("/api/export")
    assert (answer.body, place.status(answer)["rows"]) == (b"device,metric,time,value\n", 0)
