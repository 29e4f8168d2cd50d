"""Back-filling from files: what exports wrote comes back exactly, once, and what is wrong is named by its line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.site import NOON, Answer, Site, standing_site

from waystation.kernel.clock import micros
from waystation.kernel.errors import Invalid
from waystation.telemetry import seal
from waystation.telemetry.decode import LONGEST_TEXT
from waystation.telemetry.transfer import backfill, cells, parse
from waystation.telemetry.transfer.parse import Bad, File, Moment
from waystation.telemetry.transfer.tests.test_export_api import Place

LATEST = micros(NOON)
HEAD = "device,metric,time,value\n"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)
    monkeypatch.setattr(backfill, "MOST_VALUES", 10)
    with standing_site(tmp_path) as site:
        yield Place(site)


def send(place: Place, body: str | bytes, asked: str = "") -> Answer:
    body = body.encode() if isinstance(body, str) else body
    return place.site.ask("POST", f"/api/import{asked}", place.owner.authorization, body)


def everything(site: Site, place: Place) -> bytes:
    return site.ask("GET", "/api/export?format=ndjson", place.viewer.authorization).body


def fill(place: Place) -> None:
    modes = ["heat", "-1", "=2+3", "'quoted'", "true", "", 'a,b\n"c"']
    place.put_all(range(30), lambda ago: {"t": ago / 3, "mode": modes[ago % 7], "on": ago % 2 == 0})
    place.seal()
    place.put(40, t=1e300, tiny=-5e-324, big=1e16)


@pytest.mark.parametrize("form", ["csv", "csv-wide", "ndjson", "csv&tz=Europe/Berlin", "csv-wide&tz=Asia/Tokyo"])
def test_an_export_imported_elsewhere_is_the_same_and_imported_again_changes_nothing(
    place: Place, tmp_path: Path, form: str
) -> None:
    fill(place)
    exported = place.get(f"/api/export?format={form}").body
    again = send(place, exported)
    assert (again.json["stored"], again.json["duplicates"]) == (0, 93)
    with standing_site(tmp_path / "elsewhere") as site:
        other = Place(site)
        answer = send(other, exported, "?make_devices=true")
        assert (answer.status, answer.json["stored"], answer.json["duplicates"]) == (200, 93, 0)
        mine, theirs = (
            at.replace(b'"device":', b"").split(b"\n")
            for at in (everything(place.site, place), everything(site, other))
        )
        assert [line[11:] for line in mine] == [line[11:] for line in theirs]
        assert len(answer.json["made_devices"]) == 1
        other.seal()
        assert send(other, exported).json["duplicates"] == 93


def test_readings_that_came_without_a_time_are_not_doubled_either(place: Place) -> None:
    place.site.ask("POST", "/api/readings", place.thing.authorization, {"values": {"t": 1.5}})
    for _ in range(2):
        place.site.clock.turn(1)
        exported = place.get("/api/export").body
        assert send(place, exported).json["duplicates"] == 1
        place.seal()


def test_lines_as_devices_send_them_are_taken_for_one_device(place: Place) -> None:
    lines = [
        {"at": "2020-01-01T00:00:00Z", "values": {"t": 1, "on": True, "none": None}},
        {"at": 0, "values": {"t": 2}},
    ]
    body = "\n".join(map(json.dumps, lines))
    answer = send(place, body, f"?device={place.thing.serial}")
    assert (answer.json["read"], answer.json["stored"]) == (3, 3)


def test_old_readings_are_taken_and_future_ones_are_not(place: Place) -> None:
    key = place.thing.key
    body = f"{HEAD}{key},t,1970-01-01T00:00:00Z,1\n{key},t,2027-01-01T00:00:00Z,2\n"
    answer = send(place, body, "?skip_bad=true")
    assert (answer.json["stored"], answer.json["refused"]) == (1, 1)
    assert answer.json["refusals"] == [{"line": 3, "reason": "its time 2027-01-01T00:00:00Z is in the future"}]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("KEY,t,yesterday,1", "is no time"),
        ("KEY,t,2026-13-01T00:00:00Z,1", "is no time"),
        ("KEY,t,0001-01-01T00:00:00Z,1", "too long ago"),
        ("KEY,t,nan,1", "is no time"),
        ("KEY,t,1e308,1", "is no time"),
        ("KEY,2t,2026-01-01T00:00:00Z,1", "not a metric's name"),
        ("KEY,t,2026-01-01T00:00:00Z,", "no value"),
        ("KEY,t,2026-01-01T00:00:00Z", "3 cells where the header has 4"),
        ("nobody,t,2026-01-01T00:00:00Z,1", "no device 'nobody'"),
        (",t,2026-01-01T00:00:00Z,1", "names no device"),
        (f"KEY,t,2026-01-01T00:00:00Z,{'x' * (LONGEST_TEXT + 1)}", "more than 4096"),
        ("KEY,t,2026-01-01T00:00:00Z,a\0b", "NUL"),
    ],
)
def test_a_bad_line_is_named_and_nothing_of_its_batch_is_stored(place: Place, line: str, said: str) -> None:
    key = place.thing.key
    good = f"{key},t,2026-01-01T00:00:00Z,1\n"
    body = HEAD + good + line.replace("KEY", key) + "\n" + good
    answer = send(place, body)
    assert answer.status == 400
    assert answer.json["detail"].startswith("line 3: ")
    assert said in answer.json["detail"]
    assert everything(place.site, place) == b""
    answer = send(place, body, "?skip_bad=true")
    assert (answer.json["stored"], answer.json["duplicates"], answer.json["refused"]) == (1, 1, 1)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello\n",
        "time\n",
        "time,2t\n",
        "device,time,t,t\n",
        b"time,t\n\xff\n",
        '{"at": 1}\n',
        "{]\n",
        '{"device":1}\n',
        "{" * 2000,
    ],
)
def test_what_is_no_file_of_readings_is_refused(place: Place, body: str | bytes) -> None:
    assert send(place, body, f"?device={place.thing.key}").status == 400


def test_nan_and_infinity_are_text_and_not_numbers(place: Place) -> None:
    send(place, f"{HEAD}{place.thing.key},t,2026-01-01T00:00:00Z,nan\n")
    assert b'"value":"nan"' in everything(place.site, place)
    assert send(place, '{"at":0,"metric":"t","value":NaN}', f"?device={place.thing.key}").status == 400
    assert send(place, '{"at":0,"metric":"t","value":1e999}', f"?device={place.thing.key}").status == 400


def test_a_file_of_two_devices_does_not_all_go_to_one(place: Place) -> None:
    body = f"{HEAD}a,t,2026-01-01T00:00:00Z,1\nb,t,2026-01-01T00:00:00Z,1\n"
    assert send(place, body, f"?device={place.thing.key}").status == 400


def test_only_admins_import_and_into_their_own_home(place: Place) -> None:
    body = f"{HEAD}{place.thing.key},t,2026-01-01T00:00:00Z,1\n".encode()
    assert place.site.ask("POST", "/api/import", place.viewer.authorization, body).status == 403
    assert place.site.ask("POST", "/api/import", place.stranger.authorization, body).status == 400


def lines_of(body: bytes, size: int) -> list[Moment | Bad]:
    file = File(LATEST)
    found: list[Moment | Bad] = []
    for start in range(0, len(body), size):
        found += file.feed(body[start : start + size])
    return [*found, *file.finish()]


@given(
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), min_size=1, max_size=8),
    size=st.integers(1, 40),
)
def test_any_text_survives_csv_in_pieces_of_any_size(texts: list[str], size: int) -> None:
    rows = [f"k,m,2026-01-01T00:00:00Z,{cells.csv_text(text)}\n" for text in texts]
    found = lines_of((HEAD + "".join(rows)).encode(), size)
    assert [line.values for line in found if isinstance(line, Moment)] == [[("m", text)] for text in texts]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_survives_csv(number: float) -> None:
    import numpy as np  # noqa: PLC0415

    cell = cells.joined([cells.numbers(np.array([number]))]).decode()
    assert repr(cells.meant(cell)) == repr(number)


def test_a_line_without_an_end_is_given_up() -> None:
    file = File(LATEST)
    list(file.feed(b'"' + b"x" * (parse.LONGEST_LINE - 1)))
    with pytest.raises(Invalid, match="line 1 is longer"):
        list(file.feed(b"x\n"))


def test_rows_of_spreadsheets_with_bom_and_carriage_returns_are_read() -> None:
    body: Any = b'\xef\xbb\xbfdevice,time,t\r\nk,2026-01-01T00:00:00Z,1.5\r\n\r\nk,1767225601000,"2"\r\n'
    found = [line.values for line in lines_of(body, 7) if isinstance(line, Moment)]
    assert found == [[("t", 1.5)], [("t", 2.0)]]
