"""What the console's forms do; each is one transaction, each answer a page or the way to one."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation import commands, devices
from waystation.dashboard.console import pages
from waystation.dashboard.console.form import Draft
from waystation.dashboard.console.pages import Asked
from waystation.homes import HomeUser, Membership
from waystation.kernel import db
from waystation.kernel.errors import Conflict, Invalid, NotFound, TooMany
from waystation.kernel.pages import go, read_form
from waystation.kernel.routes import Now, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(read_form)])
Text = Annotated[str, Form()]


@router.post("/commands")
def send(
    request: Request,
    me: HomeUser,
    tx: Tx,
    now: Now,
    to: Text = "",
    name: Text = "",
    parameters: Text = "",
    priority: Text = "4",
    lifetime: Text = "",
    once: Text = "",
) -> Response:
    """`once` is made anew for every form that is shown, so that a second press sends nothing twice."""
    draft = Draft(to, name, parameters, priority, lifetime)
    try:
        return go(f"{_sent(tx, me, now, draft, key=f'form:{once}' if once else '')}?done=sent")
    except (Invalid, Conflict, NotFound, TooMany) as fault:
        return pages.console_page(Asked(request, me, tx, now), draft=draft, errors={"form": fault.sentence})


def _sent(tx: db.Tx, me: Membership, now: datetime, draft: Draft, *, key: str) -> str:
    """Where it can be watched."""
    to, wanted = draft.targets(), draft.command(now, key)
    if to.devices:
        device = devices.find(tx, me.home_id, to.devices[0])
        return f"/commands/{commands.send(tx, me.actor, device.id, now, home_id=me.home_id, wanted=wanted).uid}"
    return f"/commands/batches/{commands.send_to_many(tx, me.actor, me.home_id, now, to=to, wanted=wanted).uid}"


@router.post("/commands/{uid}/cancel")
def cancel(uid: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    command = commands.find(tx, me.home_id, uid)
    commands.cancel(tx, me.actor, command, now)
    return go(f"/commands/{command.uid}?done=cancelled")


@router.post("/commands/{uid}/retry")
def retry(uid: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    again = commands.retry(tx, me.actor, commands.find(tx, me.home_id, uid), now)
    return go(f"/commands/{again.uid}?done=again")


@router.post("/commands/batches/{uid}/cancel")
def cancel_batch(uid: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    batch = commands.find_batch(tx, me.home_id, uid)
    commands.cancel_batch(tx, me.actor, batch, now)
    return go(f"/commands/batches/{batch.uid}?done=cancelled")


@router.post("/commands/batches/{uid}/retry")
def retry_batch(uid: str, me: HomeUser, tx: Tx, now: Now) -> Response:
    again = commands.retry_batch(tx, me.actor, commands.find_batch(tx, me.home_id, uid), now)
    return go(f"/commands/batches/{again.uid}?done=again")
