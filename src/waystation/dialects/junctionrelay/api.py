"""The owner's side of JunctionRelay's cloud (contract section 4.9), over the same services as our own pages."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, cast

from fastapi import Body

from waystation import devices, telemetry
from waystation.devices import CallingDevice, Device, Wanted, Wish
from waystation.dialects.junctionrelay import jobs, wire
from waystation.homes import HomeAdmin, HomeViewer
from waystation.kernel.db import Database
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import Invalid, NotFound
from waystation.kernel.routes import Now, PartsOf, Router, Tx, part
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings
from waystation.telemetry import Ingest, Sample

router = Router(tags=["junctionrelay"])

LOCAL = ("/cloud/local-devices", "/local-devices")
LOCAL_KIND = "local"
MOST_LOCAL = 1000
MOST_SECONDS = 60
Keys = Annotated[KeyRing, part(KeyRing)]
Site = Annotated[Settings, part(Settings)]
Given = Annotated[dict[str, Any] | None, Body()]
Words = dict[str, Any]
Mount = Callable[[Callable[..., Any]], Callable[..., Any]]


def served(method: str, *paths: str) -> Mount:
    """The same handler under every path, with and without a slash at its end (G-3); the first is described."""

    def mount(handle: Callable[..., Any]) -> Callable[..., Any]:
        for number, path in enumerate(way for one in paths for way in (one, f"{one}/")):
            router.add_api_route(path, handle, methods=[method], include_in_schema=number == 0)
        return handle

    return mount


def of_devices(tail: str = "") -> Sequence[str]:
    return [f"{prefix}{tail}" for prefix in wire.PREFIXES]


@served("POST", *of_devices("/generate-registration-token"))
def generate(caller: HomeAdmin, tx: Tx, now: Now, *, keys: Keys, given: Given = None) -> Words:
    """The line to paste is `qrCodeData`. `deviceName`, `publicKey`, `testMode` and `approved` may be sent along."""
    asked = _lower(given)
    wanted = Wanted(
        name=wire.optional_text(asked, "deviceName"),
        public_key=wire.optional_text(asked, "publicKey"),
        is_on_trial=asked.get("testmode") is True,
        is_approved=asked.get("approved") is True,
    )
    made = devices.registration.offer(tx, Sealing(keys), caller.actor, caller.home_id, wanted=wanted, now=now)
    seconds = round((made.expires_at - now).total_seconds())
    return {"success": True, "registrationToken": made.token, "expiresIn": seconds, "qrCodeData": made.line}


@served("GET", *of_devices())
def show_devices(caller: HomeViewer, tx: Tx, now: Now, site: Site) -> Words:
    found = [one for one in devices.search(tx, caller.home_id, "", 10_000) if one.said_id is not None]
    ids = [one.id for one in found]
    alerts, wish = devices.health.alerts_of(tx, ids), devices.health.wish_of(tx, caller.home_id)
    heard, last = jobs.last_reports(tx, ids), _last_words(tx, ids)
    shown = [
        {
            **_plain(one, now, site, caller.user_id),
            "lastHealthStatus": last.get((one.id, wire.STATUS)),
            "lastEncryptedSensorData": last.get((one.id, wire.SEALED)),
            "lastHealthReportAt": _when(heard.get(one.id)),
            "lastHealthAlertSent": _when(alerts[one.id].alerted_at if one.id in alerts else None),
            "lastHealthReminderSent": _when(alerts[one.id].reminded_at if one.id in alerts else None),
            "pushNotifications": wish.sends_mail,
            "clearAlertsOnHealthy": True,
        }
        for one in found
    ]
    return {"success": True, "devices": shown}


@served("GET", *of_devices("/pending"))
def show_pending(caller: HomeViewer, tx: Tx) -> Words:
    waiting = devices.pending(tx, caller.home_id)
    shown = [{"id": one.id, "deviceId": one.said_id, "name": one.name, "type": one.model} for one in waiting]
    return {"success": True, "devices": shown}


@served("POST", *of_devices("/{device_id}/confirm"))
def confirm(device_id: int, caller: HomeAdmin, tx: Tx, *, now: Now, given: Given = None) -> Words:
    accept = _lower(given).get("accept")
    if not isinstance(accept, bool):
        raise Invalid("send accept as true or false")
    device = _find(tx, caller.home_id, device_id)
    if accept:
        devices.registration.approve(tx, caller.actor, device, now)
    else:
        devices.registration.reject(tx, caller.actor, device, now)
    return {"success": True}


@served("DELETE", *of_devices("/{device_id}"))
def delete(device_id: int, caller: HomeAdmin, tx: Tx, now: Now) -> Words:
    device = _find(tx, caller.home_id, device_id)
    devices.delete(tx, caller.actor, device, now, typed_name=device.name)
    return {"success": True}


@served("GET", "/cloud/auth/validate")
def validate(caller: HomeViewer) -> Words:
    return {"valid": True, "message": "this token is valid", "userId": caller.user_id or 0}


@served("GET", "/cloud/notifications/preferences")
def preferences(caller: HomeViewer, tx: Tx) -> Words:
    return _preferences(devices.health.wish_of(tx, caller.home_id))


@served("PUT", "/cloud/notifications/preferences")
def set_preferences(caller: HomeAdmin, tx: Tx, now: Now, given: Given = None) -> Words:
    """What is not sent stays as it is."""
    asked, before = _lower(given), devices.health.wish_of(tx, caller.home_id)
    wish = Wish(
        _switch(asked, "pushNotificationsEnabled", before.sends_mail),
        _minutes(asked, "deviceHealthTimeoutMinutes", before.timeout_minutes),
        _minutes(asked, "deviceHealthReminderIntervalMinutes", before.reminder_minutes),
    )
    devices.health.set_wish(tx, caller.actor, caller.home_id, wish, now=now)
    return _preferences(wish)


@served("POST", *(f"{place}/{call}" for place in LOCAL for call in ("register-health", "register-sync")))
def register_local(caller: HomeAdmin, tx: Tx, now: Now, given: Given = None) -> Words:
    """A device of a local hub, which reports for it; it has no credential of its own."""
    asked = _lower(given)
    said_id = devices.registration.check_said_id(wire.text(asked, "deviceId"))
    name = wire.optional_text(asked, "deviceName") or said_id
    made = devices.adopt(tx, caller.actor, caller.home_id, now, name=name, kind=LOCAL_KIND, value=said_id)
    return {"success": True, "message": "registered" if made else "already registered"}


@served("POST", *(f"{place}/unregister" for place in LOCAL))
def unregister_local(caller: HomeAdmin, tx: Tx, now: Now, given: Given = None) -> Words:
    """Its readings are kept; delete the device itself to be rid of them."""
    said_id = wire.text(_lower(given), "deviceId")
    known = devices.release(tx, caller.actor, caller.home_id, now, kind=LOCAL_KIND, value=said_id)
    return {"success": True, "message": "unregistered" if known else "not registered"}


@served("POST", *(f"{place}/health/batch" for place in LOCAL))
async def local_health(caller: HomeAdmin, parts: PartsOf, given: Given = None) -> Words:
    """Once a minute from a local hub; those that are not registered are left out."""
    told = _lower(given).get("devices")
    if not isinstance(told, list) or len(cast("list[Any]", told)) > MOST_LOCAL:
        raise Invalid(f"send devices as a list of at most {MOST_LOCAL}")
    lines = [_lower(cast("Words", line)) for line in cast("list[Any]", told) if isinstance(line, dict)]
    known = await asyncio.to_thread(_known, parts.get(Database), caller.home_id, lines)
    ingest = parts.get(Ingest)
    await asyncio.gather(*(ingest.put(device, [Sample(None, _said(line))], None) for device, line in known))
    return {"success": True, "stored": len(known)}


def _known(database: Database, home_id: int, lines: Sequence[Words]) -> list[tuple[CallingDevice, Words]]:
    with database.read() as tx:
        found = [(devices.by_external_id(tx, home_id, LOCAL_KIND, str(line.get("deviceid"))), line) for line in lines]
    return [
        (CallingDevice(one.id, one.key, one.serial, one.name, one.home_id), line)
        for one, line in found
        if one is not None and one.disabled_at is None
    ]


def _said(line: Words) -> dict[str, telemetry.Value]:
    """A local hub's line about one device as readings."""
    names = {"status": wire.STATUS, "lastpingdurationms": "ping_ms", "failurecount": "failures", "protocol": "protocol"}
    return wire.readings({names[key]: value for key, value in line.items() if key in names}) or {wire.STATUS: "unknown"}


def _lower(given: Words | None) -> Words:
    return {key.lower(): value for key, value in (given or {}).items()}


def _find(tx: Transaction, home_id: int, device_id: int) -> Device:
    """A foreign device and an unknown one look the same (G-13)."""
    device = devices.by_id(tx, device_id) if 0 < device_id < 1 << 63 else None
    if device is None or device.home_id != home_id:
        raise NotFound("there is no such device")
    return device


def _plain(device: Device, now: datetime, site: Settings, user_id: int | None) -> Words:
    state = "pending" if device.pending_since else device.presence(now, site.online_seconds)
    return {
        "id": device.id,
        "userId": user_id or 0,
        "deviceId": device.said_id,
        "name": device.name,
        "status": state,
        "deviceType": device.model,
        "createdAt": wire.when(device.created_at),
        "lastUpdated": wire.when(device.last_seen_at or device.created_at),
    }


def _last_words(tx: Transaction, device_ids: Sequence[int]) -> dict[tuple[int, str], Any]:
    last = telemetry.last_values(tx, device_ids, [wire.STATUS, wire.SEALED])
    return {(one.series.device_id, one.series.metric): one.value for one in last}


def _when(at: datetime | None) -> str | None:
    return None if at is None else wire.when(at)


def _preferences(wish: Wish) -> Words:
    told = {
        "pushNotificationsEnabled": wish.sends_mail,
        "deviceHealthTimeoutMinutes": wish.timeout_minutes,
        "deviceHealthReminderIntervalMinutes": wish.reminder_minutes,
    }
    return {"success": True, "preferences": told}


def _switch(asked: Words, name: str, before: bool) -> bool:  # noqa: FBT001  a setting as it was
    value = asked.get(name.lower(), before)
    if not isinstance(value, bool):
        raise Invalid(f"send {name} as true or false")
    return value


def _minutes(asked: Words, name: str, before: int) -> int:
    value = asked.get(name.lower(), before)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid(f"send {name} as a whole number of minutes")
    return value
