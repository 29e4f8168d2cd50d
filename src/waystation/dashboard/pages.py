"""Devices with what they last said, one device, and how the hub itself is."""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import JSONResponse, Response

from waystation import devices, homes, telemetry, web
from waystation.dashboard import system
from waystation.dashboard.boards import service as boards
from waystation.devices import CredentialKind, Device, NewClaim, Offer, Provisioned, Wanted
from waystation.homes import HomeViewer, Membership, Operator, Role
from waystation.kernel import db, pages, qr, status
from waystation.kernel.clock import from_micros
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(include_in_schema=False)
ON_A_PAGE = 50
RAW_ROWS = 24
NEW = timedelta(hours=1)
KINDS = {
    CredentialKind.API_KEY: "API key",
    CredentialKind.PRE_SHARED_TOKEN: "Pre-shared token",
    CredentialKind.CLIENT_SECRET: "Client secret",
    CredentialKind.REFRESH_TOKEN: "Refresh token",
}
DONE = {
    "revoked": "The credential is revoked; what used it is disconnected.",
    "renamed": "Saved.",
    "disabled": "The device is disabled and disconnected.",
    "enabled": "The device may connect again.",
    "approved": "The device is approved.",
    "rejected": "The device is rejected and deleted.",
    "withdrawn": "The registration is withdrawn; its line opens nothing any more.",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a page, by whom and when."""

    request: Request
    me: Membership
    tx: db.Tx
    now: datetime

    @property
    def settings(self) -> Settings:
        return self.request.app.state.parts.get(Settings)

    def html(self, template: str, **context: Any) -> Response:
        offline_after = self.settings.online_seconds
        may_manage = self.me.role >= Role.ADMIN
        return pages_of(self.request).html(
            self.request, template, offline_after_seconds=offline_after, may_manage=may_manage, **context
        )


@router.get("/")
def start(request: Request, me: homes.Visitor, tx: Tx) -> Response:
    """The dashboard that the person or the home has chosen as its first page, else the devices. Programs are told what
    this is.
    """
    if not pages.prefers_html(request):
        return JSONResponse(status.card())
    if me is None or me.person_id is None:
        return pages.to_sign_in(request)
    mine = [home for home, _ in homes.homes_of(tx, me.person_id)]
    if not mine:
        return pages.go("/homes")
    shown = next((home for home in mine if home.id == me.home_id), mine[0])
    board = boards.start(tx, shown.id, me.person_id)
    return pages.go(f"/boards/{board}" if board else "/devices")


@router.get("/devices")
def show_devices(
    request: Request,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    q: str = "",
    after: Annotated[int, Query(ge=0)] = 0,
    done: str = "",
) -> Response:
    return devices_page(Asked(request, me, tx, now), q=q[:100], after=after, notice=DONE.get(done))


def devices_page(
    asked: Asked,
    *,
    q: str = "",
    after: int = 0,
    notice: str | None = None,
    errors: dict[str, str] | None = None,
    draft: dict[str, Any] | None = None,
) -> Response:
    found = devices.search(asked.tx, asked.me.home_id, q, most=10_000)
    page = found[after : after + ON_A_PAGE]
    values = _last_values(asked.tx, page)
    whole = found if not q else devices.search(asked.tx, asked.me.home_id, "", most=10_000)
    return asked.html(
        "dashboard/devices.html",
        status=400 if errors else 200,
        devices=[_shown(asked, device, values.get(device.id, [])) for device in page],
        q=q,
        counts=_counts(asked, whole),
        pager=_pager(q, after, len(found)),
        models=sorted({device.model for device in whole if device.model}),
        offers_board=bool(whole) and boards.start(asked.tx, asked.me.home_id, asked.me.user_id) is None,
        registrations=devices.open_registrations(asked.tx, asked.me.home_id, asked.now),
        notice=notice,
        errors=errors or {},
        draft=draft or {},
    )


@router.get("/devices/{key}")
def show_device(
    request: Request,
    key: str,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    metric: str = "",
    before: int | None = None,
    done: str = "",
) -> Response:
    asked = Asked(request, me, tx, now)
    return device_page(asked, devices.find(tx, me.home_id, key), metric=metric, before=before, notice=DONE.get(done))


def device_page(
    asked: Asked,
    device: Device,
    *,
    metric: str = "",
    before: int | None = None,
    notice: str | None = None,
    errors: dict[str, str] | None = None,
    draft: dict[str, str] | None = None,
) -> Response:
    values = _last_values(asked.tx, [device]).get(device.id, [])
    numeric = [value["metric"] for value in values if value["kind"] == "number"]
    return asked.html(
        "dashboard/device.html",
        status=400 if errors else 200,
        device=_shown(asked, device, values),
        tags=devices.tags.tags_of(asked.tx, device.id),
        charts=web.chart_groups(numeric),
        raw=_raw(asked, device, metric, before=before) | {"metrics": sorted({value["metric"] for value in values})},
        credentials=[asdict(credential) for credential in devices.credentials(asked.tx, device.id)],
        chart_range="15m" if asked.now - device.created_at < NEW else "1h",
        fault=asked.request.app.state.parts.get(telemetry.Ingest).faults.get(device.key),
        notice=notice,
        errors=errors or {},
        draft=draft or {},
    )


@router.get("/system")
def show_system(request: Request, me: Operator, tx: Tx, now: Now) -> Response:
    del me
    facts = system.facts(request.app.state.parts, tx, now)
    return pages_of(request).html(request, "dashboard/system.html", system=facts, errors=system.last_warnings())


def secret_page(request: Request, made: Provisioned) -> Response:
    settings: Settings = request.app.state.parts.get(Settings)
    url = public_url(settings)
    mqtt = (
        {"host": request.url.hostname, "port": settings.mqtt_port, "username": made.key} if settings.mqtt_port else None
    )
    code = qr.svg(f'{{"server":"{url}","serial":"{made.serial}","api_key":"{made.api_key}"}}')
    shown: dict[str, Any] = {
        "api_key": made.api_key,
        "kind": KINDS[made.kind],
        "server_url": url,
        "mqtt": mqtt,
        "qr": code,
    }
    return pages_of(request).html(request, "dashboard/secret.html", device=made, **shown)


def claim_page(request: Request, claim: NewClaim, device: Device | None) -> Response:
    url = public_url(request.app.state.parts.get(Settings))
    code = qr.svg(f'{{"server":"{url}","code":"{claim.code}"}}')
    return pages_of(request).html(request, "dashboard/claim.html", claim=claim, device=device, server_url=url, qr=code)


def registration_page(request: Request, offer: Offer, wanted: Wanted) -> Response:
    shown: dict[str, Any] = {"offer": offer, "device": wanted.device, "qr": qr.svg(offer.line)}
    choices = {"trial": wanted.is_on_trial, "approved": wanted.is_approved}
    return pages_of(request).html(request, "dashboard/registration.html", **shown, **choices)


def pages_of(request: Request) -> Pages:
    return request.app.state.parts.get(Pages)


def _shown(asked: Asked, device: Device, values: list[dict[str, Any]]) -> dict[str, Any]:
    return {**asdict(device), "state": device.presence(asked.now, asked.settings.online_seconds), "values": values}


def _last_values(tx: db.Tx, found: list[Device]) -> dict[int, list[dict[str, Any]]]:
    shown: dict[int, list[dict[str, Any]]] = {}
    for last in telemetry.last_values(tx, [device.id for device in found]):
        shown.setdefault(last.series.device_id, []).append(_row(last.series, last.stamp, last.value))
    return shown


def _row(series: telemetry.Series, stamp: int, value: Any) -> dict[str, Any]:
    value = bool(value) if series.kind is telemetry.Kind.BOOLEAN else value
    at = from_micros(telemetry.at_of(stamp))
    return {"metric": series.metric, "kind": series.kind.name.lower(), "value": value, "at": at}


def _counts(asked: Asked, whole: list[Device]) -> dict[str, int]:
    states = [device.presence(asked.now, asked.settings.online_seconds) for device in whole]
    return {"total": len(whole), **{state: states.count(state) for state in ("online", "offline", "disabled", "never")}}


def _pager(q: str, after: int, total: int) -> dict[str, str | None] | None:
    if total <= ON_A_PAGE:
        return None
    link = f"/devices?q={q}&after="
    return {
        "text": f"{after + 1}–{min(after + ON_A_PAGE, total)} of {total}",
        "previous": f"{link}{max(0, after - ON_A_PAGE)}" if after else None,
        "next": f"{link}{after + ON_A_PAGE}" if after + ON_A_PAGE < total else None,
    }


def _raw(asked: Asked, device: Device, metric: str, *, before: int | None) -> dict[str, Any]:
    """The newest readings, older ones by the pager; `before` is the stamp that the page before ended at."""
    series = {one.id: one for one in telemetry.series_of(asked.tx, [device.id], {metric} if metric else None)}
    last = telemetry.LATEST if before is None else before - 1
    runs = telemetry.newest(asked.tx, list(series), telemetry.EARLIEST, last, limit=RAW_ROWS + 1)
    found = [
        (int(stamp), series[number], value)
        for number, run in runs.items()
        for stamp, value in zip(run.stamps, run.values, strict=True)
    ]
    found.sort(key=lambda row: (-row[0], row[1].metric))
    page = _whole_moments(found)
    here = f"/devices/{device.key}?metric={metric}"
    older = f"{here}&before={page[-1][0]}#raw" if len(page) < len(found) else None
    newest = f"{here}#raw" if before is not None else None
    pager = {"text": "", "previous": newest, "next": older} if older or newest else None
    return {"metric": metric, "rows": [_row(one, stamp, value) for stamp, one, value in page], "pager": pager}


def _whole_moments(found: list[tuple[int, telemetry.Series, Any]]) -> list[tuple[int, telemetry.Series, Any]]:
    """A page's worth of rows, with all rows of its last moment, so that the next page begins at another one."""
    if len(found) <= RAW_ROWS:
        return found
    last = found[RAW_ROWS - 1][0]
    return [row for row in found if row[0] >= last]
