"""What the forms on the pages of storage and of plans do."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation.homes import HomeAdmin, Operator
from waystation.kernel import pages
from waystation.kernel.clock import parse_iso
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.kernel.routes import Now, Router, Tx
from waystation.telemetry.keeping import pages as views
from waystation.telemetry.keeping import service
from waystation.telemetry.keeping.model import Limits, Plan, parse_size
from waystation.telemetry.keeping.pages import Asked
from waystation.telemetry.keeping.service import Scope, Unwanted

router = Router(include_in_schema=False, dependencies=[Depends(pages.read_form)])
Text = Annotated[str, Form()]


@router.post("/data/count")
def count(me: HomeAdmin, tx: Tx) -> Response:
    service.count_again(tx, me.home_id)
    return pages.go("/data?done=count")


@router.post("/data/retention")
def set_retention(
    request: Request,
    me: HomeAdmin,
    tx: Tx,
    now: Now,
    about: Text = "",
    metric: Text = "",
    raw_days: Text = "",
    rollup_days: Text = "",
) -> Response:
    """`about` is `device:KEY`, `model:NAME`, or empty for the whole home."""
    kind, _, name = about.partition(":")
    try:
        scope = Scope(name if kind == "device" else "", name if kind == "model" else "", metric.strip())
        limits = Limits(_days(raw_days), _days(rollup_days))
        service.set_retention(tx, me.actor, me.home_id, scope, limits=limits, now=now)
    except (Invalid, Conflict, NotFound) as fault:
        draft = {"about": about, "metric": metric, "raw_days": raw_days, "rollup_days": rollup_days}
        asked = Asked(request, tx, now)
        return views.storage_page(asked, me, error=fault.sentence, failed="retention", draft=draft)
    return pages.go("/data?done=retention")


@router.post("/data/retention/{rule_id}/delete")
def delete_retention(rule_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    service.delete_retention(tx, me.actor, me.home_id, rule_id, now=now)
    return pages.go("/data?done=rule")


@router.post("/data/delete")
def delete(
    request: Request,
    me: HomeAdmin,
    tx: Tx,
    now: Now,
    device: Text = "",
    first: Text = "",
    last: Text = "",
    typed: Text = "",
    form: Text = "all",
) -> Response:
    """`form` is which of the page's forms it was: device, range or all."""
    try:
        unwanted = Unwanted(device, *_days_between(form, first, last), typed)
        service.ask_deletion(tx, me.actor, me.home_id, unwanted, now=now)
    except (Invalid, Conflict) as fault:
        draft = {"device": device, "first": first, "last": last}
        return views.storage_page(Asked(request, tx, now), me, error=fault.sentence, failed=form, draft=draft)
    return pages.go("/data?done=deleting")


@router.post("/data/deletions/{number}/cancel")
def cancel(number: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    service.cancel_deletion(tx, me.actor, me.home_id, number, now=now)
    return pages.go("/data?done=cancelled")


@router.post("/admin/plans")
def save_plan(
    request: Request,
    me: Operator,
    tx: Tx,
    now: Now,
    name: Text = "",
    storage: Text = "",
    ingest_per_minute: Text = "",
    raw_days: Text = "",
    rollup_days: Text = "",
) -> Response:
    try:
        calls = _number(ingest_per_minute, "calls a minute are a whole number, or empty for no limit")
        plan = Plan(name.strip(), parse_size(storage), calls, _days(raw_days), _days(rollup_days))
        service.save_plan(tx, me.actor, plan, now=now)
    except (Invalid, Conflict) as fault:
        draft = {"name": name, "storage": storage, "ingest_per_minute": ingest_per_minute}
        draft |= {"raw_days": raw_days, "rollup_days": rollup_days}
        return views.plans_page(Asked(request, tx, now), error=fault.sentence, failed="plan", draft=draft)
    return pages.go("/admin/plans?done=plan")


@router.post("/admin/plans/give")
def give_plan(request: Request, me: Operator, tx: Tx, now: Now, email: Text = "", plan: Text = "") -> Response:
    try:
        service.give_plan(tx, me.actor, email, plan, now=now)
    except NotFound as fault:
        draft = {"email": email, "plan": plan}
        return views.plans_page(Asked(request, tx, now), error=fault.sentence, failed="give", draft=draft)
    return pages.go("/admin/plans?done=given")


@router.post("/admin/plans/{plan_name}/delete")
def delete_plan(request: Request, plan_name: str, me: Operator, tx: Tx, now: Now) -> Response:
    try:
        service.delete_plan(tx, me.actor, plan_name, now=now)
    except Conflict as fault:
        return views.plans_page(Asked(request, tx, now), error=fault.sentence)
    return pages.go("/admin/plans?done=plan-deleted")


def _days(text: str) -> int | None:
    return _number(text, "say in whole days how long, or leave the field empty for ever")


def _number(text: str, sentence: str) -> int | None:
    if not text.strip():
        return None
    if not text.strip().isascii() or not text.strip().isdigit() or len(text.strip()) > 15:
        raise Invalid(sentence)
    return int(text)


def _days_between(form: str, first: str, last: str) -> tuple[datetime | None, datetime | None]:
    """Both included; only the form for a range has days, and it must have one."""
    if form != "range":
        return None, None
    if not (first.strip() or last.strip()):
        raise Invalid("say from which day, or until which")
    return _day(first), _end_of(_day(last))


def _day(text: str) -> datetime | None:
    return parse_iso(f"{text.strip()}T00:00:00Z") if text.strip() else None


def _end_of(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(hour=23, minute=59, second=59, microsecond=999_999)
