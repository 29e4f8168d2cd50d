"""Dashboards through the API and the forms: who may do what, two editors, first pages, files."""

from typing import Any

import pytest

from waystation.dashboard.boards.tests.lookers import Lookers, told


def change(at: Lookers, who: Any, board: dict[str, Any], **changes: Any) -> Any:
    return at.ask(who, "PUT", f"/api/boards/{board['uid']}", {"version": board["version"], **changes})


def test_a_private_dashboard_is_nobody_elses(at: Lookers) -> None:
    board = at.board(at.viewer, is_shared=False)
    where = f"/api/boards/{board['uid']}"
    assert told(at.ask(at.viewer, "GET", where))["tiles"] == board["tiles"]
    for other in (at.owner, at.user, at.stranger):
        assert at.ask(other, "GET", where).status == 404
        assert at.ask(other, "DELETE", where).status == 404
        assert change(at, other, board, name="Mine").status == 404
    assert told(at.ask(at.owner, "GET", "/api/boards"))["boards"] == []


def test_a_viewer_sees_shared_ones_and_changes_none(at: Lookers) -> None:
    board = at.board(at.user)
    where = f"/api/boards/{board['uid']}"
    assert at.ask(at.viewer, "GET", where).status == 200
    assert change(at, at.viewer, board, name="Mine").status == 403
    assert at.ask(at.viewer, "DELETE", where).status == 403
    assert at.ask(at.viewer, "POST", "/api/boards", {"name": "All", "is_shared": True}).status == 403
    assert at.ask(at.viewer, "GET", f"{where}/links").status == 403
    assert at.ask(at.user, "POST", f"{where}/links", {}).status == 403
    assert at.ask(at.stranger, "GET", where).status == 404
    assert "Edit" not in at.page(at.viewer, f"/boards/{board['uid']}").partition("<main")[2]


def test_of_two_editors_the_second_is_told(at: Lookers) -> None:
    board = at.board()
    assert told(change(at, at.owner, board, name="Roof"))["version"] == 2
    late = change(at, at.user, board, tiles=[])
    assert late.status == 409
    assert b"changed this dashboard meanwhile" in late.body
    kept = told(at.ask(at.user, "GET", f"/api/boards/{board['uid']}"))
    assert (kept["name"], len(kept["tiles"])) == ("Roof", 1)
    stale = at.form(at.user, f"/boards/{board['uid']}/arrange", "version=1&tile=t1&step=wider")
    assert stale.status == 409
    assert b"meanwhile" in stale.body


def test_a_conflict_leaves_the_first_page_as_it_was(at: Lookers) -> None:
    first, second = at.board(), at.board()
    assert told(change(at, at.owner, second, name="Second"))["is_start"] is False
    assert change(at, at.owner, second, is_start=True).status == 409
    assert told(at.ask(at.owner, "GET", f"/api/boards/{first['uid']}"))["is_start"] is True


def test_the_first_page_is_a_persons_own_else_the_homes_else_the_devices(at: Lookers) -> None:
    def start() -> str:
        return at.site.ask("GET", "/", accept="text/html", **at.viewer.browser).headers["location"]

    assert start() == "/devices"
    assert "Make a dashboard" in at.page(at.viewer, "/devices")
    shared = at.board()
    assert start() == f"/boards/{shared['uid']}"
    own = at.board(at.viewer, is_shared=False)
    assert start() == f"/boards/{own['uid']}"
    assert change(at, at.viewer, own, is_start=False).status == 200
    assert start() == f"/boards/{shared['uid']}"
    other = at.board()
    assert change(at, at.owner, other, is_start=True).status == 200
    assert start() == f"/boards/{other['uid']}"


def test_a_file_of_a_dashboard_makes_it_again(at: Lookers) -> None:
    tiles = [{"kind": "value", "series": f"{at.key}:temp_c", "danger_above": 30}, {"kind": "note", "text": "<b>Hi</b>"}]
    board = at.board(tiles=tiles)
    file = at.ask(at.owner, "GET", f"/api/boards/{board['uid']}/file")
    assert "attachment" in file.headers["content-disposition"]
    again = at.site.ask("POST", "/api/boards", at.owner.authorization, file.body)
    assert told(again, 201)["tiles"] == board["tiles"]
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\n\r\n' + file.body + b"\r\n--x--\r\n"
    )
    typed = {"content-type": "multipart/form-data; boundary=x"}
    imported = at.site.ask("POST", "/boards/import", body=parts, **at.owner.browser, **typed)
    assert imported.status == 303
    shown = at.page(at.owner, imported.headers["location"])
    assert "&lt;b&gt;Hi" in shown


@pytest.mark.parametrize(
    "file", [b"", b"{", b"[]", b'{"name":"x"}', b'{"format":1,"name":"x","tiles":[{}]}', b"\xff", b"[" * 5000]
)
def test_what_is_no_file_of_a_dashboard_makes_none(at: Lookers, file: bytes) -> None:
    parts = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.json"\r\n\r\n' + file + b"\r\n--x--\r\n"
    typed = {"content-type": "multipart/form-data; boundary=x"}
    answer = at.site.ask("POST", "/boards/import", body=parts, **at.owner.browser, **typed)
    assert answer.status == 400
    assert told(at.ask(at.owner, "GET", "/api/boards"))["boards"] == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x" * 81},
        {"name": 5},
        {"name": "x", "tiles": {}},
        {"name": "x", "tiles": [5]},
        {"name": "x", "tiles": [{"kind": "note", "text": "x"}] * 61},
        {"name": "x", "owner": 1},
        {"name": "x", "format": 2},
        {"name": "a\x00b"},
        [],
    ],
)
def test_a_body_that_is_wrong_makes_nothing(at: Lookers, body: Any) -> None:
    answer = at.ask(at.owner, "POST", "/api/boards", body)
    assert answer.status in (400, 422)
    assert told(at.ask(at.owner, "GET", "/api/boards"))["boards"] == []


def test_one_device_makes_a_whole_dashboard(at: Lookers) -> None:
    made = at.form(at.viewer, "/boards/from-device", f"device={at.key}&whose=me")
    shown = at.page(at.viewer, made.headers["location"])
    for expected in ("Greenhouse", f'data-series="{at.key}:', 'data-when-true="On"', ">heat<", "21.5"):
        assert expected in shown
    assert at.form(at.viewer, "/boards/from-device", "device=nothere1&whose=me").status == 400
    assert at.form(at.stranger, "/boards/from-device", f"device={at.key}&whose=me").status == 400


def test_pinning_adds_to_a_dashboard_or_makes_one(at: Lookers) -> None:
    made = at.form(at.user, "/pin", f"from={at.key}&card=1&value={at.key}:temp_c&name=Pinned&whose=home")
    assert made.status == 303
    uid = made.headers["location"].split("?")[0].rpartition("/")[2]
    more = at.form(at.user, "/pin", f"series={at.key}:temp_c&range=7d&show=band&bucket=hour&board={uid}")
    assert more.status == 303
    tiles = told(at.ask(at.user, "GET", f"/api/boards/{uid}"))["tiles"]
    assert [tile["kind"] for tile in tiles] == ["device", "value", "chart"]
    assert (tiles[2]["range"], tiles[2]["show"]) == ("7d", "band")
    assert at.form(at.user, "/pin", f"board={uid}").status == 400
    assert at.form(at.viewer, "/pin", f"series={at.key}:temp_c&board={uid}").status == 403
    assert at.form(at.user, "/pin", f"series={at.key}:temp_c").status == 400  # a new one needs a name
    assert at.page(at.user, f"/pin?series={at.key}:temp_c&range=5400s&show=nothing").count("selected") >= 1


def test_tiles_are_added_changed_moved_and_removed_by_forms(at: Lookers) -> None:
    board = at.board(tiles=[])
    here = f"/boards/{board['uid']}"
    assert at.form(at.user, f"{here}/tiles", "version=1&kind=note&text=One").status == 303
    assert (
        at.form(at.user, f"{here}/tiles", f"version=2&kind=value&series={at.key}:temp_c&danger_above=20").status == 303
    )
    shown = at.page(at.user, here)
    assert 'data-level="danger"' in shown
    moved = at.form(at.user, f"{here}/arrange", "version=3&tile=t2&step=earlier")
    assert moved.status == 303, moved.body
    assert moved.headers["location"] == f"{here}?edit=1&focus=t2-earlier#tile-t2"
    assert "autofocus" in at.page(at.user, f"{here}?edit=1&focus=t2-earlier")
    assert at.form(at.user, f"{here}/arrange", "version=4&order=t1:4,t2:2").status == 303
    assert at.form(at.user, f"{here}/tiles/t1", "version=5&kind=note&text=Two&width=3").status == 303
    assert at.form(at.user, f"{here}/tiles/t2/remove", "version=6").status == 303
    assert told(at.ask(at.user, "GET", f"/api{here}"))["tiles"] == [
        {"kind": "note", "id": "t1", "title": "", "width": 3, "text": "Two"}
    ]
    for wrong in ("version=7", "version=7&kind=note", "version=7&kind=note&text=x&width=9", "version=7&kind=chart"):
        assert at.form(at.user, f"{here}/tiles", wrong).status == 400
    for wrong in ("order=t1", "order=t1:x", "order=t9:1", "tile=t1&step=up", "tile=t9&step=later"):
        assert at.form(at.user, f"{here}/arrange", f"version=7&{wrong}").status == 400


def test_a_device_that_is_deleted_leaves_a_tile_that_says_so(at: Lookers) -> None:
    board = at.board(tiles=[{"kind": "device", "device": at.key}, {"kind": "value", "series": "gone2222:t"}])
    assert "not in this home" in at.page(at.owner, f"/boards/{board['uid']}")
    at.form(at.owner, f"/devices/{at.key}/delete", "typed_name=Greenhouse")
    assert at.page(at.owner, f"/boards/{board['uid']}").count("not in this home") == 2


def test_another_homes_device_shows_nothing(at: Lookers) -> None:
    made = at.ask(at.stranger, "POST", "/api/boards", {"name": "x", "tiles": [{"kind": "device", "device": at.key}]})
    shown = at.page(at.stranger, f"/boards/{told(made, 201)['uid']}")
    assert "not in this home" in shown
    assert "21.5" not in shown
