"""Send commands, and watch them: what moves now, what was, one command with its history, one batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from waystation import commands, devices
from waystation.commands import Batch, Command, State
from waystation.dashboard.console import form, words
from waystation.homes import HomeViewer, Membership
from waystation.kernel import db
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx

router = Router(include_in_schema=False)
ON_A_PAGE = 30
MOST_BATCHES = 10
MOST_DEVICES = 1000
MOST_SHOWN = 500
DONE = {
    "sent": "Sent. What becomes of it shows below by itself.",
    "cancelled": "Cancelled: it is not handed out any more.",
    "again": "Sent again.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page, by whom and when."""

    request: Request
    me: Membership
    tx: db.Tx
    now: datetime

    def html(self, template: str, *, status: int = 200, **context: Any) -> Response:
        pages: Pages = self.request.app.state.parts.get(Pages)
        shown = {"me": self.me, "states": words.STATES, "looks": words.LOOKS, **context}
        return pages.html(self.request, f"console/{template}", status=status, **shown)


@router.get("/commands")
def show_console(
    request: Request,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    device: str = "",
    state: str = "",
    before: int | None = None,
    done: str = "",
) -> Response:
    asked = Asked(request, me, tx, now)
    return console_page(asked, device=device[:64], state=state, before=before, notice=DONE.get(done))


def console_page(
    asked: Asked,
    *,
    device: str = "",
    state: str = "",
    before: int | None = None,
    notice: str | None = None,
    draft: form.Draft | None = None,
    errors: Mapping[str, str] | None = None,
) -> Response:
    tx, home_id = asked.tx, asked.me.home_id
    of_home = devices.search(tx, home_id, "", MOST_DEVICES)
    wanted = commands.Wanted(
        home_id,
        device_id=next((one.id for one in of_home if one.key == device), None),
        states=[State(state)] if state in set(State) else (),
    )
    found = commands.newest(tx, wanted, before=before, most=ON_A_PAGE + 1)
    batches = commands.batches(tx, home_id, before="", most=MOST_BATCHES) if not (device or state or before) else []
    filters = {"device": device, "state": state}
    return asked.html(
        "console.html",
        status=400 if errors else 200,
        batches=_with_progress(tx, batches),
        commands=found[:ON_A_PAGE],
        moves=any(one.state in commands.OPEN for one in found[:ON_A_PAGE]),
        names={one.id: one.name for one in of_home},
        devices=of_home,
        tags=devices.tags.tags_of_home(tx, home_id),
        models=[one for one in devices.models.all_of(tx, home_id) if one.devices],
        known=_known_names(tx, home_id),
        filters=filters,
        pager=_pager(found, filters, before),
        draft=draft or form.Draft(to=f"device:{device}" if device else ""),
        errors=errors or {},
        priorities=form.PRIORITIES,
        lifetimes=form.LIFETIMES,
        notice=notice,
    )


def _known_names(tx: db.Tx, home_id: int) -> list[str]:
    """What somebody may want to send: of the models' schemas, of this home's history, and what our clients know."""
    of_models = [
        name for one in devices.models.all_of(tx, home_id) for name in (one.command_schema or {}) if name != "*"
    ]
    return list(dict.fromkeys([*commands.names_of(tx, home_id), *of_models, *form.USUAL]))


def _with_progress(tx: db.Tx, batches: Sequence[Batch]) -> list[dict[str, Any]]:
    found = commands.progress(tx, batches)
    return [{"batch": one, "to": target_words(one), **_told(found[one.uid])} for one in batches]


def _told(progress: commands.Progress) -> dict[str, Any]:
    over = progress.total - progress.waiting - progress.delivered
    return {"progress": progress, "over": over, "words": words.in_words(progress)}


def target_words(batch: Batch) -> str:
    target = batch.target
    if target.get("home"):
        return "the whole home"
    if target.get("model"):
        return f"every {target['model']}"
    if target.get("tag"):
        return f"tag {target['tag']}"
    return f"{batch.total} device{'' if batch.total == 1 else 's'}"


def _pager(found: Sequence[Command], filters: Mapping[str, str], before: int | None) -> dict[str, str | None] | None:
    is_last = len(found) <= ON_A_PAGE
    if is_last and before is None:
        return None
    older = {**filters, "before": str(found[ON_A_PAGE - 1].number)} if not is_last else None
    return {
        "text": "",
        "previous": f"/commands?{urlencode(filters)}" if before is not None else None,
        "next": f"/commands?{urlencode(older)}" if older else None,
    }


@router.get("/commands/{uid}")
def show_command(request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    command = commands.find(tx, me.home_id, uid)
    device = devices.by_id(tx, command.device_id)
    return Asked(request, me, tx, now).html(
        "command.html",
        command=command,
        device=device,
        events=commands.events(tx, command.number),
        steps=words.STEPS,
        links=words.LINKS,
        is_open=command.state in commands.OPEN,
        priorities=form.PRIORITIES,
        may_repeat=command.state not in commands.OPEN and command.state is not State.DONE,
        written=form.written,
        notice=DONE.get(done),
    )


@router.get("/commands/batches/{uid}")
def show_batch(request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    batch = commands.find_batch(tx, me.home_id, uid)
    found = commands.newest(tx, commands.Wanted(me.home_id, batch_uid=uid), most=MOST_SHOWN)
    (shown,) = _with_progress(tx, [batch])
    of_home = {one.key: one.name for one in devices.search(tx, me.home_id, "", 10_000)}
    return Asked(request, me, tx, now).html(
        "batch.html",
        **shown,
        commands=sorted(found, key=lambda one: one.number),
        device_names=of_home,
        more=max(0, batch.total - MOST_SHOWN),
        written=form.written,
        notice=DONE.get(done),
    )
