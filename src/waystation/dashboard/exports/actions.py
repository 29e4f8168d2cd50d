"""What the form of the exports' page does."""

from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation import telemetry
from waystation.dashboard.exports import pages as views
from waystation.homes import HomeViewer
from waystation.kernel import pages
from waystation.kernel.errors import Invalid
from waystation.kernel.routes import Now, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]
From = Annotated[str, Form(alias="from")]


@router.post("/exports")
def order(
    request: Request,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    device: Text = "",
    from_: From = "",
    format: Annotated[telemetry.exports.Format, Form()] = telemetry.exports.Format.CSV,  # noqa: A002
    tz: Text = "",
) -> Response:
    keys = (device,) if device else ()
    try:
        asked = telemetry.exports.Asked(keys, (), (from_, "now"), format, tz.strip())
        number = telemetry.exports.place(tx, me.home_id, asked, now)
    except Invalid as wrong:
        draft = {"device": device, "from": from_, "format": format, "tz": tz}
        return views.form_page(request, me, tx, draft=draft, fault=wrong.sentence)
    return pages.go(f"/exports/{number}")
