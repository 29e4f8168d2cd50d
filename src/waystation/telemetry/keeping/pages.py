"""The page of what is stored, and the operator's page of plans."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from waystation import devices
from waystation.homes import HomeAdmin, Membership, Operator
from waystation.kernel import db
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings
from waystation.telemetry.keeping import disk, service, shown, store
from waystation.telemetry.keeping.model import ALL_PHRASE, BUILT_IN, RANGE_PHRASE

router = Router(include_in_schema=False)
MOST_DEVICES = 1000
SHOWN_DEVICES = 100
DONE = {
    "count": "Counting anew; the figures follow within seconds.",
    "retention": "Saved. What is older goes within the next hours, a little at a time.",
    "rule": "The rule is deleted.",
    "deleting": "The deletion has begun.",
    "cancelled": "Cancelled. What was deleted already is gone; the rest stays.",
    "plan": "Saved. It counts within seconds.",
    "given": "They have that plan now.",
    "plan-deleted": "The plan is deleted, or as it was at first.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page, and when."""

    request: Request
    tx: db.Tx
    now: datetime

    def html(self, template: str, **context: Any) -> Response:
        pages: Pages = self.request.app.state.parts.get(Pages)
        return pages.html(self.request, f"keeping/{template}", **context)


@router.get("/data")
def show_storage(request: Request, me: HomeAdmin, tx: Tx, now: Now, done: str = "") -> Response:
    return storage_page(Asked(request, tx, now), me, notice=DONE.get(done))


def storage_page(
    asked: Asked,
    me: Membership,
    *,
    notice: str | None = None,
    error: str | None = None,
    failed: str = "",
    draft: dict[str, str] | None = None,
) -> Response:
    """`failed` is the form whose `draft` was refused, and why is `error`."""
    settings: Settings = asked.request.app.state.parts.get(Settings)
    tx, looked = asked.tx, disk.look(settings.data)
    usage = service.usage(tx, me.home_id, asked.now)
    known = devices.search(tx, me.home_id, "", MOST_DEVICES)
    deletions = [
        {"row": row, "state": shown.state(row), **shown.deletion(row)}
        for row in store.deletions(tx, me.home_id, most=5)
    ]
    return asked.html(
        "storage.html",
        status=400 if error else 200,
        usage=usage,
        shown=usage.devices[:SHOWN_DEVICES],
        disk=looked,
        disk_forecast=service.disk_forecast(tx, looked, asked.now),
        is_whole_site=not settings.many_homes,
        database=disk.file_of(tx) if not settings.many_homes else None,
        rules=store.rules(tx, me.home_id),
        round=store.round_now(tx),
        devices=known,
        names={device.id: device.name for device in known},
        models=sorted({device.model for device in known if device.model}),
        deletions=deletions,
        is_deleting=any(one["state"] == "running" for one in deletions),
        phrases={"all": ALL_PHRASE, "range": RANGE_PHRASE},
        notice=notice,
        error=error,
        failed=failed,
        draft=draft or {},
    )


@router.get("/admin/plans")
def show_plans(request: Request, me: Operator, tx: Tx, now: Now, done: str = "") -> Response:
    del me
    return plans_page(Asked(request, tx, now), notice=DONE.get(done))


def plans_page(
    asked: Asked,
    *,
    notice: str | None = None,
    error: str | None = None,
    failed: str = "",
    draft: dict[str, str] | None = None,
) -> Response:
    return asked.html(
        "plans.html",
        status=400 if error else 200,
        plans=list(store.plans(asked.tx).values()),
        built_in=BUILT_IN,
        default=store.default_name(asked.tx),
        owners=service.subscribers(asked.tx),
        notice=notice,
        error=error,
        failed=failed,
        draft=draft or {},
    )
