"""`/api/devices/…`: a person's thermostats and their keys (section 5.2)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, get_args

from fastapi import Request
from starlette.responses import Response

from waystation import devices, homes, identity, telemetry
from waystation.devices import Credential, Device, ending
from waystation.dialects.thermostat import edge, oddities, store, wire
from waystation.dialects.thermostat.accounts.model import username_of
from waystation.dialects.thermostat.edge import Fields, json
from waystation.dialects.thermostat.fleet import service
from waystation.homes import HomeAdmin, Membership
from waystation.kernel.errors import Invalid, NotFound, Refused, Unauthenticated
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Call, Now, PartsOf, Router, Tx, Within
from waystation.kernel.settings import Settings

router = Router(tags=["thermostat"], route_class=edge.Route)

REGISTRATIONS = "3/hour"
KEY_CHANGES = "5/hour"
MOST_DEVICES = 1000

as_admin: Callable[[Call], Membership] = get_args(HomeAdmin)[1].find


def _member(call: Call) -> Membership | None:
    """None for a person without a home. Another Authorization header is another dialect's on this path."""
    if "authorization" in call.request.headers:
        raise Unauthenticated(edge.NOT_SIGNED_IN)
    try:
        return homes.find_member(call, edge.at_browser(call))
    except NotFound:
        return None


def _at_home(call: Call) -> Membership:
    found = _member(call)
    if found is None:
        raise Refused(service.NO_HOME)
    return found


def _who_may_manage(call: Call) -> Membership:
    """Who may manage the devices here, by a session's cookie or an API token: no other dialect has these paths."""
    try:
        found = as_admin(call) if "authorization" in call.request.headers else _at_home(call)
    except Unauthenticated as fault:
        raise Unauthenticated(edge.NOT_SIGNED_IN) from fault
    if not found.role.may_manage:
        raise Refused(f"this needs the role admin; yours is {found.role.word}")
    return found


MayManage = Annotated[Membership, Within(_who_may_manage, who="admin")]
Visitor = Annotated[Membership | None, Within(_member, who="at a browser")]
Member = Annotated[Membership, Within(_at_home, who="at a browser")]


@router.get("/api/devices", summary="A person's thermostats, for the session's cookie")
@router.get("/api/devices/", include_in_schema=False)
def show(caller: Visitor, tx: Tx, now: Now) -> Response:
    found = [] if caller is None else devices.search(tx, caller.home_id, "", MOST_DEVICES)
    ids = [device.id for device in found]
    temperatures = {one.series.device_id: one for one in telemetry.last_values(tx, ids, ["temp_inside_c"])}
    good, odd = oddities.last_good(tx, ids), store.oddities(tx, ids)
    rows = [
        {
            **_device(device),
            "last_seen": _moment(_latest(device.last_seen_at, good.get(device.id))),
            "current_temp": temperatures[device.id].value if device.id in temperatures else None,
            **oddities.notices(odd.get(device.id), good.get(device.id), now),
        }
        for device in found
    ]
    return json({"count": len(rows), "results": rows})


@router.post("/api/devices/register", summary="Register a thermostat, or give one's own a new key")
@router.post("/api/devices/register/", include_in_schema=False)
def register(request: Request, given: Fields, caller: Member, parts: PartsOf, tx: Tx, now: Now) -> Response:
    count_registration(parts, request)
    serial, name = given.get("serial_number"), given.get("name") or ""
    if not isinstance(serial, str) or not serial.strip():
        raise Invalid("Field 'serial_number' is required")
    if not isinstance(name, str):
        raise Invalid("the name must be text")
    made = service.register(tx, caller, now, serial=serial, name=name, overlap=overlap(parts))
    owner = None if caller.user_id is None else username_of(identity.person_by_id(tx, caller.user_id))
    return json({"device": {**_device(made.device), "owner": owner}, **_secret(made)})


@router.get("/api/devices/{device_id:int}/keys", summary="A thermostat's keys, without secrets")
@router.get("/api/devices/{device_id:int}/keys/", include_in_schema=False)
def show_keys(device_id: int, caller: MayManage, tx: Tx, now: Now) -> Response:
    device = service.managed(tx, caller, device_id)
    rows = [_key(key, now) for key in service.keys(tx, device)]
    return json({"device_id": device.id, "serial_number": device.serial, "count": len(rows), "results": rows})


@router.post("/api/devices/{device_id:int}/keys/rotate", summary="Replace a thermostat's key")
@router.post("/api/devices/{device_id:int}/keys/rotate/", include_in_schema=False)
def rotate(device_id: int, caller: MayManage, parts: PartsOf, tx: Tx, now: Now) -> Response:
    """The old key is good until the new one's first use, a week at most, or as the site has set it."""
    count_change(parts, caller, "rotate a key")
    made = service.rotate(tx, caller.actor, service.managed(tx, caller, device_id), now, overlap=overlap(parts))
    return json({"device": _device(made.device), **_secret(made)})


@router.post("/api/devices/{device_id:int}/keys/{key_id:int}/revoke", summary="End a key at once")
@router.post("/api/devices/{device_id:int}/keys/{key_id:int}/revoke/", include_in_schema=False)
def revoke(device_id: int, key_id: int, caller: MayManage, parts: PartsOf, tx: Tx, now: Now) -> Response:
    count_change(parts, caller, "revoke a key")
    device = service.managed(tx, caller, device_id)
    ended = service.revoke(tx, caller.actor, device, now, key_id=key_id)
    key = {**_key(ended, now), "is_active": False}
    key.pop("expires_soon", None)
    return json({"device_id": device.id, "serial_number": device.serial, "key": key})


def count_registration(parts: Parts, request: Request) -> None:
    parts.get(Limiter).limit(REGISTRATIONS, "register a device", request.client.host if request.client else "")


def count_change(parts: Parts, caller: Membership, what: str) -> None:
    parts.get(Limiter).limit(KEY_CHANGES, what, str(caller.user_id))


def overlap(parts: Parts) -> timedelta:
    return timedelta(hours=parts.get(Settings).key_overlap_hours)


def _device(device: Device) -> wire.Fields:
    return {
        "id": device.id,
        "serial_number": device.serial,
        "name": device.name,
        "created_at": _moment(device.created_at),
    }


def _key(key: Credential, now: datetime) -> wire.Fields:
    """`expires_soon` only while the owner should do something about it."""
    warning = {"expires_soon": True} if ending.ends_soon(key, now) else {}
    named: dict[str, Any] = {"id": key.id, "created_at": _moment(key.created_at), "expires_at": _moment(key.expires_at)}
    return {**named, "is_active": key.is_live(now), **warning}


def _secret(made: service.NewKey) -> wire.Fields:
    return {"api_key": made.api_key, "expires_at": _moment(made.expires_at)}


def _latest(*moments: datetime | None) -> datetime | None:
    return max((at for at in moments if at is not None), default=None)


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
