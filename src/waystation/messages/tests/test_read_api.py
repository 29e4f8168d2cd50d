"""What people and programs read: pages, files, and what they may not see."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.site import Site, standing_site

from waystation import devices, homes, messages
from waystation.homes import Role
from waystation.messages import NewMessage, Severity, export
from waystation.messages.tests.house import line


class Home:
    """With two devices, and a viewer who reads."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.home: homes.Home = site.home()
        self.porch = site.device(self.home, "Porch")
        self.shed = site.device(self.home, "=Shed")
        self.viewer = site.somebody(self.home, Role.VIEWER)

    def write(self, *lines: NewMessage, shed: bool = False) -> None:
        thing = self.shed if shed else self.porch
        with self.site.database.write() as tx:
            messages.write(tx, devices.find(tx, self.home.id, thing.key), self.site.clock.now(), lines)

    def get(self, path: str, status: int = 200) -> Any:
        answer = self.site.ask("GET", path, self.viewer.authorization)
        assert answer.status == status
        return answer.json

    def file(self, query: str) -> str:
        answer = self.site.ask("GET", f"/api/messages/export?{query}", self.viewer.authorization)
        assert answer.status == 200
        return answer.body.decode()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with standing_site(tmp_path) as site:
        yield Home(site)


def test_the_newest_come_first_and_the_rest_behind_a_cursor(home: Home) -> None:
    home.write(line("a", 1), line("b", 2, Severity.ERROR), line("b", 3, Severity.ERROR), line("c", 4))
    page = home.get("/api/messages?limit=2")
    assert [(one["content"], one["count"]) for one in page["messages"]] == [("c", 1), ("b", 2)]
    assert page["messages"][1] | {"id": 0, "arrived_at": ""} == {
        "id": 0,
        "device": home.porch.key,
        "name": "Porch",
        "at": "2026-11-21T12:00:02.000000Z",
        "last_at": "2026-11-21T12:00:03.000000Z",
        "arrived_at": "",
        "severity": "error",
        "said_severity": None,
        "type": "log",
        "content": "b",
        "count": 2,
    }
    rest = home.get(f"/api/messages?limit=2&before={page['older']}")
    assert ([one["content"] for one in rest["messages"]], rest["older"]) == (["a"], None)
    home.write(line("d", 5))
    later = home.get(f"/api/messages?after={page['newer']}")
    assert [one["content"] for one in later["messages"]] == ["d"]


def test_a_viewer_reads_with_filters_and_a_stranger_nothing(home: Home) -> None:
    home.write(line("Hot", 1, Severity.WARNING), line("fine", 2))
    home.write(line("hot as well", 1, Severity.ERROR, "status"), shed=True)
    found = home.get(f"/api/messages?severity=warning&q=HOT&device={home.porch.key}&type=log")
    assert [one["content"] for one in found["messages"]] == ["Hot"]
    stranger = home.site.somebody(home.site.home("Next door"))
    assert home.site.ask("GET", "/api/messages", stranger.authorization).json["messages"] == []
    for path in ("/api/messages", "/api/messages/export", "/api/messages/live"):
        asked = home.site.ask("GET", f"{path}?device={home.porch.key}", stranger.authorization)
        assert asked.status == 404
        assert home.site.ask("GET", path).status == 401


@pytest.mark.parametrize("query", ["severity=bad", "before=x", "after=x", "before=AAAAAAAAAAE&after=AAAAAAAAAAE"])
def test_what_makes_no_sense_is_refused(home: Home, query: str) -> None:
    assert "detail" in home.get(f"/api/messages?{query}", 400)
    assert "detail" in home.get("/api/messages?limit=0", 422)


def test_a_file_has_everything_oldest_first(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 7)
    home.write(*(line(f"line {n}", n) for n in range(50)))
    lines = [msgspec.json.decode(one) for one in home.file("format=ndjson").splitlines()]
    assert [one["content"] for one in lines] == [f"line {n}" for n in range(50)]
    assert home.file("q=line+4&format=text").splitlines()[-1] == (
        "2026-11-21T12:00:49.000000Z INFO     Porch log: line 49"
    )


def test_a_spreadsheet_runs_nothing_and_a_log_file_has_a_line_for_each(home: Home) -> None:
    home.write(line('=HYPERLINK("x")\n\x1b[31m', 1), line('=HYPERLINK("x")\n\x1b[31m', 2), shed=True)
    home.write(line("-1.5", 3))
    rows = list(csv.DictReader(io.StringIO(home.file("format=csv").removeprefix("\ufeff"))))
    assert [(row["name"], row["content"], row["count"]) for row in rows] == [
        ("'=Shed", '\'=HYPERLINK("x")\n\\x1b[31m', "2"),
        ("Porch", "-1.5", "1"),
    ]
    first = home.file("format=text").splitlines()[0]
    assert first.removeprefix("2026-11-21T12:00:01.000000Z INFO     =Shed log: ") == (
        r'=HYPERLINK("x")\n\x1b[31m (×2 until 2026-11-21T12:00:02.000000Z)'
    )


def test_what_is_written_meanwhile_is_not_in_a_file(home: Home) -> None:
    home.write(*(line(f"{n}") for n in range(3)))
    pages = export.pages(home.site.database, export.Wanted(home.home.id))
    monkey = next(pages)
    home.write(line("late"))
    assert [one["content"] for page in (monkey, *pages) for one in page] == ["0", "1", "2"]
