"""What the forms of the device pages do; each is one transaction, each answer a page or the way to one."""

from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation import devices
from waystation.dashboard import pages as views
from waystation.homes import HomeAdmin
from waystation.kernel import pages
from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.routes import Now, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]


@router.post("/devices")
def register(request: Request, me: HomeAdmin, tx: Tx, now: Now, name: Text = "", model: Text = "") -> Response:
    try:
        made = devices.register(tx, me.actor, me.home_id, now, name=name, model_text=model)
    except (Invalid, Conflict) as wrong:
        return views.devices_page(
            views.Asked(request, me, tx, now), errors={"name": wrong.sentence}, draft={"name": name, "model": model}
        )
    return views.secret_page(request, made)


@router.post("/claims")
def offer_claim(request: Request, me: HomeAdmin, tx: Tx, now: Now, name: Text = "", device: Text = "") -> Response:
    existing = devices.find(tx, me.home_id, device) if device else None
    try:
        claim = devices.offer_claim(tx, me.actor, me.home_id, now, name=name, device=existing)
    except Invalid as wrong:
        return views.devices_page(
            views.Asked(request, me, tx, now), errors={"claim_name": wrong.sentence}, draft={"claim_name": name}
        )
    return views.claim_page(request, claim, existing)


@router.post("/devices/{key}/credentials")
def new_api_key(request: Request, key: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    device = devices.find(tx, me.home_id, key)
    return views.secret_page(request, devices.new_api_key(tx, me.actor, device, now))


@router.post("/devices/{key}/credentials/{credential_id}/revoke")
def revoke(key: str, credential_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    devices.revoke(tx, me.actor, devices.find(tx, me.home_id, key), now, credential_id=credential_id)
    return pages.go(f"/devices/{key}?done=revoked")


@router.post("/devices/{key}/rename")
def rename(request: Request, key: str, me: HomeAdmin, tx: Tx, now: Now, name: Text = "", model: Text = "") -> Response:
    device = devices.find(tx, me.home_id, key)
    try:
        devices.rename(tx, me.actor, device, now, name=name, model_text=model)
    except Invalid as wrong:
        return views.device_page(
            views.Asked(request, me, tx, now),
            device,
            errors={"name": wrong.sentence},
            draft={"name": name, "model": model},
        )
    return pages.go(f"/devices/{key}?done=renamed")


@router.post("/devices/{key}/disable")
def disable(key: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    devices.disable(tx, me.actor, devices.find(tx, me.home_id, key), now)
    return pages.go(f"/devices/{key}?done=disabled")


@router.post("/devices/{key}/enable")
def enable(key: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    devices.enable(tx, me.actor, devices.find(tx, me.home_id, key), now)
    return pages.go(f"/devices/{key}?done=enabled")


@router.post("/devices/{key}/delete")
def delete(request: Request, key: str, me: HomeAdmin, tx: Tx, now: Now, typed_name: Text = "") -> Response:
    device = devices.find(tx, me.home_id, key)
    try:
        devices.delete(tx, me.actor, device, now, typed_name=typed_name)
    except Invalid as wrong:
        return views.device_page(
            views.Asked(request, me, tx, now),
            device,
            errors={"typed_name": wrong.sentence},
            draft={"typed_name": typed_name},
        )
    return pages.go("/devices")
