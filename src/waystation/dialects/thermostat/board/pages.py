"""A person's thermostats, one of them with its history, and its key for the device beside them (5.4, TH-18, TH-24)."""

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request
from starlette.responses import Response

from waystation import devices, telemetry, web
from waystation.devices import Device, ending
from waystation.dialects.crossroads import Elsewhere
from waystation.dialects.thermostat import oddities, store, wire
from waystation.dialects.thermostat.board import address as addresses
from waystation.dialects.thermostat.board import warnings
from waystation.dialects.thermostat.board.edge import LIST, Asked, Route, with_token
from waystation.dialects.thermostat.edge import AtBrowser
from waystation.dialects.thermostat.fleet import service
from waystation.homes import HomeAdmin, HomeViewer, Membership
from waystation.kernel import db, qr
from waystation.kernel.clock import from_micros
from waystation.kernel.errors import Invalid, NotFound
from waystation.kernel.pages import token_for
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.secrets import KeyRing, digest

router = Router(include_in_schema=False, route_class=Route)
Number = Annotated[int, Path(ge=1)]
ONLINE_SECONDS = 20  # the firmware posts every 15
MOST_DEVICES = 1000
METRICS = (*wire.NUMBERS, *wire.TEXTS, wire.RAW)
DONE = {
    "updated": "Saved.",
    "alerts": "The alerts are saved.",
    "revoked": "The key is revoked; a thermostat that still uses it is refused from now on.",
    "deleted": "The thermostat is deleted.",
}
CONNECT = "connect-src 'self'"
SETUP = "/setup/step3?api_key="


@dataclass(frozen=True, slots=True)
class Refusal:
    """The form that was refused, why, and what had been typed into it."""

    form: str = ""
    sentence: str = ""
    draft: dict[str, str] = field(default_factory=dict[str, str])


@router.get("/dashboard/devices")
@router.get(LIST)
def show_list(request: Request, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    found = devices.search(tx, me.home_id, "", MOST_DEVICES)
    values, odd = _values(tx, [device.id for device in found]), store.oddities(tx, [device.id for device in found])
    rows = [_shown(device, values.get(device.id, {}), odd.get(device.id), now) for device in found]
    thermostats = [row for row in rows if "temp_inside_c" in row["last"] or row["last_seen_at"] is None]
    return Asked(request, me, tx, now).html(
        "list", thermostats=thermostats, offline_after_seconds=ONLINE_SECONDS, notice=DONE.get(done)
    )


@router.get("/dashboard/devices/register")
@router.get("/dashboard/devices/register/")
def show_registration(request: Request, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    return registration_page(Asked(request, me, tx, now))


def registration_page(asked: Asked, refused: Refusal | None = None) -> Response:
    return asked.html("register", status=400 if refused else 200, refused=refused or Refusal())


@router.get("/dashboard/devices/{device_id}")
@router.get("/dashboard/devices/{device_id}/")
def show_device(
    request: Request, device_id: Number, me: HomeViewer, tx: Tx, now: Now, done: str = "", address: str | None = None
) -> Response:
    """`address` is the thermostat's own: its settings are asked of it by the browser, from this page alone."""
    device, refused, checked = visible(tx, me, device_id), None, ""
    if address is not None:
        try:
            checked = addresses.check(address)
        except Invalid as fault:
            refused = Refusal("address", fault.sentence, {"address": address[:100]})
    asked = Asked(request, me, tx, now)
    answer = device_page(asked, device, refused, notice=DONE.get(done), address=checked)
    if checked:
        policy = web.CONTENT_SECURITY_POLICY.replace(CONNECT, f"{CONNECT} http://{checked}")
        answer.headers["Content-Security-Policy"] = policy
    return answer


def device_page(
    asked: Asked, device: Device, refused: Refusal | None = None, *, notice: str | None = None, address: str = ""
) -> Response:
    last = _values(asked.tx, [device.id]).get(device.id, {})
    odd = store.oddities(asked.tx, [device.id]).get(device.id)
    now = asked.now
    keys = service.keys(asked.tx, device) if asked.me.role.may_manage else ()
    return asked.html(
        "device",
        status=400 if refused else 200,
        device=_shown(device, last, odd, now),
        keys=[{**asdict(key), "is_live": key.is_live(now), "ends_soon": ending.ends_soon(key, now)} for key in keys],
        alerts=warnings.of_device(asked.tx, device),
        cooldowns=warnings.COOLDOWN_MINUTES,
        address=address,
        known_address=_known_address(device, last),
        offline_after_seconds=ONLINE_SECONDS,
        notice=notice,
        refused=refused or Refusal(),
    )


@router.get("/dashboard/settings")
@router.get("/dashboard/settings/")
def show_settings(request: Request, me: AtBrowser) -> Response:
    del me
    return Elsewhere(request, "/account", dress=with_token(request))


@router.get("/dashboard/data-management")
@router.get("/dashboard/data-management/")
def show_storage(request: Request, me: HomeAdmin) -> Response:
    del me
    return Elsewhere(request, "/data", dress=with_token(request))


def key_page(asked: Asked, device: Device, api_key: str, *, typed: str | None = None, status: int = 200) -> Response:
    """The key, shown this once, as a code that the device's set-up reads; with its address as a link to the set-up.

    Nothing of it is kept by browsers or told to other sites (TH-24).
    """
    link, wrong = "", ""
    if typed is not None:
        try:
            link = f"http://{addresses.check(typed)}{SETUP}{api_key}"
        except Invalid as fault:
            wrong, status = fault.sentence, 400
    proof = proof_of(asked.request, device, api_key)
    shown: dict[str, Any] = {"device": device, "api_key": api_key, "proof": proof, "link": link, "wrong": wrong}
    codes = {"key_code": qr.svg(api_key), "link_code": qr.svg(link) if link else None}
    usual = device.last_ip if addresses.is_private(device.last_ip) else ""
    answer = asked.html("key", status=status, **shown, **codes, typed=usual if typed is None else typed[:100])
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Referrer-Policy"] = "no-referrer"
    return answer


def proof_of(request: Request, device: Device, api_key: str) -> str:
    """That a page of ours has shown this key for this device."""
    ring: KeyRing = request.app.state.parts.get(KeyRing)
    return token_for(ring.get("forms"), digest(f"thermostat key {device.id} {api_key}"))


def visible(tx: db.Tx, me: Membership, device_id: int) -> Device:
    """NotFound for another home's, in the same words as for none (TH-19)."""
    device = devices.by_id(tx, device_id)
    if device is None or device.home_id != me.home_id:
        raise NotFound(service.UNKNOWN)
    return device


def _shown(device: Device, last: dict[str, Any], odd: store.Oddity | None, now: datetime) -> dict[str, Any]:
    """What a sample says is also when the device was seen: presence is written down a little later."""
    inside = last.get("temp_inside_c")
    seen = [at for at in (device.last_seen_at, inside and inside["at"]) if at is not None]
    device = replace(device, last_seen_at=max(seen, default=None))
    notices = oddities.notices(odd, inside and inside["at"], now)
    return {**asdict(device), "state": device.presence(now, ONLINE_SECONDS), "last": last, "notices": _read(notices)}


def _read(notices: dict[str, Any]) -> dict[str, Any]:
    """Each is there, None when there is nothing to tell, and has times instead of their text."""
    times = ("since", "last")
    told = {
        name: {key: datetime.fromisoformat(value) if key in times else value for key, value in one.items()}
        for name, one in notices.items()
    }
    return {"sensor_fault": None, "two_addresses": None, **told}


def _values(tx: db.Tx, device_ids: list[int]) -> dict[int, dict[str, Any]]:
    """Of each device every metric's last value, and when it was."""
    shown: dict[int, dict[str, Any]] = {}
    for one in telemetry.last_values(tx, device_ids, METRICS):
        at = from_micros(telemetry.at_of(one.stamp))
        shown.setdefault(one.series.device_id, {})[one.series.metric] = {"value": one.value, "at": at}
    return shown


def _known_address(device: Device, last: dict[str, Any]) -> str:
    """What the thermostat says of itself, else where it posts from."""
    try:
        said = json.loads(last[wire.RAW]["value"]).get("device_ip") if wire.RAW in last else None
    except (ValueError, AttributeError):
        said = None
    candidates = (oddities.own_address(said), device.last_ip)
    return next((one for one in candidates if one and addresses.is_private(one)), "")
