"""Believable contexts for every template: what the preview shows and the browser tests look at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import segno
from markupsafe import Markup

from waystation.web import chart_groups

Context = dict[str, Any]
LONG_NAME = "Weather station on the north-eastern corner of the greenhouse roof (second mast)"


@dataclass
class Value:
    metric: str
    value: float | bool | str
    at: datetime
    kind: str = "number"


@dataclass
class Device:
    key: str
    name: str
    model: str = "Raspberry Pi 4"
    serial: str = "10000000a1b2c3d4"
    state: str = "online"
    last_seen_at: datetime | None = None
    created_at: datetime = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
    values: list[Value] = field(default_factory=list[Value])
    pending_since: datetime | None = None
    said_id: str | None = None
    is_on_trial: bool = False
    online_seconds: int | None = None
    stolen_at: datetime | None = None


def now() -> datetime:
    return datetime.now(UTC)


def qr(content: str) -> Markup:
    return Markup(segno.make(content, error="m").svg_inline(scale=4, omitsize=True, border=0))


def pi() -> Device:
    at = now() - timedelta(seconds=4)
    values = {
        "cpu_percent": 3.2,
        "memory_percent": 41.7,
        "cpu_temperature_c": 48.3,
        "disk_percent": 61.0,
        "memory_available_bytes": 2_330_000_000,
        "net_received_bytes_per_second": 18_320.5,
        "net_sent_bytes_per_second": 2_210.0,
        "load_1m": 0.21,
        "uptime_seconds": 934_512,
    }
    made = [Value(metric, value, at) for metric, value in values.items()]
    made += [Value("door_open", value=False, at=at, kind="boolean"), Value("mode", "AUTO", at, "text")]
    return Device("k3x7qa2m", "Workshop", last_seen_at=at, values=made)


def fleet() -> list[Device]:
    earlier = now() - timedelta(hours=5)
    return [
        pi(),
        Device(
            "n5bw6d4t",
            LONG_NAME,
            "ESP32",
            state="offline",
            last_seen_at=earlier,
            values=[Value("temperature_c", 21.46, earlier)],
        ),
        Device("zz2k7c6h", "Garage door", "ESP8266", state="disabled", last_seen_at=earlier),
        Device("p4q5r6s7", "Spare", "", state="never", pending_since=earlier),
    ]


def frame(active: str, **more: Any) -> Context:
    pages = (("Devices", "/devices", 0), ("Alerts", "/alerts", 3), ("System", "/system", 0))
    return {
        "home_name": "Harbour house",
        "nav": [(label, href, label == active, waiting) for label, href, waiting in pages],
        "person": "ada.lovelace@harbour-house.example",
        "csrf": "c" * 43,
        "now": now(),
        **more,
    }


def stranger(**more: Any) -> Context:
    return frame("", **more) | {"nav": [], "person": None}


def registration(number: int, name: str, **more: Any) -> SimpleNamespace:
    shown = {"is_on_trial": False, "is_approved": False, "device_id": None} | more
    return SimpleNamespace(id=number, name=name, expires_at=now() + timedelta(minutes=12), **shown)


def devices(**more: Any) -> Context:
    counts = {"total": 14, "online": 11, "offline": 1, "disabled": 1, "never": 1}
    pager = {"text": "1–4 of 14", "previous": None, "next": "/devices?after=4"}
    shown = {
        "devices": fleet(),
        "q": "",
        "counts": counts,
        "pager": pager,
        "models": ["ESP32"],
        "registrations": [registration(1, "Greenhouse Pi"), registration(2, "", is_on_trial=True, is_approved=True)],
        "notice": None,
        "errors": {},
        "draft": {},
    }
    return frame("Devices", **(shown | {"may_manage": True} | more))


def no_devices() -> Context:
    return devices(devices=[], pager=None, counts=dict.fromkeys(("total", "online", "offline", "disabled", "never"), 0))


def refused_device() -> Context:
    return devices(
        errors={"name": "another device has this name already"}, draft={"name": "Workshop", "model": "ESP32"}
    )


def credential(number: int, state: str, used: datetime | None) -> SimpleNamespace:
    return SimpleNamespace(
        id=number,
        kind="api_key",
        state=state,
        hint=f"Zk{number}q…",
        created_at=now() - timedelta(days=40 * number),
        expires_at=None,
        last_used_at=used,
    )


def device(shown: Device | None = None, **more: Any) -> Context:
    shown = shown or pi()
    numeric = [value.metric for value in shown.values if value.kind == "number"]
    rows = [{"at": now() - timedelta(seconds=10 * i), "metric": "cpu_percent", "value": 3 + i / 10} for i in range(12)]
    raw = {"metric": "", "metrics": [value.metric for value in shown.values], "rows": rows, "pager": None}
    raw["pager"] = {"text": "newest first", "previous": None, "next": f"/devices/{shown.key}?cursor=abc"}
    credentials = [credential(1, "active", now()), credential(2, "retired", None)]
    page = {
        "device": shown,
        "charts": chart_groups(numeric),
        "raw": raw,
        "credentials": credentials,
        "tags": ["roof", "batch-7"],
        "notice": None,
        "chart_range": "1h",
        "fault": None,
    }
    return frame("Devices", **(page | {"errors": {}, "draft": {}, "may_manage": True} | more))


def fresh_device() -> Context:
    return device(Device("p4q5r6s7", "Spare", "", state="never"), credentials=[], notice="The device was renamed.")


def disabled_device() -> Context:
    shown = pi()
    shown.state = "disabled"
    shown.name = LONG_NAME
    return device(shown)


def relay() -> Context:
    at = now() - timedelta(minutes=3)
    shown = pi()
    shown.pending_since, shown.stolen_at, shown.said_id = at, at, "02:FC:00:00:00:01"
    shown.is_on_trial, shown.online_seconds = True, 180
    made = credential(3, "active", now())
    made.kind = "refresh_token"
    return device(shown, credentials=[made])


def registration_line() -> Context:
    line = f'{{"deviceName":"Greenhouse Pi","publicKey":"A{"b" * 43}","token":"reg-{"x" * 43}"}}'
    made = SimpleNamespace(id=7, name="Greenhouse Pi", line=line, expires_at=now() + timedelta(minutes=15))
    return frame("Devices", offer=made, device=None, trial=True, approved=False, qr=qr(line))


def claim() -> Context:
    made = SimpleNamespace(id="42", code="K7QM-3XWB-P5TD", expires_at=now() + timedelta(minutes=30), name="Workshop")
    url = "http://192.168.1.20:8000"
    return frame(
        "Devices", claim=made, device=None, server_url=url, qr=qr(f'{{"server":"{url}","code":"{made.code}"}}')
    )


def secret() -> Context:
    key = "bF0x2Qd8Jw3rT6vYk1LpZs9HnCe4MuXa7Gi5OqRtBjE"
    mqtt = {"host": "192.168.1.20", "port": 1883, "username": "k3x7qa2m"}
    shown = {"api_key": key, "kind": "API key", "server_url": "http://192.168.1.20:8000", "qr": qr(key)}
    return frame("Devices", device=pi(), mqtt=mqtt, **shown)


def system() -> Context:
    facts = {
        "versions": [("Waystation", "0.1.0"), ("Python", "3.11.7"), ("SQLite", "3.45.1")],
        "started_at": now() - timedelta(days=3, hours=2),
        "data_folder": "/var/lib/waystation/data-of-the-harbour-house-and-its-boat-shed",
        "data_bytes": 1_830_000_000,
        "disk": {"total_bytes": 62_000_000_000, "free_bytes": 2_400_000_000},
        "database": {"kind": "SQLite", "version": "3.45.1", "size_bytes": 1_700_000_000},
        "devices": 14,
        "devices_online": 11,
        "series": 161,
        "values_stored": 48_231_904,
        "readings_per_second": 16.1,
        "writer": {"queued": 0, "commit_seconds": 0.0042},
        "nats": {
            "state": "down",
            "version": "2.15.0",
            "connections": None,
            "note": "Restarted 3 times in the last minute.",
        },
        "mail": {
            "has_server": True,
            "waiting": 2,
            "given_up": 1,
            "fault": "mail.example.org:587 answered 550 no such person here",
        },
        "weakened": ["thermostat_shared_key lets thermostats in that have no key of their own"],
    }
    text = (
        "Authorization refused for serial 10000000a1b2c3d4 from 192.168.1.77: its credential was revoked on 2026-05-04"
    )
    errors = [{"at": now(), "level": level, "event": "mqtt refused", "text": text} for level in ("error", "warning")]
    return frame("System", system=facts, errors=errors)


def setup() -> Context:
    error = "a password has at least 10 characters"
    return stranger(token="t" * 43, error=error, email="ada@harbour-house.example", least_password=10)


def signin() -> Context:
    error = "that e-mail address and password do not fit together"
    return stranger(error=error, email="ada@harbour-house.example", next="/system", set_up=False)


def missing() -> Context:
    problem = {"status": 404, "title": "Not Found", "sentence": "there is nothing at this address"}
    return stranger(problem=problem)


PAGES: dict[str, tuple[str, Callable[[], Context]]] = {
    "/devices": ("dashboard/devices.html", devices),
    "/empty": ("dashboard/devices.html", no_devices),
    "/nothing-found": ("dashboard/devices.html", lambda: devices(devices=[], q="boiler", pager=None)),
    "/refused": ("dashboard/devices.html", refused_device),
    "/devices/k3x7qa2m": ("dashboard/device.html", device),
    "/devices/p4q5r6s7": ("dashboard/device.html", fresh_device),
    "/disabled": ("dashboard/device.html", disabled_device),
    "/relay": ("dashboard/device.html", relay),
    "/registrations": ("dashboard/registration.html", registration_line),
    "/claims": ("dashboard/claim.html", claim),
    "/secret": ("dashboard/secret.html", secret),
    "/system": ("dashboard/system.html", system),
    "/setup": ("identity/setup.html", setup),
    "/signin": ("identity/signin.html", signin),
    "/missing": ("problem.html", missing),
}
