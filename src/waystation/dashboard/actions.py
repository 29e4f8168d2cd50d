"""What the forms of the device pages do; each is one transaction, each answer a page or the way to one."""

from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation import devices
from waystation.dashboard import pages as views
from waystation.devices import CredentialKind, Wanted
from waystation.homes import HomeAdmin
from waystation.kernel import pages
from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.routes import Now, Router, Tx, part
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]
Kind = Annotated[CredentialKind, Form()]
Keys = Annotated[KeyRing, part(KeyRing)]


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
def new_credential(
    request: Request, key: str, me: HomeAdmin, tx: Tx, now: Now, kind: Kind = CredentialKind.API_KEY
) -> Response:
    device = devices.find(tx, me.home_id, key)
    return views.secret_page(request, devices.new_credential(tx, me.actor, device, now, kind=kind))


@router.post("/devices/{key}/credentials/{credential_id}/rotate")
def rotate(request: Request, key: str, credential_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    device = devices.find(tx, me.home_id, key)
    return views.secret_page(request, devices.rotate(tx, me.actor, device, now, credential_id=credential_id))


@router.post("/devices/{key}/credentials/{credential_id}/revoke")
def revoke(key: str, credential_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    devices.revoke(tx, me.actor, devices.find(tx, me.home_id, key), now, credential_id=credential_id)
    return pages.go(f"/devices/{key}?done=revoked")


@router.post("/registrations")
def offer_registration(
    request: Request,
    me: HomeAdmin,
    tx: Tx,
    now: Now,
    keys: Keys,
    name: Text = "",
    trial: Text = "",
    approved: Text = "",
    public_key: Text = "",
    device: Text = "",
) -> Response:
    existing = devices.find(tx, me.home_id, device) if device else None
    is_on_trial = existing.is_on_trial if existing else bool(trial)
    wanted = Wanted(name, is_on_trial=is_on_trial, is_approved=bool(approved), public_key=public_key, device=existing)
    try:
        offer = devices.registration.offer(tx, Sealing(keys), me.actor, me.home_id, wanted=wanted, now=now)
    except Invalid as wrong:
        draft = {"registration_name": name, "public_key": public_key, "trial": trial, "approved": approved}
        field = "public_key" if "public key" in wrong.sentence else "registration_name"
        return views.devices_page(views.Asked(request, me, tx, now), errors={field: wrong.sentence}, draft=draft)
    return views.registration_page(request, offer, wanted)


@router.post("/registrations/{registration_id}/withdraw")
def withdraw(registration_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    devices.registration.withdraw(tx, me.actor, me.home_id, registration_id, now=now)
    return pages.go("/devices?done=withdrawn")


@router.post("/devices/{key}/approve")
def approve(key: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    devices.registration.approve(tx, me.actor, devices.find(tx, me.home_id, key), now)
    return pages.go(f"/devices/{key}?done=approved")


@router.post("/devices/{key}/reject")
def reject(key: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    devices.registration.reject(tx, me.actor, devices.find(tx, me.home_id, key), now)
    return pages.go("/devices?done=rejected")


@router.post("/devices/{key}/rename")
def rename(
    request: Request,
    key: str,
    me: HomeAdmin,
    tx: Tx,
    now: Now,
    name: Text = "",
    model: Text = "",
    tags: Text = "",
) -> Response:
    device = devices.find(tx, me.home_id, key)
    named = tags.replace(",", " ").split()
    at_fault = "tags"
    try:
        for word in named:
            devices.tags.check_tag(word)
        at_fault = "name"
        devices.rename(tx, me.actor, device, now, name=name, model_text=model)
    except Invalid as wrong:
        draft = {"name": name, "model": model, "tags": " ".join(named)}
        asked = views.Asked(request, me, tx, now)
        return views.device_page(asked, device, errors={at_fault: wrong.sentence}, draft=draft)
    devices.tags.put(tx, me.actor, device, now, tags=named)
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
