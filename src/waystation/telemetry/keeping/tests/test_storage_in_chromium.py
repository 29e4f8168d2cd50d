"""The pages of storage and plans in a real browser, in both themes and on a phone."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.browser import OpenWindow, Window, chromium, open_window, serving
from tests.site import lay_down_database

from waystation import app, devices, homes, identity
from waystation.homes import Role
from waystation.homes import store as home_rows
from waystation.kernel import settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import micros
from waystation.kernel.db import Database
from waystation.telemetry import seal
from waystation.telemetry import store as rows
from waystation.telemetry.keeping import store
from waystation.telemetry.keeping.model import Plan
from waystation.telemetry.keeping.sweeps import counting
from waystation.telemetry.model import Kind, Stamped, own

__all__ = ["chromium", "open_window"]
pytestmark = pytest.mark.browser
NAMES = ("Greenhouse", "Kitchen", "The old pump behind the third polytunnel", "Attic")


@dataclass
class Shown:
    url: str
    database: Database

    def window(self, open_window: OpenWindow, **options: object) -> Window:
        window = open_window(**options)
        with self.database.write() as tx:
            person = identity.person_by_email(tx, "ann@example.org")
            assert person is not None
            session = identity.open_session(tx, person.id, datetime.now(UTC), ip=None, agent=None)
        window.page.context.add_cookies([{"name": "sessionid", "value": session.secret, "url": self.url}])
        return window


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Shown]:
    chosen, _ = settings.load({"data": tmp_path, "mqtt_port": 0, "default_plan": "free"}, {})
    lay_down_database(tmp_path)
    database = Database(chosen.database)
    now = datetime.now(UTC)
    with database.write() as tx:
        home = homes.the_home(tx, now)
        person_id = identity.sign_up(tx, now, email="ann@example.org", password_hash="", ip=None)
        home_rows.add_member(tx, home.id, person_id, now, role=Role.OWNER)
        made = [devices.register(tx, COMMAND_LINE, home.id, now, name=name, model_text="esp32") for name in NAMES]
        ids = [devices.find(tx, home.id, one.key).id for one in made]
        store.save_plan(tx, Plan("free", 60_000))
        for day in range(1, 7):
            store.note_size(tx, counting.scope_of(home.id), 50_000 - 1000 * day, now - timedelta(days=day))
            store.note_size(tx, "disk", 10**10 - day * 10**8, now - timedelta(days=day))
        for number, device_id in enumerate(ids):
            first = micros(now) - 6000 * 60_000_000
            values = [
                ("temperature_c", int(Kind.NUMBER), own(first + n * 60_000_000), (n * 7919 % 1000) / 10)
                for n in range(6000 // (number + 1))
            ]
            rows.append(tx, rows.SeriesIds(), [Stamped(device_id, values)])  # type: ignore[arg-type]
    seal.seal(database, now)
    counting.recount(database, ids, now)
    with serving(app.build(chosen)) as url:
        yield Shown(url, database)
    database.close()
    assert threading.active_count() < 100


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_are_sound(open_window: OpenWindow, shown: Shown, tmp_path: Path, theme: str, width: int) -> None:
    window = shown.window(open_window, width=width, color_scheme=theme)
    page = window.page
    found: list[str] = []

    def look(name: str) -> None:
        page.screenshot(path=tmp_path / f"{name}-{theme}-{width}.png", full_page=True)
        found.extend(f"{name}: {fault}" for fault in window.faults() + window.serious_barriers() + window.too_wide())

    page.goto(f"{shown.url}/data")
    expect(page.get_by_role("link", name="Greenhouse")).to_be_visible()
    look("empty-rules")
    page.get_by_role("button", name="Add a rule").click()
    page.get_by_label("Keep readings for (days)").fill("30")
    look("rule")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("table", name="Rules")).to_contain_text("Everything in this home")
    page.get_by_role("button", name="Delete readings of Kitchen").click()
    page.get_by_label("Type its name, Kitchen").fill("Kitchen")
    look("delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("#deletions .tag").first).to_have_text("done", timeout=20_000)
    look("data")
    page.get_by_role("button", name="Delete a range of days").click()
    page.get_by_label("Type DELETE THIS RANGE").fill("no")
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_role("dialog").get_by_text("Say from which day, or until which.")).to_be_visible()
    window.errors.clear()  # a refusal is a 400, which the browser notes
    look("refused")
    page.goto(f"{shown.url}/admin/plans")
    look("plans")
    page.get_by_role("button", name="Change the plan standard").click()
    look("plan")
    assert found == []
