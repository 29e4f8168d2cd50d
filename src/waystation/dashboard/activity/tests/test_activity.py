"""What happens in a home is listed, for its members only, and told to whoever looks."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.site import Site, standing_site

from waystation import commands, devices, messages
from waystation.commands import NewCommand
from waystation.dashboard.activity import presence, sources
from waystation.dashboard.activity.sources import SOURCES, Asked
from waystation.homes import Role
from waystation.kernel.audit import Actor, note
from waystation.kernel.db import Tx
from waystation.kernel.parts import Parts
from waystation.messages import NewMessage, Severity


class Home:
    def __init__(self, site: Site) -> None:
        self.site = site
        self.home = site.home()
        self.owner = site.somebody(self.home, email="ann@example.org")
        self.viewer = site.somebody(self.home, Role.VIEWER)
        self.porch = site.device(self.home, "Porch")
        self.by = Actor("person:ann@example.org", home_id=self.home.id)

    @property
    def parts(self) -> Parts:
        return self.site.parts

    def items(self, query: str = "") -> list[dict[str, Any]]:
        answer = self.site.ask("GET", f"/api/activity{query}", self.viewer.authorization)
        assert answer.status == 200
        return answer.json["items"]

    def told(self, query: str = "") -> list[str]:
        """As a person reads it."""
        return [" ".join(filter(None, (one["who"], one["text"], one["of"]))) for one in self.items(query)]

    def device(self, tx: Tx) -> devices.Device:
        return devices.find(tx, self.home.id, self.porch.key)

    def send(self, name: str) -> commands.Command:
        with self.site.database.write() as tx:
            wanted = NewCommand(name)
            now, home_id = self.site.clock.now(), self.home.id
            return commands.send(tx, self.by, self.porch.id, now, home_id=home_id, wanted=wanted)

    def write(self, *lines: NewMessage) -> None:
        with self.site.database.write() as tx:
            messages.write(tx, self.device(tx), self.site.clock.now(), lines)

    def look(self) -> None:
        presence.look(self.site.database, self.site.clock.now())

    def seen(self) -> None:
        with self.site.database.write() as tx:
            devices.seen(tx, [(self.porch.id, self.site.clock.now(), None)])


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with standing_site(tmp_path) as site:
        yield Home(site)


def test_what_people_and_devices_do_is_listed_newest_first(home: Home) -> None:
    with home.site.database.write() as tx:
        note(tx, home.by, "registered a device", f"device:{home.porch.key}", now=home.site.clock.now(), name="Porch")
        note(tx, home.by, "signed in", "session:1", now=home.site.clock.now(), how="password")
    home.site.clock.turn(1)
    sent = home.send("reboot")
    home.site.clock.turn(1)
    home.write(NewMessage(content="hot", severity=Severity.WARNING), NewMessage(content="fine"))
    home.site.clock.turn(1)
    upload = home.site.ask("POST", "/api/uploads/whole?name=trace.csv", home.porch.authorization, b"a,b")
    assert upload.status == 200
    assert home.told() == [
        "Porch uploaded trace.csv",
        "hot Porch",
        "ann@example.org sent reboot to Porch",
        "ann@example.org registered the device Porch",
    ]
    assert home.items("?kind=command")[0]["state"] == "queued"
    with home.site.database.write() as tx:
        commands.cancel(tx, home.by, sent, home.site.clock.now())
    assert [one["state"] for one in home.items("?kind=command") if one["id"].startswith("command")] == ["cancelled"]
    assert home.told("?kind=message&kind=file") == ["Porch uploaded trace.csv", "hot Porch"]


def test_what_concerns_admins_is_not_told_to_everybody(home: Home) -> None:
    with home.site.database.write() as tx:
        note(tx, home.by, "created an API token", "token:ci", now=home.site.clock.now(), role="owner")
    assert home.told() == []


def test_silence_and_return_are_written_down_once(home: Home) -> None:
    home.look()
    assert home.told() == []
    for turn in range(2):
        home.seen()
        home.look()
        home.look()
        home.site.clock.turn(presence.PATIENCE.total_seconds() + 1)
        home.look()
        assert len(home.told()) == 2 * (turn + 1)
    assert home.told()[:2] == ["Porch fell silent", "Porch came online"]
    home.site.clock.turn(timedelta(days=31).total_seconds())
    with home.site.database.write() as tx:
        assert presence.forget(tx, home.site.clock.now()) == 4


def test_pages_go_back_to_the_beginning(home: Home) -> None:
    for number in range(25):
        home.site.clock.turn(1)
        if number % 2:
            home.send(f"c{number}")
        else:
            home.write(NewMessage(content=f"m{number}", severity=Severity.ERROR))
    seen, query = list[str](), "?limit=7"
    while query:
        page = home.site.ask("GET", f"/api/activity{query}", home.viewer.authorization).json
        seen += [one["text"].removeprefix("sent ").removesuffix(" to") for one in page["items"]]
        query = f"?limit=7&before={page['older']}" if page["older"] else ""
        home.write(NewMessage(content="while one reads", severity=Severity.ERROR))
    assert seen == [f"{'c' if number % 2 else 'm'}{number}" for number in range(24, -1, -1)]


def test_a_stranger_sees_nothing_of_it(home: Home) -> None:
    home.send("ping")
    stranger = home.site.somebody(home.site.home("Next door"))
    for query in ("", "?kind=command"):
        assert home.site.ask("GET", f"/api/activity{query}", stranger.authorization).json["items"] == []
    assert home.site.ask("GET", "/api/activity").status == 401
    assert home.site.ask("GET", "/api/activity?before=nonsense", home.viewer.authorization).status == 400
    assert home.site.ask("GET", "/api/activity?kind=nonsense", home.viewer.authorization).status == 422


def test_every_source_answers_for_a_place_of_another_kind(home: Home) -> None:
    """As in a cursor that somebody made up."""
    with home.site.database.read() as tx:
        for _, source in SOURCES.values():
            for place in ("a", 2**62):
                source(tx, Asked(home.home.id), place, 5)


def test_a_page_is_known_by_its_mark(home: Home) -> None:
    def mark() -> str:
        with home.site.database.read() as tx:
            return sources.read(tx, Asked(home.home.id), {}, 50).mark

    begun = mark()
    assert mark() == begun
    home.write(NewMessage(content="hot", severity=Severity.WARNING))
    written = mark()
    home.write(NewMessage(content="hot", severity=Severity.WARNING))
    assert len({begun, written, mark()}) == 3, "a line that repeats is another page as well"
