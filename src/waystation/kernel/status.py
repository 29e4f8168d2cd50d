"""Whether this process lives and can serve, and its counters: for load balancers, probes and Prometheus."""

from typing import Any

import sqlalchemy as sa
import structlog
from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from waystation.kernel.clock import Clock, iso
from waystation.kernel.db import Database
from waystation.kernel.errors import Unauthenticated, Unavailable
from waystation.kernel.parts import Parts
from waystation.kernel.routes import PartsOf, Router
from waystation.kernel.secrets import same
from waystation.kernel.settings import Settings

log = structlog.get_logger(__name__)
SELECT_ONE = sa.select(1)
router = Router(tags=["status"])


@router.get("/health")
@router.get("/health/", include_in_schema=False)
@router.get("/api/health", include_in_schema=False)
@router.get("/api/health/", include_in_schema=False)
def health(parts: PartsOf) -> dict[str, Any]:
    """Always 200; what is wrong stands in the body, in the words of all dialects (contracts, shared paths)."""
    works = database_works(parts)
    return {
        "status": "ok",
        "message": "backend alive",
        "database": "ok" if works else "error",
        "ready": works,
        "timestamp": iso(parts.get(Clock).now()),
    }


def card() -> dict[str, Any]:
    """What a program is told at `/`, in DropSync's words (contracts, shared paths)."""
    return {
        "project": "DropSync",
        "version": "1.0.0",
        "description": "Offline hub for devices, served by Waystation",
        "status": "online",
        "endpoints": {"dashboard": "/dashboard", "api_docs": "/api/v1/docs", "api_v1": "/api/v1"},
    }


@router.get("/health/healthz")
async def alive() -> dict[str, str]:
    """200 while the process answers at all."""
    return {"status": "ok"}


@router.get("/health/readyz")
def ready(parts: PartsOf) -> dict[str, str]:
    """200 while requests can be served, else 503."""
    if not database_works(parts):
        raise Unavailable("the database does not answer", retry_after_seconds=2)
    return {"status": "ok"}


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request, parts: PartsOf) -> Response:
    """Open, unless the owner has set a token for it."""
    token = parts.get(Settings).metrics_token.get_secret_value()
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token and not (scheme.lower() == "bearer" and same(given.strip(), token)):
        raise Unauthenticated("the metrics need their token, as `Authorization: Bearer`")
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def database_works(parts: Parts) -> bool:
    try:
        with parts.get(Database).read() as tx:
            return tx.scalar(SELECT_ONE) == 1
    except Exception as fault:  # noqa: BLE001  any fault is the answer "no"
        log.warning("the database does not answer", fault=repr(fault))
        return False
