"""`/api/ping/`: the sign by which scripts know that this dialect is served."""

from fastapi import Response

from waystation.dialects.thermostat.edge import json
from waystation.kernel.routes import Router

router = Router(tags=["thermostat"])


@router.get("/api/ping", summary="Whether this part of the site is there")
@router.get("/api/ping/", include_in_schema=False)
async def ping() -> Response:
    return json({"status": "ok", "message": "api app wired"})
