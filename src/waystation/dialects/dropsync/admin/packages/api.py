"""`/api/v1/admin/sync-packages`: rows as the original had them, and files in them (DS-17)."""

from functools import partial

from fastapi import Request
from starlette.responses import Response

from waystation.devices import Device, by_id
from waystation.dialects.dropsync import service, store, wire
from waystation.dialects.dropsync.edge import AdminHere, GivenFields, Route, json, served
from waystation.dialects.dropsync.exchange import gathering, packing
from waystation.dialects.dropsync.exchange.api import in_thread
from waystation.dialects.dropsync.service import Known
from waystation.dialects.dropsync.wire import BODY, Fields, Given
from waystation.files import packages
from waystation.homes import Membership
from waystation.kernel import db
from waystation.kernel.clock import Clock
from waystation.kernel.errors import Conflict, NotFound
from waystation.kernel.parts import Parts
from waystation.kernel.routes import PartsOf, Router, Tx

router = Router(tags=["dropsync"], route_class=Route)
PACKAGES = "/api/v1/admin/sync-packages"
UNKNOWN_TARGET = "Target device not found"


@served(router, "GET", PACKAGES)
def list_packages(me: AdminHere, given: GivenFields, tx: Tx) -> Response:
    """Each package on each of its DropSync devices, newest first."""
    device_id, status = given.optional("device_id"), given.optional("status")
    known = {one.device.id: one for one in service.all_known(tx, me.home_id)}
    found = [one for one in packing.of_home(tx, me.home_id) if one.device_id in known]
    rows = [_row(one, known[one.device_id]) for one in found]
    chosen = [row for row in rows if device_id in ("", row["target_device_id"]) and status in ("", row["status"])]
    return json({"packages": chosen})


@served(router, "POST", PACKAGES)
async def create(request: Request, me: AdminHere, parts: PartsOf) -> Response:
    """A form, or multipart with any number of `file`s, which the device then fetches."""
    came = await gathering.gathered(request, parts)
    given = Given(BODY, came.fields)
    name, kind = given.text("package_name"), given.text("package_type")
    device_id, about = given.text("target_device_id"), given.optional("description")
    given.check()
    words = {"name": name, "kind": kind, "about": about}
    work = partial(_create, parts=parts, me=me, device_id=device_id, came=came, **words)
    made = await in_thread(parts, work, writes=True)
    said = {"package_id": made.id, "package_name": made.name, "target_device_id": device_id}
    return json({**said, "package_type": made.kind.value, "status": "staged"})


def _create(
    tx: db.Tx, *, parts: Parts, me: Membership, device_id: str, came: gathering.Came, **words: str
) -> packages.Package:
    device = service.find(tx, me.home_id, device_id, unknown=UNKNOWN_TARGET)
    return packing.create(tx, me.actor, device, parts.get(Clock).now(), members=came.members, **words)


@served(router, "POST", f"{PACKAGES}/{{package_id}}/files")
async def fill(request: Request, package_id: str, me: AdminHere, parts: PartsOf) -> Response:
    """All files of a package that was made without any; it is staged with them."""
    asked = Given("path", {"package_id": package_id})
    number = asked.integer("package_id")
    asked.check()
    await in_thread(parts, lambda tx: _empty(tx, me, number))
    came = await gathering.gathered(request, parts)
    if not came.members:
        given = Given(BODY, came.fields)
        given.text("file")
        given.check()
    await in_thread(parts, partial(_fill, parts=parts, me=me, number=number, came=came), writes=True)
    shown = [{"name": one.name, "size": one.size_bytes, "sha256": one.sha256} for one in came.members]
    return json({"package_id": number, "status": "staged", "files": shown})


def _empty(tx: db.Tx, me: Membership, number: int) -> tuple[packages.Package, Device]:
    """The package, and the device that it was made for; Conflict when it has files."""
    found = next((one for one in packing.of_home(tx, me.home_id) if one.package.id == number), None)
    device = None if found is None else by_id(tx, found.device_id)
    if found is None or device is None:
        raise NotFound(packing.UNKNOWN)
    if found.count or number not in store.meant_for(tx, [number]):
        raise Conflict("this package has its files already; make a new one")
    return found.package, device


def _fill(tx: db.Tx, *, parts: Parts, me: Membership, number: int, came: gathering.Came) -> None:
    package, device = _empty(tx, me, number)
    packing.fill(tx, me.actor, package, parts.get(Clock).now(), device=device, members=came.members)


def _row(one: packing.Packed, target: Known) -> Fields:
    return {
        "id": one.package.id,
        "package_name": one.package.name,
        "target_device_id": target.name,
        "package_type": one.package.kind.value,
        "file_count": one.count,
        "total_size": one.total_bytes,
        "status": "failed" if one.state == packages.State.CANCELLED else one.state,
        "created_at": wire.when(one.package.created_at),
        "deployed_at": wire.when_known(one.deployed_at),
        "description": one.package.about or None,
    }
