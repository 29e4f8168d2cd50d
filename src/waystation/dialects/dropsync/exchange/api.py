"""Files up and down, and sync packages, for devices with their token (4.3, DS-14…18)."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import Response

from waystation import files
from waystation.devices import CallingDevice
from waystation.dialects.dropsync import journal, model, shelf, store, wire
from waystation.dialects.dropsync.edge import GivenFields, Route, json, served
from waystation.dialects.dropsync.exchange import fetching, packing, uploads
from waystation.dialects.dropsync.exchange.access import Prover
from waystation.dialects.dropsync.wire import Fields, Given
from waystation.files import packages
from waystation.files.packages import Member
from waystation.kernel.blobs import Blobs
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import NotFound
from waystation.kernel.parts import Parts
from waystation.kernel.routes import PartsOf, Router

router = Router(tags=["dropsync"], route_class=Route)
T = TypeVar("T")
PACKAGES = "/api/v1/files/sync-packages/{device_id}"
MOST_MEMBERS = 1000


@served(router, "POST", "/api/v1/files/upload/{device_id}")
async def upload(request: Request, device_id: str, prove: Prover, parts: PartsOf) -> Response:
    """Multipart: `file`, `token`, `sync_type`. Streamed to the disk, and only kept when all of it has come."""
    arriving = uploads.Arriving(request, parts)
    kept = await arriving.kept(lambda given: prove(device_id, given))
    words = {"device_id": device_id, "filename": kept.file.name, "size": kept.file.size_bytes}
    return json({"status": "uploaded", **words, "sync_id": kept.sync_id})


@served(router, "GET", "/api/v1/files/files/{device_id}/{filename}")
async def download(
    request: Request, device_id: str, filename: str, given: GivenFields, *, prove: Prover, parts: PartsOf
) -> Response:
    """The newest file of this name, with `Range` (DS-18)."""
    device = await prove(device_id, given)
    file = await in_thread(parts, lambda tx: shelf.named(tx, device.id, filename)[0])

    def note(tx: Tx) -> None:
        if file.uid not in store.fetched(tx, device.id):
            journal.add_sync(tx, file, journal.DOWNLOAD, parts.get(Clock).now())

    member = Member(file.name, file.size_bytes, file.sha256)
    return await fetching.answer(request, parts.get(Blobs), member, partial(in_thread, parts, note, writes=True))


@served(router, "DELETE", "/api/v1/files/files/{device_id}/{filename}")
async def delete(device_id: str, filename: str, given: GivenFields, *, prove: Prover, parts: PartsOf) -> Response:
    """With every version of that name."""
    device = await prove(device_id, given)

    def work(tx: Tx) -> None:
        for file in shelf.named(tx, device.id, filename):
            files.delete(tx, files.sender_of(device).by, file, parts.get(Clock).now())

    await in_thread(parts, work, writes=True)
    return json({"status": "deleted", "filename": filename})


@served(router, "GET", PACKAGES)
async def list_packages(
    request: Request, device_id: str, given: GivenFields, *, prove: Prover, parts: PartsOf
) -> Response:
    """What is staged for the device."""
    device = await prove(device_id, given)
    found = await in_thread(parts, lambda tx: packing.of_device(tx, device.id, device.home_id))
    staged = [_package(one) for one in found if one.state == packages.State.STAGED]
    answer: Fields = {"device_id": device_id, "packages": staged}
    is_small = request.headers.get("user-agent", "")[:3].upper() == "ESP"
    return json(model.fitted(answer, "packages") if is_small else answer)


@served(router, "POST", f"{PACKAGES}/{{package_id}}/download")
async def take_package(
    device_id: str, package_id: str, given: GivenFields, *, prove: Prover, parts: PartsOf
) -> Response:
    """What old clients call: the answer is as it always was, and says nothing of bytes."""
    number = _number(package_id)
    device = await prove(device_id, given)

    def work(tx: Tx) -> str:
        packed = packing.find(tx, device, number)
        packing.take(tx, device, packed, parts.get(Clock).now())
        return packed.package.name

    name = await in_thread(parts, work, writes=True)
    return json({"status": "deployed", "package_id": number, "package_name": name})


@served(router, "GET", f"{PACKAGES}/{{package_id}}")
async def show_package(
    device_id: str, package_id: str, given: GivenFields, *, prove: Prover, parts: PartsOf
) -> Response:
    """Its files with size and SHA-256, `limit` of them from number `from` on."""
    number, first = _number(package_id), given.integer("from", 0, least=0, most=1_000_000)
    most = given.integer("limit", 8, least=1, most=MOST_MEMBERS)
    device = await prove(device_id, given)

    def work(tx: Tx) -> Fields:
        packed = packing.find(tx, device, number)
        members = packages.members(tx, packed.package.id, first=first, most=most)
        shown = [{"name": one.name, "size": one.size_bytes, "sha256": one.sha256} for one in members]
        manifest = packed.package.manifest_sha256
        return {**_package(packed), "status": packed.state, "manifest_sha256": manifest, "from": first, "files": shown}

    return json(await in_thread(parts, work))


@served(router, "GET", f"{PACKAGES}/{{package_id}}/files/{{name:path}}")
async def fetch_member(
    request: Request, device_id: str, package_id: str, name: str, *, given: GivenFields, prove: Prover, parts: PartsOf
) -> Response:
    """The bytes of one file of the package, with `Range`."""
    number, name = _number(package_id), name.rstrip("/")
    device = await prove(device_id, given)

    def work(tx: Tx) -> tuple[packing.Packed, Member]:
        packed = packing.find(tx, device, number)
        found = next((one for one in packages.members(tx, packed.package.id) if one.name == name), None)
        if found is None:
            raise NotFound(shelf.UNKNOWN)
        return packed, found

    packed, member = await in_thread(parts, work)
    note = partial(_note_member, parts=parts, device=device, packed=packed, member=member)
    return await fetching.answer(request, parts.get(Blobs), member, partial(in_thread, parts, note, writes=True))


@served(router, "POST", f"{PACKAGES}/{{package_id}}/report")
async def report_package(
    device_id: str, package_id: str, given: GivenFields, *, prove: Prover, parts: PartsOf
) -> Response:
    """`status` is deploying, deployed or failed; `detail` says why."""
    number, state, detail = _number(package_id), given.text("status"), given.optional("detail")
    device = await prove(device_id, given)

    def work(tx: Tx) -> str:
        packed = packing.find(tx, device, number)
        return packing.report(tx, device, packed, parts.get(Clock).now(), state=state, detail=detail)

    return json({"status": await in_thread(parts, work, writes=True), "package_id": number})


def _package(one: packing.Packed) -> Fields:
    return {
        "id": one.package.id,
        "name": one.package.name,
        "type": one.package.kind.value,
        "file_count": one.count,
        "size": one.total_bytes,
        "created_at": wire.when(one.package.created_at),
        "description": one.package.about or None,
    }


def _note_member(tx: Tx, *, parts: Parts, device: CallingDevice, packed: packing.Packed, member: Member) -> None:
    mark = packing.fetched_mark(packed.package, member.name)
    if mark in store.fetched(tx, device.id):
        return
    now = parts.get(Clock).now()
    what = {"filename": member.name, "size_bytes": member.size_bytes, "sha256": member.sha256, "file_uid": mark}
    done: dict[str, Any] = {"sync_type": journal.DOWNLOAD, "status": "completed", "at": now, "completed_at": now}
    store.add_sync(tx, device_id=device.id, **what, **done)


async def in_thread(parts: Parts, work: Callable[[Tx], T], *, writes: bool = False) -> T:
    def run() -> T:
        database = parts.get(Database)
        with database.write() if writes else database.read() as tx:
            return work(tx)

    return await asyncio.to_thread(run)


def _number(text: str) -> int:
    given = Given("path", {"package_id": text})
    number = given.integer("package_id")
    given.check()
    return number
