"""Commands for people and programs: everybody of the home sees them, users send, cancel and send again."""

from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from waystation import devices
from waystation.commands import sending, service, store
from waystation.commands.model import MOST_AHEAD, Command, Event, NewCommand, State
from waystation.commands.sending import MOST_TARGETS, Progress, Targets
from waystation.commands.socket import Sockets
from waystation.commands.store import Batch
from waystation.devices import Gate, TheDevice
from waystation.homes import HomeUser, HomeViewer
from waystation.kernel import db
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, Router, Tx

router = Router(tags=["commands"])

MOST = 500
LISTED = 100  # commands that the answer to a new batch names one by one
Text = Annotated[str, Field(max_length=200)]


class To(BaseModel):
    """One of these: devices by key or serial, all of a model, all with a tag, or all of the home."""

    model_config = ConfigDict(extra="forbid")

    devices: Annotated[list[Text], Field(max_length=MOST_TARGETS)] = []
    model: Text = ""
    tag: Text = ""
    home: bool = False


class Wish(BaseModel):
    """A command. Without `expires_in_seconds` it waits until it is taken or cancelled."""

    model_config = ConfigDict(extra="forbid")

    to: To
    name: Text
    parameters: dict[str, Any] | None = None
    priority: Annotated[int, Field(ge=0, le=9)] = 4
    expires_in_seconds: Annotated[float, Field(gt=0, le=MOST_AHEAD.total_seconds(), allow_inf_nan=False)] | None = None
    not_before: datetime | None = None
    once: bool = False
    idempotency_key: Text = ""

    def wanted(self, now: datetime) -> NewCommand:
        seconds, begins = self.expires_in_seconds, _in_utc(self.not_before)
        return NewCommand(
            self.name,
            self.parameters,
            self.priority,
            expires_at=None if seconds is None else now + timedelta(seconds=seconds),
            not_before=None if begins is None or begins <= now else begins,
            once=self.once,
            idempotency_key=self.idempotency_key,
        )


def _in_utc(at: datetime | None) -> datetime | None:
    """A time without a zone is UTC."""
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


# Commands.


@router.post("/api/commands", summary="Send a command to one device or to many", status_code=201)
def send(wanted: Wish, me: HomeUser, tx: Tx, now: Now) -> Response:
    """One batch, whose `progress` lives on at `/api/batches/{id}`. The same `idempotency_key` again is the same batch.

    Devices for which a hundred commands wait are left out and named; when they all are, the answer is 429.
    """
    to = Targets(wanted.to.devices, wanted.to.model, wanted.to.tag, home=wanted.to.home)
    made = sending.send_to_many(tx, me.actor, me.home_id, now, to=to, wanted=wanted.wanted(now))
    return _json(shown_made(tx, made), 201)


@router.get("/api/commands", summary="Commands of the home, newest first")
def commands(
    me: HomeViewer,
    tx: Tx,
    device: Text = "",
    state: State | None = None,
    name: Text = "",
    batch: Text = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    before: int | None = None,
) -> Response:
    """`next` is the `before` of the next page; null when this is the last."""
    device_id = devices.find_any(tx, me.home_id, device).id if device else None
    wanted = store.Wanted(me.home_id, device_id, () if state is None else (state,), name=name, batch_uid=batch)
    found = store.newest(tx, wanted, before=before, most=limit + 1)
    more = found[limit - 1].number if len(found) > limit else None
    return _json({"commands": shown_all(tx, found[:limit]), "next": more})


@router.get("/api/commands/{uid}", summary="One command with its history")
def command(uid: str, me: HomeViewer, tx: Tx) -> Response:
    found = service.find(tx, me.home_id, uid)
    (shown,) = shown_all(tx, [found])
    return _json({**shown, "history": [shown_event(one) for one in store.events(tx, found.number)]})


@router.post("/api/commands/{uid}/cancel", summary="Do not hand a command out any more")
def cancel(uid: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    cancelled = service.cancel(tx, me.actor, service.find(tx, me.home_id, uid), now)
    return _json(shown_all(tx, [cancelled])[0])


@router.post("/api/commands/{uid}/retry", summary="Send a command again that was not done", status_code=201)
def retry(uid: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    """A new command for the same device; asked twice, it is the same new one."""
    again = sending.retry(tx, me.actor, service.find(tx, me.home_id, uid), now)
    return _json(shown_all(tx, [again])[0], 201)


# Batches.


@router.get("/api/batches", summary="Batches of commands, newest first")
def batches(me: HomeViewer, tx: Tx, limit: Annotated[int, Query(ge=1, le=MOST)] = 50, before: Text = "") -> Response:
    """`next` is the `before` of the next page; null when this is the last."""
    found = store.batches(tx, me.home_id, before=before, most=limit + 1)
    progress = sending.progress(tx, found)
    shown = [shown_batch(one, progress[one.uid]) for one in found[:limit]]
    return _json({"batches": shown, "next": found[limit - 1].uid if len(found) > limit else None})


@router.get("/api/batches/{uid}", summary="How far a batch has got")
def batch(uid: str, me: HomeViewer, tx: Tx) -> Response:
    found = sending.find_batch(tx, me.home_id, uid)
    return _json(shown_batch(found, sending.progress(tx, [found])[uid]))


@router.post("/api/batches/{uid}/cancel", summary="Cancel what has not ended of a batch")
def cancel_batch(uid: str, me: HomeUser, tx: Tx, now: Now) -> dict[str, int]:
    return {"cancelled": sending.cancel_batch(tx, me.actor, sending.find_batch(tx, me.home_id, uid), now)}


@router.post("/api/batches/{uid}/retry", summary="Send again what was not done of a batch", status_code=201)
def retry_batch(uid: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    """A new batch of the devices that failed, rejected, let expire or were cancelled."""
    made = sending.retry_batch(tx, me.actor, sending.find_batch(tx, me.home_id, uid), now)
    return _json(shown_made(tx, made), 201)


# Devices over a WebSocket.


@router.websocket("/api/commands/socket")
async def socket(websocket: WebSocket, device: TheDevice) -> None:
    """Commands out and outcomes in, for as long as both like."""
    parts: Parts = websocket.app.state.parts
    proof = websocket.headers["authorization"].encode("latin-1")
    await websocket.accept()
    await parts.get(Sockets).converse(device, SocketLine(websocket), lambda: parts.get(Gate).known(proof) is not None)


class SocketLine:
    """The framework's WebSocket as commands need it."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def say(self, body: bytes) -> bool:
        try:
            await self._websocket.send_text(body.decode())
        except (WebSocketDisconnect, RuntimeError):
            return False
        return True

    async def hear(self) -> str | None:
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        return message.get("text") or (message.get("bytes") or b"").decode(errors="replace")

    async def close(self, code: int) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # it has hung up itself
            await self._websocket.close(code)


# As they are shown.


def shown_all(tx: db.Tx, found: list[Command]) -> list[dict[str, Any]]:
    names = devices.placed(tx, {one.device_id for one in found})
    return [_shown(one, names[one.device_id].name) for one in found]


def _shown(one: Command, device_name: str) -> dict[str, Any]:
    facts = asdict(one)
    kept = {name: fact for name, fact in facts.items() if name not in RENAMED}
    about = {"id": one.uid, "device": one.device_key, "device_name": device_name}
    return {**about, **kept, "once": one.is_once, "batch": one.batch_uid}


RENAMED = frozenset({"number", "uid", "home_id", "device_id", "device_key", "is_once", "batch_uid"})


def shown_event(one: Event) -> dict[str, Any]:
    return asdict(one)


def shown_batch(one: Batch, progress: Progress) -> dict[str, Any]:
    facts = {name: fact for name, fact in asdict(one).items() if name not in ("uid", "home_id", "target")}
    return {"id": one.uid, **facts, "to": one.target, "progress": asdict(progress), "is_over": progress.is_over}


def shown_made(tx: db.Tx, made: Batch) -> dict[str, Any]:
    """With its commands, while they are few."""
    shown = shown_batch(made, sending.progress(tx, [made])[made.uid])
    if made.total > LISTED:
        return shown
    found = store.newest(tx, store.Wanted(made.home_id, batch_uid=made.uid), most=LISTED)[::-1]
    return {**shown, "commands": [{"id": one.uid, "device": one.device_key, "state": one.state} for one in found]}


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
