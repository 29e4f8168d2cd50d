"""A served site with thermostats that have a history, and a thermostat's own local interface (contract section 4.3)."""

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.browser import OpenWindow, Window, serving
from tests.site import lay_down_database

from waystation import app, devices, homes, identity
from waystation.dialects.thermostat import store as oddities
from waystation.homes import Role
from waystation.homes import store as home_rows
from waystation.kernel import settings
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import micros
from waystation.kernel.db import Database, Tx
from waystation.operation.simulate.kinds import Thermostat
from waystation.telemetry import store as rows
from waystation.telemetry.model import Kind, Stamped, own

SERIAL = "SN-ESP32-THERMO-001"


@dataclass
class Shown:
    """`hall` is a thermostat with a day behind it, an hour's silence in it, a loose sensor and a twin."""

    url: str
    database: Database
    hall: devices.Device
    attic: devices.Device

    def window(self, open_window: OpenWindow, **options: object) -> Window:
        window = open_window(**options)
        with self.database.write() as tx:
            person = identity.person_by_email(tx, "ann@example.org")
            assert person is not None
            session = identity.open_session(tx, person.id, datetime.now(UTC), ip=None, agent=None)
        window.page.context.add_cookies([{"name": "sessionid", "value": session.secret, "url": self.url}])
        return window

    def page_of(self, device: devices.Device) -> str:
        return f"{self.url}/dashboard/devices/{device.id}/"


@contextmanager
def standing(folder: Path) -> Iterator[Shown]:
    chosen, _ = settings.load({"data": folder, "mqtt_port": 0, "open_registration": True}, {})
    lay_down_database(folder)
    database = Database(chosen.database)
    now = datetime.now(UTC)
    with database.write() as tx:
        home = homes.the_home(tx, now)
        person_id = identity.sign_up(tx, now, email="ann@example.org", password_hash="", ip=None)
        home_rows.add_member(tx, home.id, person_id, now, role=Role.OWNER)
        made = [
            devices.register(tx, COMMAND_LINE, home.id, now, name=name, serial=serial)
            for name, serial in (("Hall", SERIAL), ("Attic", "SN-ESP32-THERMO-002"))
        ]
        hall, attic = (devices.find(tx, home.id, one.key) for one in made)
        _live_a_day(tx, hall, now)
        odd = oddities.Oddity(
            hall.id, 3, now, now + timedelta(seconds=5), addresses="192.168.1.50, 192.168.1.51", addresses_at=now
        )
        oddities.keep_oddity(tx, odd)
    with serving(app.build(chosen)) as url:
        yield Shown(url, database, hall, attic)
    database.close()


def _live_a_day(tx: Tx, device: devices.Device, now: datetime) -> None:
    start = micros(now) - 26 * 3600 * 1_000_000
    physics = Thermostat(2, 7, start / 1e6)
    luck = random.Random(7)
    found: list[tuple[str, int, int, float | str]] = []
    for number in range(26 * 240):
        at = start + number * 15_000_000
        values = physics.values(at / 1e6)
        if 12 * 240 < number < 13 * 240 or 20 * 240 < number < 20 * 240 + 12:
            continue
        humid = 45 + 8 * luck.random()
        said = {**values, "humidity_percent": humid, "raw_payload": '{"device_ip":"192.168.1.50"}'}
        found += [
            (metric, int(Kind.TEXT if isinstance(value, str) else Kind.NUMBER), own(at), value)
            for metric, value in said.items()
        ]
    rows.append(tx, rows.SeriesIds(), [Stamped(device.id, found)])  # type: ignore[arg-type]


@dataclass
class LocalThermostat:
    """As its firmware answers on its own network: without a password, for every origin."""

    config: dict[str, object] = field(default_factory=lambda: {"setpoint_c": 22.0, "hysteresis_c": 0.5, "mode": "HEAT"})
    asked: list[str] = field(default_factory=list)

    def answer(self, method: str, body: bytes) -> tuple[int, dict[str, object]]:
        self.asked.append(method)
        if method == "GET":
            return 200, self.config
        wanted = json.loads(body)
        if not 15 <= wanted.get("setpoint_c", 20) <= 28:
            return 400, {"error": "Setpoint out of range (15.0-28.0)"}
        self.config |= wanted
        return 200, {"status": "ok", **self.config}


@contextmanager
def local_thermostat() -> Iterator[tuple[LocalThermostat, str]]:
    """With its address."""
    device = LocalThermostat()

    class Served(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            status, told = device.answer(self.command, self.rfile.read(length))
            body = json.dumps(told).encode()
            self.send_response(status)
            self.cors()
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815  the library's names

        def do_OPTIONS(self) -> None:
            self.send_response(204)
            self.cors()
            self.send_header("access-control-allow-headers", "content-type")
            self.end_headers()

        def cors(self) -> None:
            self.send_header("access-control-allow-origin", "*")

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Served)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield device, f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
