"""What the forms on the pages of packages do."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation import devices
from waystation.files import service as files
from waystation.files.packages import service
from waystation.files.packages.model import By, Member, Target
from waystation.files.packages.pages import Asked, package_page, packages_page
from waystation.homes import HomeAdmin
from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.pages import go, read_form
from waystation.kernel.routes import Now, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(read_form)])
Text = Annotated[str, Form(max_length=2000)]


async def _devices(request: Request) -> list[str]:
    return [str(value)[:64] for value in (await request.form()).getlist("device") if value]


Devices = Annotated[Sequence[str], Depends(_devices)]


@router.post("/packages")
def create(
    request: Request,
    me: HomeAdmin,
    tx: Tx,
    now: Now,
    name: Text = "",
    kind: Text = "",
    version: Text = "",
    about: Text = "",
) -> Response:
    draft = {"name": name, "kind": kind, "version": version, "about": about}
    try:
        made = service.create(tx, me.actor, me.home_id, now, **draft)
    except (Invalid, Conflict) as fault:
        return packages_page(Asked(request, me, tx, now), error=fault.sentence, draft=draft)
    return go(f"/packages/{made.uid}?done=made")


@router.post("/packages/{package_id}/members")
def add_member(
    request: Request, package_id: str, me: HomeAdmin, tx: Tx, now: Now, file: Text = "", name: Text = ""
) -> Response:
    package = service.find(tx, me.home_id, package_id)
    chosen = files.find(tx, me.home_id, file)
    try:
        member = Member(name or chosen.name, chosen.size_bytes, chosen.sha256)
        service.add_member(tx, me.actor, package, now, member=member)
    except (Invalid, Conflict) as fault:
        return package_page(Asked(request, me, tx, now), package, error=fault.sentence)
    return go(f"/packages/{package.uid}?done=put")


@router.post("/packages/{package_id}/members/remove")
def remove_member(package_id: str, me: HomeAdmin, tx: Tx, now: Now, name: Text = "") -> Response:
    package = service.find(tx, me.home_id, package_id)
    service.remove_member(tx, me.actor, package, now, name=name)
    return go(f"/packages/{package.uid}?done=taken")


@router.post("/packages/{package_id}/stage")
def stage(
    request: Request,
    package_id: str,
    me: HomeAdmin,
    tx: Tx,
    now: Now,
    keys: Devices,
    tag: Text = "",
    model: Text = "",
    home: Text = "",
) -> Response:
    package = service.find(tx, me.home_id, package_id)
    targets = [Target(By.DEVICE, key) for key in keys]
    targets += [Target(by, value) for by, value in ((By.TAG, tag), (By.MODEL, model)) if value]
    targets += [Target(By.HOME)] * (home == "yes")
    try:
        service.stage(tx, me.actor, package, now, to=targets)
    except (Invalid, Conflict) as fault:
        return package_page(Asked(request, me, tx, now), package, error=fault.sentence)
    return go(f"/packages/{package.uid}?done=staged")


@router.post("/packages/{package_id}/cancel")
def cancel(package_id: str, me: HomeAdmin, tx: Tx, now: Now, keys: Devices) -> Response:
    package = service.find(tx, me.home_id, package_id)
    for key in keys:
        service.cancel(tx, me.actor, package, now, device_id=devices.find(tx, me.home_id, key).id)
    return go(f"/packages/{package.uid}?done=cancelled")


@router.post("/packages/{package_id}/delete")
def delete(package_id: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    service.delete(tx, me.actor, service.find(tx, me.home_id, package_id), now)
    return go("/packages?done=deleted")
