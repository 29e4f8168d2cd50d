"""Rules and incidents for programs: everybody of the home sees, users acknowledge, admins manage."""

import asyncio
import csv
import io
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from waystation.alerts import backtest, service, store
from waystation.alerts.model import (
    Condition,
    Incident,
    Match,
    Per,
    Rule,
    Schedule,
    Scope,
    Severity,
    When,
    Window,
    Wish,
    in_words,
    kept,
)
from waystation.homes import HomeAdmin, HomeUser, HomeViewer
from waystation.kernel.db import Database
from waystation.kernel.routes import Now, PartsOf, Router, Tx

router = Router(tags=["alerts"])

MOST = 500
COLUMNS = (
    "uid",
    "rule_name",
    "rule_text",
    "severity",
    "device_key",
    "device_name",
    "metric",
    "opened_at",
    "cleared_at",
    "why_cleared",
    "times",
    "value",
    "threshold",
    "acked_at",
    "acked_by",
    "note",
)
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=200)]


class WhenBody(BaseModel):
    """What must be so; by kind only some of the fields count."""

    model_config = ConfigDict(extra="forbid")

    kind: Condition
    threshold: Number | None = None
    clear: Number | None = None
    for_seconds: Number = 0
    times: int = Field(0, ge=0, le=100)
    of: int = Field(0, ge=0, le=100)
    window_seconds: Number = 0
    per: Per = "minute"
    match: Match = "equals"
    text: Text = ""
    state: bool = True
    seconds: Number = 0
    count: int = Field(0, ge=0, le=1000)


class WindowBody(BaseModel):
    """From `start` to `end`, as in 08:30, on these days (0 is Monday)."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[list[int], Field(max_length=7)]
    start: Annotated[str, Field(pattern=r"^\d\d:\d\d$")]
    end: Annotated[str, Field(pattern=r"^\d\d:\d\d$")]


class ScheduleBody(BaseModel):
    """When it may fire; without windows always."""

    model_config = ConfigDict(extra="forbid")

    zone: Text = "UTC"
    windows: Annotated[list[WindowBody], Field(max_length=21)] = []


class RuleBody(BaseModel):
    """`target` is a device's key or a model; `channels` are ids, none for all of the home."""

    model_config = ConfigDict(extra="forbid")

    name: Text
    when: WhenBody
    metric: Text = ""
    scope: Scope = Scope.HOME
    target: Text = ""
    severity: Severity = Severity.WARNING
    schedule: ScheduleBody = ScheduleBody()
    cooldown_seconds: int = Field(1800, ge=0, le=604_800)
    tells_recovery: bool = True
    subject: Text = ""
    channels: Annotated[list[Annotated[int, Field(ge=1, le=2**62)]], Field(max_length=20)] = []

    def wish(self) -> Wish:
        windows = tuple(Window(tuple(one.days), one.start, one.end) for one in self.schedule.windows)
        facts: dict[str, Any] = self.model_dump(exclude={"when", "schedule", "channels", "is_enabled"})
        when = When(**self.when.model_dump())
        return Wish(
            **facts, when=when, schedule=Schedule(self.schedule.zone, windows), channels=tuple(self.channels)
        ).checked()


class NewRule(RuleBody):
    is_enabled: bool = True


class RuleChange(BaseModel):
    """What is absent stays; `muted_until: null` ends a mute."""

    model_config = ConfigDict(extra="forbid")

    rule: RuleBody | None = None
    is_enabled: bool | None = None
    muted_until: datetime | None = None


class TrialBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rule: RuleBody
    days: Annotated[float, Field(gt=0, le=366, allow_inf_nan=False)] = 30


class Ack(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=500)] = ""


# Rules


@router.get("/api/alerts/rules", summary="The alert rules of the home")
def rules(me: HomeViewer, tx: Tx) -> Response:
    is_open = store.open_by_rule(tx, me.home_id)
    return _json({"rules": [shown_rule(one, is_open.get(one.uid, 0)) for one in store.rules(tx, me.home_id)]})


@router.post("/api/alerts/rules", summary="Make an alert rule", status_code=201)
def add_rule(wanted: NewRule, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    made = service.add(tx, me.actor, me.home_id, now, wish=wanted.wish(), is_enabled=wanted.is_enabled)
    return _json(shown_rule(made, 0), 201)


@router.post("/api/alerts/rules/test", summary="What a rule would have done in the last days")
async def test_rule(wanted: TrialBody, me: HomeUser, parts: PartsOf, now: Now) -> Response:
    """Nothing is stored. At most 500 incidents are told; `is_complete` says whether these are all."""
    return _json(asdict(await asyncio.to_thread(_test, parts.get(Database), me.home_id, now, wanted)))


def _test(database: Database, home_id: int, now: datetime, wanted: TrialBody) -> backtest.Tested:
    with database.read() as tx:
        return backtest.run(tx, home_id, now, wish=wanted.rule.wish(), days=wanted.days)


@router.get("/api/alerts/rules/{uid}", summary="One alert rule")
def rule(uid: str, me: HomeViewer, tx: Tx) -> Response:
    found = service.find(tx, me.home_id, uid)
    return _json(shown_rule(found, store.open_by_rule(tx, me.home_id).get(uid, 0)))


@router.patch("/api/alerts/rules/{uid}", summary="Change, enable, disable or mute an alert rule")
def change_rule(uid: str, wanted: RuleChange, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    found = service.find(tx, me.home_id, uid)
    if wanted.rule is not None:
        found = service.change(tx, me.actor, found, now, wish=wanted.rule.wish())
    if wanted.is_enabled is not None:
        found = service.enable(tx, me.actor, found, now, is_enabled=wanted.is_enabled)
    if "muted_until" in wanted.model_fields_set:
        found = service.mute(tx, me.actor, found, now, until=service.in_utc(wanted.muted_until))
    return _json(shown_rule(found, store.open_by_rule(tx, me.home_id).get(uid, 0)))


@router.delete("/api/alerts/rules/{uid}", summary="Delete an alert rule; its incidents stay")
def delete_rule(uid: str, me: HomeAdmin, tx: Tx, now: Now) -> dict[str, str]:
    service.delete(tx, me.actor, service.find(tx, me.home_id, uid), now)
    return {"deleted": uid}


def shown_rule(rule: Rule, open_incidents: int) -> dict[str, Any]:
    return {
        "uid": rule.uid,
        "is_enabled": rule.is_enabled,
        "muted_until": rule.muted_until,
        "text": in_words(rule.wish),
        "open_incidents": open_incidents,
        "created_at": rule.created_at,
        **kept(rule.wish),
    }


# Incidents


State = Literal["open", "closed", "all"]


@router.get("/api/alerts/incidents", summary="Incidents of the home, newest first")
def incidents(
    me: HomeViewer,
    tx: Tx,
    state: State = "all",
    rule: Text = "",
    device: Text = "",
    limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
    before: int | None = None,
) -> Response:
    """`next` is the `before` of the next page; null when this is the last."""
    found = store.incidents(tx, _wanted(me.home_id, state, rule, device), before=before, most=limit + 1)
    more = found[limit - 1].id if len(found) > limit else None
    return _json({"incidents": [shown_incident(one) for one in found[:limit]], "next": more})


@router.get("/api/alerts/incidents/export", summary="All incidents of the home as CSV or NDJSON")
async def export(
    me: HomeViewer,
    parts: PartsOf,
    format: Literal["csv", "ndjson"] = "csv",  # noqa: A002  its name in the address
    state: State = "all",
) -> Response:
    lines = _csv if format == "csv" else _ndjson
    pages = _pages(parts.get(Database), _wanted(me.home_id, state, "", ""))
    media = "text/csv; charset=utf-8" if format == "csv" else "application/x-ndjson"
    named = {"content-disposition": f'attachment; filename="incidents.{format}"'}
    return StreamingResponse(lines(pages), media_type=media, headers=named)


@router.get("/api/alerts/incidents/{uid}", summary="One incident with its evidence")
def incident(uid: str, me: HomeViewer, tx: Tx) -> Response:
    return _json(shown_incident(service.find_incident(tx, me.home_id, uid)))


@router.post("/api/alerts/incidents/{uid}/ack", summary="Acknowledge an incident")
def acknowledge(uid: str, wanted: Ack, me: HomeUser, tx: Tx, now: Now) -> Response:
    """Who did so first stays."""
    found = service.find_incident(tx, me.home_id, uid)
    return _json(shown_incident(service.acknowledge(tx, me.actor, found, now, note=wanted.note)))


def shown_incident(incident: Incident) -> dict[str, Any]:
    facts = asdict(incident)
    return {name: fact for name, fact in facts.items() if name not in ("home_id", "rule_id", "device_id")}


def _wanted(home_id: int, state: State, rule_uid: str, device_key: str) -> store.Wanted:
    return store.Wanted(home_id, {"open": True, "closed": False}.get(state), rule_uid=rule_uid, device_key=device_key)


def _pages(database: Database, wanted: store.Wanted) -> Iterator[list[Incident]]:
    before: int | None = None
    while True:
        with database.read() as tx:
            found = store.incidents(tx, wanted, before=before, most=MOST)
        if not found:
            return
        yield found
        before = found[-1].id


def _csv(pages: Iterator[list[Incident]]) -> Iterator[str]:
    yield ",".join(COLUMNS) + "\r\n"
    for page in pages:
        text = io.StringIO()
        rows = csv.writer(text)
        rows.writerows([_cell(getattr(one, column)) for column in COLUMNS] for one in page)
        yield text.getvalue()


def _cell(fact: Any) -> str:
    """What a spreadsheet would take for a formula is made text."""
    text = fact.isoformat() if isinstance(fact, datetime) else "" if fact is None else str(fact)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and isinstance(fact, str) else text


def _ndjson(pages: Iterator[list[Incident]]) -> Iterator[bytes]:
    for page in pages:
        yield b"".join(msgspec.json.encode(shown_incident(one)) + b"\n" for one in page)


def _json(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")
