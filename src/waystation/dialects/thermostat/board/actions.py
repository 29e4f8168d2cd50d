"""What the forms of these pages do, for people and for scripts that post the same fields (contract section 5.4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastapi import Depends, Request
from starlette.responses import Response

from waystation import alerts, devices
from waystation.devices import Device
from waystation.dialects.crossroads import Elsewhere
from waystation.dialects.thermostat.board import pages as views
from waystation.dialects.thermostat.board import warnings
from waystation.dialects.thermostat.board.edge import LIST, Asked, Route, Typed, found, go
from waystation.dialects.thermostat.board.pages import Number, Refusal
from waystation.dialects.thermostat.fleet import service
from waystation.dialects.thermostat.fleet.api import count_change, count_registration, overlap
from waystation.homes import HomeAdmin
from waystation.kernel import db, pages
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.secrets import same
from waystation.telemetry import RANGE_PHRASE

router = Router(include_in_schema=False, route_class=Route, dependencies=[Depends(pages.read_form)])
MOST_DIGITS = 19


@router.post("/dashboard/devices/register")
@router.post("/dashboard/devices/register/")
def register(request: Request, me: HomeAdmin, parts: PartsOf, tx: Tx, now: Now, typed: Typed) -> Response:
    asked = Asked(request, me, tx, now)
    serial, name = typed.get("serial_number", ""), typed.get("name", "")
    count_registration(parts, request)
    try:
        made = service.register(tx, me, now, serial=serial, name=name, overlap=overlap(parts))
    except (Invalid, Conflict) as fault:
        return views.registration_page(asked, Refusal("register", fault.sentence, dict(typed)))
    return views.key_page(asked, made.device, made.api_key)


@router.post("/dashboard/devices/{device_id}")
@router.post("/dashboard/devices/{device_id}/")
def act(request: Request, device_id: Number, me: HomeAdmin, parts: PartsOf, tx: Tx, now: Now, typed: Typed) -> Response:
    device, chosen = views.visible(tx, me, device_id), ACTIONS.get(typed.get("action", ""))
    if chosen is None:
        raise Invalid(f"action is one of {', '.join(ACTIONS)}")
    return chosen(Deed(Asked(request, me, tx, now), device, typed, parts))


@router.post("/dashboard/devices/{device_id}/address")
def lead_to_device(request: Request, device_id: Number, me: HomeAdmin, tx: Tx, now: Now, typed: Typed) -> Response:
    """The page of a new key once more, with the address of the set-up in the code. The hub keeps no key, so it comes
    from that page, with a proof that it was shown there.
    """
    device, api_key = views.visible(tx, me, device_id), typed.get("api_key", "")
    if not same(typed.get("proof", ""), views.proof_of(request, device, api_key)):
        raise Invalid("this is no key of that thermostat; make a new one")
    return views.key_page(Asked(request, me, tx, now), device, api_key, typed=typed.get("address", ""))


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody wants of a device, by the form's `action`."""

    asked: Asked
    device: Device
    typed: Typed
    parts: Parts

    def done(self, word: str) -> Response:
        return go(f"{LIST}{self.device.id}/?done={word}")

    def refused(self, form: str, fault: Invalid | Conflict) -> Response:
        draft = {**self.typed}
        return views.device_page(self.asked, self.device, Refusal(form, fault.sentence, draft))


def _rotate(deed: Deed) -> Response:
    count_change(deed.parts, deed.asked.me, "rotate a key")
    asked = deed.asked
    made = service.rotate(asked.tx, asked.me.actor, deed.device, asked.now, overlap=overlap(deed.parts))
    return views.key_page(asked, made.device, made.api_key)


def _revoke(deed: Deed) -> Response:
    """The key with the number `key_id`, else every key that is live."""
    count_change(deed.parts, deed.asked.me, "revoke a key")
    asked, text = deed.asked, deed.typed.get("key_id", "")
    if text and not (text.isascii() and text.isdigit() and len(text) < MOST_DIGITS):
        raise NotFound(service.UNKNOWN_KEY)
    live = [key.id for key in service.keys(asked.tx, deed.device) if key.is_live(asked.now)]
    for key_id in [int(text)] if text else live:
        service.revoke(asked.tx, asked.me.actor, deed.device, asked.now, key_id=key_id)
    return deed.done("revoked")


def _update(deed: Deed) -> Response:
    asked, device = deed.asked, deed.device
    name, model = deed.typed.get("name", ""), deed.typed.get("model", device.model)
    try:
        devices.rename(asked.tx, asked.me.actor, device, asked.now, name=name, model_text=model)
    except Invalid as fault:
        return deed.refused("update_device", fault)
    return deed.done("updated")


def _delete(deed: Deed) -> Response:
    """With `typed_name`, which our own form asks for, it must be the device's name."""
    asked, name = deed.asked, deed.typed.get("typed_name", deed.device.name)
    try:
        devices.delete(asked.tx, asked.me.actor, deed.device, asked.now, typed_name=name)
    except Invalid as fault:
        return deed.refused("delete_device", fault)
    return go(f"{LIST}?done=deleted")


def _update_alerts(deed: Deed) -> Response:
    asked, desk = deed.asked, deed.parts.get(alerts.channels.Desk)
    try:
        wanted = warnings.typed(deed.typed)
        warnings.update(asked.tx, desk, asked.me.actor, deed.device, wanted=wanted, now=asked.now)
    except (Invalid, Conflict) as fault:
        return deed.refused("update_alerts", fault)
    return deed.done("alerts")


ACTIONS: Mapping[str, Callable[[Deed], Response]] = {
    "rotate": _rotate,
    "revoke": _revoke,
    "update_device": _update,
    "delete_device": _delete,
    "update_alerts": _update_alerts,
}


@router.post("/dashboard/data-management")
@router.post("/dashboard/data-management/")
def manage_storage(request: Request, me: HomeAdmin, tx: Tx, typed: Typed) -> Response:
    """Our own forms' deeds under this dialect's names. Who names one device or a range has said what is meant; for all
    there is, the phrase must be typed.
    """
    action = typed.get("action", "")
    if action == "refresh_usage":
        return _deed(request, "/data/count", {})
    if action not in DELETIONS:
        raise Invalid(f"action is one of refresh_usage, {', '.join(DELETIONS)}")
    device = _named(tx, me.home_id, typed.get("device_id", "")) if action != "delete_all_data" else None
    if action == "delete_device_data" and device is None:
        raise Invalid("Field 'device_id' is required")
    phrase = {"delete_device_data": device.name if device else "", "delete_date_range": RANGE_PHRASE}
    confirmed = typed.get("confirmation", typed.get("confirm", ""))
    return _deed(
        request,
        "/data/delete",
        {
            "form": DELETIONS[action],
            "device": device.key if device else "",
            "first": typed.get("start_date", ""),
            "last": typed.get("end_date", ""),
            "typed": phrase.get(action, confirmed),
        },
    )


DELETIONS = {"delete_device_data": "device", "delete_date_range": "range", "delete_all_data": "all"}


def _deed(request: Request, path: str, form: dict[str, str]) -> Response:
    token = {"csrf": getattr(request.state, "csrf", "")}
    return Elsewhere(request, path, form={**form, **token}, dress=found)


def _named(tx: db.Tx, home_id: int, text: str) -> Device | None:
    """By its number or serial; None when none is named. NotFound for what this home does not have."""
    if not text:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) < MOST_DIGITS
    device = devices.by_id(tx, int(text)) if is_number else None
    if device is None or device.home_id != home_id:
        device = devices.by_serial(tx, home_id, text)
    if device is None:
        raise NotFound(service.UNKNOWN)
    return device
