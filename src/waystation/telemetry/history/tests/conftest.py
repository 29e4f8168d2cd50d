from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path

import pytest
from tests.browser import OpenWindow, Window, serving
from tests.site import lay_down_database

from waystation import app, devices, homes, identity
from waystation.homes import Role
from waystation.homes import store as home_rows
from waystation.kernel import settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import micros
from waystation.kernel.db import Database, Tx
from waystation.telemetry import seal
from waystation.telemetry import store as rows
from waystation.telemetry.model import Kind, Stamped, own

DAYS = 16
STEP_SECONDS = 600
MISSING = (2000, 2100)
"""These readings of the Greenhouse's temperature never came: 16 hours."""


@dataclass
class Site:
    """A hub with two devices that have sent readings for some days."""

    url: str
    database: Database
    keys: dict[str, str]

    def window(self, open_window: OpenWindow, **options: object) -> Window:
        window = open_window(**options)
        with self.database.write() as tx:
            person = identity.person_by_email(tx, "ann@example.org")
            assert person is not None
            session = identity.open_session(tx, person.id, datetime.now(UTC), ip=None, agent=None)
        window.page.context.add_cookies([{"name": "sessionid", "value": session.secret, "url": self.url}])
        return window

    def path(self, *series: str, **more: str) -> str:
        """The page's address for series such as `Kitchen:t_c`."""
        named = [name.split(":") for name in series]
        told = [f"series={self.keys[name]}:{metric}" for name, metric in named] + [f"{k}={v}" for k, v in more.items()]
        return f"{self.url}/history?{'&'.join(told)}"


def fill(tx: Tx, device_id: int, metric: str, kind: Kind, worth: Callable[[int], float | str]) -> None:
    count = DAYS * 86400 // STEP_SECONDS
    first = micros(datetime.now(UTC) - timedelta(seconds=(count - 1) * STEP_SECONDS))
    gap = range(*MISSING) if metric == "temperature_c" else range(0)
    values = [
        (metric, int(kind), own(first + n * STEP_SECONDS * 10**6), worth(n)) for n in range(count) if n not in gap
    ]
    rows.append(tx, rows.SeriesIds(), [Stamped(device_id, values)])  # type: ignore[arg-type]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    chosen, _ = settings.load({"data": tmp_path, "mqtt_port": 0}, {})
    lay_down_database(tmp_path)
    database = Database(chosen.database)
    now = datetime.now(UTC)
    with database.write() as tx:
        home = homes.the_home(tx, now)
        person_id = identity.sign_up(tx, now, email="ann@example.org", password_hash="", ip=None)
        home_rows.add_member(tx, home.id, person_id, now, role=Role.OWNER)
        keys: dict[str, str] = {}
        for name in ("Greenhouse", "Kitchen"):
            made = devices.register(tx, COMMAND_LINE, home.id, now, name=name, model_text="esp32")
            device_id = devices.find(tx, home.id, made.key).id
            keys[name] = made.key
            base = 20.0 if name == "Kitchen" else 15.0
            fill(
                tx, device_id, "temperature_c", Kind.NUMBER, lambda n, b=base: round(b + 5 * sin(n / 23) + n % 7 / 9, 2)
            )
            fill(tx, device_id, "humidity_percent", Kind.NUMBER, lambda n: round(60 + 20 * sin(n / 31), 1))
            fill(tx, device_id, "window_open", Kind.BOOLEAN, lambda n: float(n % 144 > 120))
            fill(tx, device_id, "mode", Kind.TEXT, lambda n: ("eco", "heat", "=off")[n // 50 % 3])
    seal.seal(database, now)
    with serving(app.build(chosen)) as url:
        yield Site(url, database, keys)
    database.close()
