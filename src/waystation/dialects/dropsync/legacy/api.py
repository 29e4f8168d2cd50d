"""`/upload/{id}` and `/send-command/{id}`: posts of a browser that may hold our login, or of a script with a token."""

from fastapi import Request
from starlette.responses import Response

from waystation.dialects.dropsync import service, wire
from waystation.dialects.dropsync.admin.api import queue
from waystation.dialects.dropsync.edge import GivenFields, LegacyRoute, json, served
from waystation.dialects.dropsync.exchange import uploads
from waystation.dialects.dropsync.exchange.access import AdminOrNobody, LegacyProver
from waystation.dialects.dropsync.exchange.api import in_thread
from waystation.files import Sender
from waystation.homes import Membership
from waystation.kernel.audit import Actor
from waystation.kernel.clock import Clock
from waystation.kernel.db import Tx
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.routes import PartsOf, Router

router = Router(tags=["dropsync"], route_class=LegacyRoute)


@served(router, "POST", "/upload/{device_id}")
async def upload(
    request: Request, device_id: str, me: AdminOrNobody, *, prove: LegacyProver, parts: PartsOf
) -> Response:
    arriving = uploads.Arriving(request, parts)
    if me is not None:
        device = await in_thread(parts, lambda tx: service.find(tx, me.home_id, device_id))
        kept = await arriving.kept_for(Sender(me.home_id, me.actor, device.id, device.key))
    else:
        try:
            kept = await arriving.kept(lambda given: prove(device_id, given))
        except wire.Unprocessable as fault:
            if any(one["loc"][-1] == "token" for one in fault.detail):
                raise Unauthenticated("Not authenticated") from fault
            raise
    return json({"status": "uploaded", "device": device_id, "file": kept.file.name})


@served(router, "POST", "/send-command/{device_id}")
async def send_command(
    device_id: str, given: GivenFields, me: AdminOrNobody, *, prove: LegacyProver, parts: PartsOf
) -> Response:
    """Who has a login needs no token; who has the device's token needs no login."""
    name = given.text("command").strip()
    home_id, by = await _sender(me, prove, device_id, wire.Given(wire.BODY, given.fields, given.wrong))

    def work(tx: Tx) -> int:
        device = service.find(tx, home_id, device_id)
        return queue(tx, by, device, parts.get(Clock).now(), name=name).number

    number = await in_thread(parts, work, writes=True)
    return json({"status": "queued", "command": name, "command_id": number})


async def _sender(me: Membership | None, prove: LegacyProver, device_id: str, given: wire.Given) -> tuple[int, Actor]:
    if me is not None:
        given.check()
        return me.home_id, me.actor
    device = await prove(device_id, given)
    return device.home_id, Actor(f"device:{device.key}", home_id=device.home_id)
