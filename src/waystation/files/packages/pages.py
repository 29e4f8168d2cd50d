"""Sync packages as pages: what is in them, for whom they are staged, and what each device says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from starlette.responses import Response

from waystation import devices
from waystation.files import store as files
from waystation.files.packages import service, shown, store
from waystation.files.packages.model import Kind, Package
from waystation.files.store import Wanted
from waystation.homes import HomeViewer, Membership
from waystation.kernel import db
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False)
ON_A_PAGE = 50
MOST_MEMBERS = 200
MOST_CHOICES = 200
MOST_DEVICES = 500
NOTHING_TYPED: Mapping[str, str] = {"name": "", "kind": Kind.CONFIG, "version": "", "about": ""}
DONE = {
    "made": "The package is made. Put files into it, then stage it.",
    "put": "The file is in the package.",
    "taken": "The file is out of the package.",
    "staged": "Staged. Each device says below how it goes.",
    "cancelled": "Cancelled.",
    "deleted": "The package is deleted.",
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
        return pages.html(self.request, f"files/{template}", status=status, me=self.me, **context)


@router.get("/packages")
def show_packages(
    request: Request, me: HomeViewer, tx: Tx, now: Now, before: int | None = None, done: str = ""
) -> Response:
    return packages_page(Asked(request, me, tx, now), before=before, notice=DONE.get(done))


def packages_page(
    asked: Asked,
    *,
    before: int | None = None,
    notice: str | None = None,
    error: str | None = None,
    draft: Mapping[str, str] = NOTHING_TYPED,
) -> Response:
    found = store.of_home(asked.tx, asked.me.home_id, before=before, most=ON_A_PAGE + 1)
    older = f"/packages?before={found[ON_A_PAGE - 1].id}" if len(found) > ON_A_PAGE else None
    pager = {"text": "", "previous": "/packages" if before is not None else None, "next": older}
    return asked.html(
        "packages.html",
        status=400 if error else 200,
        rows=shown.facts(asked.tx, found[:ON_A_PAGE]),
        pager=pager if older or before is not None else None,
        address="/packages" if before is None else f"/packages?before={before}",
        kinds=list(Kind),
        notice=notice,
        error=error,
        draft=draft,
    )


@router.get("/packages/{package_id}")
def show_package(request: Request, package_id: str, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    asked = Asked(request, me, tx, now)
    return package_page(asked, service.find(tx, me.home_id, package_id), notice=DONE.get(done))


def package_page(asked: Asked, package: Package, *, notice: str | None = None, error: str | None = None) -> Response:
    tx, home_id = asked.tx, asked.me.home_id
    known = devices.search(tx, home_id, "", MOST_DEVICES)
    return asked.html(
        "package.html",
        status=400 if error else 200,
        package=package,
        facts=shown.facts(tx, [package])[0],
        members=store.members(tx, package.id, most=MOST_MEMBERS),
        deliveries=shown.deliveries(tx, package),
        files=files.newest(tx, Wanted(home_id), most=MOST_CHOICES),
        devices=known,
        models=sorted({one.model for one in known if one.model}),
        tags=list(devices.tags.tags_of_home(tx, home_id)),
        most_bytes=asked.request.app.state.parts.get(Settings).max_file_bytes,
        notice=notice,
        error=error,
    )
