"""Links: what they open and nothing else, until they end or are taken back."""

import re
from typing import Any

import pytest
from tests.site import Answer

from waystation.dashboard.boards.tests.lookers import Lookers, told
from waystation.kernel.logs import redacted


def look(at: Lookers, path: str, **headers: str) -> Answer:
    return at.site.ask("GET", path, **headers)


def test_a_link_opens_its_dashboard_without_signing_in(at: Lookers) -> None:
    _, path = at.link(at.board())
    answer = look(at, path, accept="text/html")
    assert answer.status == 200
    assert "no-referrer" in answer.headers["referrer-policy"]
    assert "noindex" in answer.headers["x-robots-tag"]
    assert "no-store" in answer.headers["cache-control"]
    shown = answer.body.decode()
    assert '<meta name="referrer" content="no-referrer">' in shown
    for hidden in (at.home.name, "<form", "/devices/", "secret_c"):
        assert hidden not in shown.partition("</head>")[2]


def test_a_link_reads_its_tiles_series_and_no_other(at: Lookers) -> None:
    _, path = at.link(at.board())
    read = told(look(at, f"{path}/history?series={at.key}:temp_c&from=-1h"))
    assert read["series"][0]["value"] == [21.5]
    other = at.site.device(at.site.home("Third house"))
    for series in (f"{at.key}:secret_c", f"{at.key}:pump", f"{other.key}:temp_c", "nothere1:temp_c"):
        assert look(at, f"{path}/history?series={series}").status == 404
        assert look(at, f"{path}/history?series={at.key}:temp_c&series={series}").status == 404
    assert look(at, f"{path}/history").status == 400
    assert look(at, f"{path}/history?series=nonsense").status == 400
    assert (
        look(at, f"{path}/history?series={at.key}:temp_c&device={at.key}&metric=secret_c").body.count(b"secret_c") == 0
    )
    assert told(look(at, f"{path}/series")) == {"devices": [{"key": at.key, "name": "Greenhouse"}]}


def test_a_cards_values_are_the_ones_that_it_shows(at: Lookers) -> None:
    card = {"kind": "device", "device": at.key, "metrics": ["temp_c"]}
    _, path = at.link(at.board(tiles=[card]))
    assert b"secret" not in look(at, path, accept="text/html").body.lower().replace(path.encode(), b"")
    assert look(at, f"{path}/history?series={at.key}:secret_c").status == 404
    assert look(at, f"{path}/history?series={at.key}:temp_c").status == 200


@pytest.mark.parametrize(
    "route", ["/api/boards", "/api/history?series=x:y", "/devices", "/api/live", "/api/last-values"]
)
def test_a_links_secret_opens_nothing_else(at: Lookers, route: str) -> None:
    _, path = at.link(at.board())
    secret = path.rpartition("/")[2]
    for headers in ({"authorization": f"Bearer {secret}"}, {"cookie": f"sessionid={secret}"}):
        assert look(at, route, **headers).status == 401


def test_a_link_ends_by_itself(at: Lookers) -> None:
    board = at.board()
    _, path = at.link(board, hours=1)
    _, lasting = at.link(board)
    at.site.clock.turn(3599)
    assert look(at, path).status == 200
    at.site.clock.turn(2)
    for part in ("", f"/history?series={at.key}:temp_c", "/live", "/series"):
        assert look(at, path + part).status == 404
    at.site.clock.turn(86400 * 365)
    assert look(at, lasting).status == 200


@pytest.mark.parametrize("how", ["take back", "delete", "make private"])
def test_a_link_is_gone_at_once(at: Lookers, how: str) -> None:
    board = at.board()
    number, path = at.link(board)
    where = f"/api/boards/{board['uid']}"
    if how == "take back":
        assert at.ask(at.owner, "DELETE", f"{where}/links/{number}").status == 204
        assert at.ask(at.owner, "DELETE", f"{where}/links/{number}").status == 404
    elif how == "delete":
        assert at.ask(at.owner, "DELETE", where).status == 204
    else:
        assert at.ask(at.owner, "PUT", where, {"version": 1, "is_shared": False}).status == 200
    for part in ("", f"/history?series={at.key}:temp_c", "/live", "/series"):
        assert look(at, path + part).status == 404


def test_a_tile_that_is_taken_away_is_closed_to_the_link(at: Lookers) -> None:
    board = at.board()
    _, path = at.link(board)
    assert at.ask(at.owner, "PUT", f"/api/boards/{board['uid']}", {"version": 1, "tiles": []}).status == 200
    assert look(at, f"{path}/history?series={at.key}:temp_c").status == 404


def test_the_list_tells_of_links_and_their_last_use_and_not_their_secrets(at: Lookers) -> None:
    board = at.board()
    _, path = at.link(board)
    where = f"/api/boards/{board['uid']}/links"
    assert told(at.ask(at.owner, "GET", where))["links"][0]["used_at"] is None
    look(at, path)
    listed = at.ask(at.owner, "GET", where)
    assert told(listed)["links"][0]["used_at"]
    secret = path.rpartition("/")[2]
    assert secret not in listed.body.decode() + at.page(at.owner, f"/boards/{board['uid']}/links")
    assert secret not in redacted(f"GET {path}/history 200")


@pytest.mark.parametrize("hours", [0, 0.5, -1, 2161, "soon", 1e300])
def test_a_link_lasts_an_hour_to_ninety_days(at: Lookers, hours: Any) -> None:
    board = at.board()
    answer = at.ask(at.owner, "POST", f"/api/boards/{board['uid']}/links", {"hours": hours})
    assert answer.status in (400, 422)


def test_only_what_the_home_sees_has_links(at: Lookers) -> None:
    board = at.board(at.owner, is_shared=False)
    assert at.ask(at.owner, "POST", f"/api/boards/{board['uid']}/links", {}).status == 409


def test_a_link_made_by_form_is_shown_once(at: Lookers) -> None:
    board = at.board()
    made = at.form(at.owner, f"/boards/{board['uid']}/links", "name=Anna&hours=24")
    found = re.search(r"/shared/[\w-]{43}", made.body.decode())
    assert found is not None
    assert look(at, found[0]).status == 200
    assert "Anna" in at.page(at.owner, f"/boards/{board['uid']}/links")
    assert at.form(at.owner, f"/boards/{board['uid']}/links", "hours=0").status == 400
