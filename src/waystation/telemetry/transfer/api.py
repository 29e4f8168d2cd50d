"""Exports over HTTP: as one stream, or ordered, fetched, watched and resumed by number; and back-filling."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa
from fastapi import Header, Query, Request
from starlette.concurrency import iterate_in_threadpool
from starlette.responses import Response, StreamingResponse

from waystation.homes import HomeAdmin, HomeViewer, Membership
from waystation.kernel import audit
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx
from waystation.kernel.settings import Settings
from waystation.telemetry.ingest import Ingest
from waystation.telemetry.model import Row
from waystation.telemetry.transfer import export, orders
from waystation.telemetry.transfer.backfill import Backfill, Outcome, Rules
from waystation.telemetry.transfer.export import Plan, Reached
from waystation.telemetry.transfer.fetch import Exports, Fetch
from waystation.telemetry.transfer.orders import Asked
from waystation.telemetry.transfer.shape import Format

router = Router(tags=["telemetry"])

Names = Annotated[list[str], Query()]
From = Annotated[str, Query(alias="from")]
RangeOf = Annotated[str, Header(alias="range")]
PIECE_BYTES = 262_144


@router.get("/api/export", summary="All readings of a range as one stream, without a limit")
@router.get("/api/export/", include_in_schema=False)
async def stream(
    caller: HomeViewer,
    parts: PartsOf,
    device: Names = [],  # noqa: B006  FastAPI copies it
    metric: Names = [],  # noqa: B006
    from_: From = "",
    to: str = "now",
    format: Format = Format.CSV,  # noqa: A002
    tz: str = "",
    after: str = "",
) -> Response:
    """By device, then metric, then time; `csv-wide` has one row per moment of a device. With `tz`, an IANA zone, the
    local time stands beside UTC. `X-Export` names it at /api/exports, where rows, SHA-256 and a cursor are found.
    Behind a cursor (`after`) come the rows that are missing, without a header.
    """

    def begin() -> tuple[int, Plan]:
        now = parts.get(Clock).now()
        with parts.get(Database).write() as tx:
            wanted = orders.wanted(
                tx, caller.home_id, Asked(tuple(_split(device)), tuple(_split(metric)), (from_, to), format, tz), now
            )
            return export.order(tx, msgspec.structs.replace(wanted, after=after), now)

    number, plan = await asyncio.to_thread(begin)
    return await _streamed(parts, Fetch(number, plan, 0, Reached()))


@router.post("/api/exports", summary="Order an export, to be fetched by its number")
@router.post("/api/exports/", include_in_schema=False)
def order(
    caller: HomeViewer,
    tx: Tx,
    now: Now,
    device: Names = [],  # noqa: B006
    metric: Names = [],  # noqa: B006
    from_: From = "",
    to: str = "now",
    format: Format = Format.CSV,  # noqa: A002
    tz: str = "",
) -> dict[str, Any]:
    """As /api/export, but nothing is read yet. Its rows are those of this moment, however late they are fetched."""
    number = orders.place(
        tx, caller.home_id, Asked(tuple(_split(device)), tuple(_split(metric)), (from_, to), format, tz), now
    )
    return orders.shown(orders.find(tx, caller.home_id, number), now)


@router.get("/api/exports/{export_id}", summary="How far an export has got; at its end rows and SHA-256")
@router.get("/api/exports/{export_id}/", include_in_schema=False)
def show(export_id: int, caller: HomeViewer, tx: Tx, now: Now) -> dict[str, Any]:
    return orders.shown(orders.find(tx, caller.home_id, export_id), now)


@router.get("/api/exports/{export_id}/content", summary="The bytes of an export, from any of them on")
@router.get("/api/exports/{export_id}/content/", include_in_schema=False)
async def content(
    export_id: int,
    caller: HomeViewer,
    parts: PartsOf,
    from_byte: Annotated[int, Query(ge=0)] = 0,
    range_: RangeOf = "",
) -> Response:
    """Go on after a break with `from_byte`, the number of bytes that are there. Once it has been fetched whole its size
    is known, and `Range` is understood too. 409 when readings of the part before have changed since.
    """

    def begin() -> tuple[Fetch, sa.Row[Any]]:
        with parts.get(Database).read() as tx:
            row = orders.find(tx, caller.home_id, export_id)
            reached = Reached(row.bytes, row.sha256, row.is_done)
            return Fetch(row.id, export.plan(tx, export.ordered(row.wanted)), from_byte, reached), row

    fetch, row = await asyncio.to_thread(begin)
    size = row.bytes if row.is_done else None
    asked = re.fullmatch(r"bytes=(\d{1,18})-", range_)
    if size is None or asked is None or from_byte or int(asked[1]) >= size:
        return await _streamed(parts, fetch, size=size)
    fetch = Fetch(fetch.id, fetch.plan, int(asked[1]), fetch.reached)
    return await _streamed(parts, fetch, size=size, is_range=True)


def _split(given: Sequence[str]) -> list[str]:
    return [word for part in given for word in part.split(",") if word]


async def _streamed(parts: Parts, fetch: Fetch, *, size: int | None = None, is_range: bool = False) -> Response:
    if size is not None and fetch.offset > size:
        raise Conflict(f"this export has {size} bytes; there is nothing behind them")
    body = parts.get(Exports).body(fetch)
    begun = await asyncio.to_thread(next, body, b"")  # so that what is wrong is said before the answer begins
    form = fetch.plan.wanted.format
    headers = {
        "content-disposition": f'attachment; filename="readings-{fetch.id}.{form.suffix}"',
        "cache-control": "no-store",
        "x-export": str(fetch.id),
    }
    if size is not None:
        headers |= {"content-length": str(size - fetch.offset), "accept-ranges": "bytes"}
    if size is not None and is_range:
        headers["content-range"] = f"bytes {fetch.offset}-{size - 1}/{size}"
    status = 206 if is_range else 200
    return StreamingResponse(_with(begun, body), status, media_type=form.media_type, headers=headers)


async def _with(begun: bytes, rest: Iterator[bytes]) -> AsyncIterator[bytes]:
    yield begun
    async for part in iterate_in_threadpool(rest):
        yield part


@router.post("/api/import", summary="Back-fill readings from a file of any length: CSV, wide CSV, NDJSON or Parquet")
@router.post("/api/import/", include_in_schema=False)
async def back_fill(
    caller: HomeAdmin,
    parts: PartsOf,
    request: Request,
    device: str = "",
    make_devices: bool = False,  # noqa: FBT001, FBT002
    skip_bad: bool = False,  # noqa: FBT001, FBT002
) -> dict[str, Any]:
    """What is stored already is not stored again. At the first bad line it ends, with what stood well before it stored;
    with `skip_bad` bad lines are left out. `device`, a key or serial, takes the whole file.
    """
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Invalid("a file to import is sent without Content-Encoding")
    ingest, home_id = parts.get(Ingest), caller.home_id
    seconds = parts.get(Settings).max_future_seconds
    rules = Rules(home_id, caller.actor, device, make_devices, skip_bad, max_future_seconds=seconds)

    def may_store() -> None:
        ingest.space.check()
        ingest.quota.check(home_id)

    def stored(device_id: int, rows: Sequence[Row]) -> None:
        ingest.quota.add(home_id, device_id, rows, None)

    database, clock = parts.get(Database), parts.get(Clock)
    filling = Backfill(database, clock, rules, series=ingest.series, may_store=may_store, stored=stored)
    async for part in _pieces(request):
        await asyncio.to_thread(filling.feed, part)
    outcome = await asyncio.to_thread(filling.finish)
    await asyncio.to_thread(_note_import, parts, caller, outcome)
    return asdict(outcome) | {"refusals": [bad._asdict() for bad in outcome.refusals]}


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes, in pieces worth a thread's while."""
    waiting: list[bytes] = []
    size = 0
    async for part in request.stream():
        waiting.append(part)
        size += len(part)
        if size >= PIECE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _note_import(parts: Parts, caller: Membership, outcome: Outcome) -> None:
    counts = {"stored": outcome.stored, "duplicates": outcome.duplicates, "refused": outcome.refused}
    with parts.get(Database).write() as tx:
        now = parts.get(Clock).now()
        audit.note(tx, caller.actor, "imported readings", f"home:{caller.home_id}", now=now, **counts)
