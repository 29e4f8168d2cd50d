"""Packages over HTTP: people make and stage them, devices fetch their bytes by hash."""

import asyncio
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from waystation import devices
from waystation.devices import TheDevice
from waystation.files import service as files
from waystation.files.packages import model, service, shown, store
from waystation.files.packages.model import By, Kind, Member, Target
from waystation.homes import HomeAdmin, HomeViewer
from waystation.kernel import sending
from waystation.kernel.blobs import Blobs
from waystation.kernel.clock import iso
from waystation.kernel.db import Database
from waystation.kernel.errors import NotFound
from waystation.kernel.routes import Now, PartsOf, Router, Tx

router = Router(tags=["packages"])
Text = Annotated[str, Field(max_length=2000)]
Limit = Annotated[int, Query(ge=1, le=1000)]


class NewPackage(BaseModel):
    """`name` and `version` together are one of their kind in a home."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    type: Kind
    version: Text = ""
    about: Text = ""


class NewMember(BaseModel):
    """`file` is the id of a file of the home; without a `name` the member has the file's."""

    model_config = ConfigDict(extra="forbid")

    file: Text
    name: Text = ""


class TargetBody(BaseModel):
    """`value` is a device's key or serial, a tag or a model; empty for the whole home."""

    model_config = ConfigDict(extra="forbid")

    by: By
    value: Text = ""


class Staging(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: Annotated[list[TargetBody], Field(min_length=1, max_length=service.MOST_TARGETS)]


class Cancelling(BaseModel):
    """Without a `device` on all on which it is not finished."""

    model_config = ConfigDict(extra="forbid")

    device: Text = ""


@router.get("/api/packages", summary="Packages of the home, newest first")
@router.get("/api/packages/", include_in_schema=False)
def show_packages(caller: HomeViewer, tx: Tx, before: int | None = None, limit: Limit = 50) -> dict[str, Any]:
    """`next` is the `before` of the page after this."""
    found = store.of_home(tx, caller.home_id, before=before, most=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return {"packages": shown.facts(tx, found[:limit]), "next": following}


@router.post("/api/packages", status_code=201, summary="Make an empty package")
@router.post("/api/packages/", status_code=201, include_in_schema=False)
def create(caller: HomeAdmin, tx: Tx, now: Now, body: NewPackage) -> dict[str, Any]:
    named = {"name": body.name, "kind": body.type, "version": body.version, "about": body.about}
    made = service.create(tx, caller.actor, caller.home_id, now, **named)
    return shown.facts(tx, [made])[0]


@router.get("/api/packages/{package_id}", summary="A package, its targets, and its state on each device")
@router.get("/api/packages/{package_id}/", include_in_schema=False)
def show_package(caller: HomeViewer, tx: Tx, package_id: str) -> dict[str, Any]:
    package = service.find(tx, caller.home_id, package_id)
    targets = [{"by": target.by, "value": target.value} for target in store.targets(tx, package.id)]
    deliveries = [
        {**one, "staged_at": iso(one["staged_at"]), "changed_at": iso(one["changed_at"])}
        for one in shown.deliveries(tx, package)
    ]
    return {**shown.facts(tx, [package])[0], "targets": targets, "deliveries": deliveries}


@router.delete("/api/packages/{package_id}", summary="Delete a package; devices keep what they have")
@router.delete("/api/packages/{package_id}/", include_in_schema=False)
def delete(caller: HomeAdmin, tx: Tx, now: Now, package_id: str) -> dict[str, str]:
    package = service.find(tx, caller.home_id, package_id)
    service.delete(tx, caller.actor, package, now)
    return {"deleted": package.uid}


@router.get("/api/packages/{package_id}/members", summary="The files in a package, by name")
@router.get("/api/packages/{package_id}/members/", include_in_schema=False)
def show_members(
    caller: HomeViewer,
    tx: Tx,
    package_id: str,
    first: Annotated[int, Query(alias="from", ge=0, le=model.MOST_MEMBERS)] = 0,
    limit: Limit = 1000,
) -> dict[str, Any]:
    package = service.find(tx, caller.home_id, package_id)
    count, total = store.sizes(tx, [package.id]).get(package.id, (0, 0))
    members = [one._asdict() for one in store.members(tx, package.id, first=first, most=limit)]
    return {"members": members, "from": first, "count": count, "total_bytes": total}


@router.get("/api/packages/{package_id}/manifest", summary="What a device's copy must hash to, as text")
@router.get("/api/packages/{package_id}/manifest/", include_in_schema=False)
def show_manifest(caller: HomeViewer, tx: Tx, package_id: str) -> Response:
    package = service.find(tx, caller.home_id, package_id)
    text = model.manifest(store.members(tx, package.id))
    return Response(text, media_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"})


@router.post("/api/packages/{package_id}/members", status_code=201, summary="Put a file into a package")
@router.post("/api/packages/{package_id}/members/", status_code=201, include_in_schema=False)
def add_member(caller: HomeAdmin, tx: Tx, now: Now, package_id: str, body: NewMember) -> dict[str, Any]:
    """In place of a member of the same name. 409 once the package has been staged."""
    package = service.find(tx, caller.home_id, package_id)
    file = files.find(tx, caller.home_id, body.file)
    member = Member(body.name or file.name, file.size_bytes, file.sha256)
    service.add_member(tx, caller.actor, package, now, member=member)
    return member._asdict()


@router.delete("/api/packages/{package_id}/members", summary="Take a file out of a package")
@router.delete("/api/packages/{package_id}/members/", include_in_schema=False)
def remove_member(caller: HomeAdmin, tx: Tx, now: Now, package_id: str, name: str = "") -> dict[str, str]:
    package = service.find(tx, caller.home_id, package_id)
    service.remove_member(tx, caller.actor, package, now, name=name)
    return {"removed": name}


@router.post("/api/packages/{package_id}/stage", summary="Stage a package for devices, a tag, a model or the home")
@router.post("/api/packages/{package_id}/stage/", include_in_schema=False)
def stage(caller: HomeAdmin, tx: Tx, now: Now, package_id: str, body: Staging) -> dict[str, Any]:
    """For the devices that are meant by it now. Where it has finished it is staged anew."""
    package = service.find(tx, caller.home_id, package_id)
    targets = [Target(one.by, one.value) for one in body.to]
    return {"id": package.uid, "staged": service.stage(tx, caller.actor, package, now, to=targets)}


@router.post("/api/packages/{package_id}/cancel", summary="Cancel a package where it is not finished")
@router.post("/api/packages/{package_id}/cancel/", include_in_schema=False)
def cancel(caller: HomeAdmin, tx: Tx, now: Now, package_id: str, body: Cancelling) -> dict[str, Any]:
    package = service.find(tx, caller.home_id, package_id)
    device_id = devices.find(tx, caller.home_id, body.device).id if body.device else None
    cancelled = service.cancel(tx, caller.actor, package, now, device_id=device_id)
    return {"id": package.uid, "cancelled": cancelled}


@router.get("/api/blobs/{sha256}", summary="The bytes of what is staged for the calling device")
@router.get("/api/blobs/{sha256}/", include_in_schema=False)
async def fetch(device: TheDevice, parts: PartsOf, request: Request, sha256: str) -> Response:
    """With `ETag`, `If-None-Match`, `Range` (206, 416) and `If-Range`."""

    def opened() -> sending.Kept:
        with parts.get(Database).read() as tx:
            size = store.is_for(tx, device.id, sha256)
        if size is None:
            raise NotFound("nothing with this hash is staged for this device")
        return sending.Kept(parts.get(Blobs).open(sha256), size, sha256)

    kept = await asyncio.to_thread(opened)
    return sending.answer(request.headers, kept, "application/octet-stream", {"cache-control": "private, no-cache"})
