"""What to export, and how far an export has got."""

from collections.abc import Mapping

from fastapi import Request
from starlette.responses import Response

from waystation import devices, telemetry
from waystation.homes import HomeViewer, Membership
from waystation.kernel import db
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings
from waystation.kernel.site import public_url

router = Router(include_in_schema=False)
RANGES = {"-1d": "Last day", "-7d": "Last 7 days", "-30d": "Last 30 days", "-365d": "Last year", "": "Everything"}
FORMS = {
    "csv": "CSV, one row per value",
    "csv-wide": "CSV, one row per moment, one column per metric",
    "ndjson": "NDJSON, one object per value",
    "parquet": "Parquet, one row per value, for data tools",
}


@router.get("/exports")
def show_form(request: Request, me: HomeViewer, tx: Tx, device: str = "") -> Response:
    return form_page(request, me, tx, draft={"device": device, "from": "-30d", "format": "csv"})


@router.get("/exports/{export_id}")
def show_export(request: Request, export_id: int, me: HomeViewer, tx: Tx, now: Now) -> Response:
    row = telemetry.exports.find(tx, me.home_id, export_id)
    export = telemetry.exports.shown(row, now)
    url = public_url(request.app.state.parts.get(Settings)) + export["content"]
    return request.app.state.parts.get(Pages).html(
        request, "dashboard/export.html", export=export, form=FORMS[export["format"]], url=url, at=row.created_at
    )


def form_page(request: Request, me: Membership, tx: db.Tx, *, draft: Mapping[str, str], fault: str = "") -> Response:
    found = devices.search(tx, me.home_id, "", most=10_000)
    shown = {"devices": found, "ranges": RANGES, "kinds": FORMS, "draft": draft, "fault": fault}
    return request.app.state.parts.get(Pages).html(
        request, "dashboard/exports.html", status=400 if fault else 200, **shown
    )
