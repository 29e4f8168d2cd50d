"""Incidents with their evidence, the rules of the home, and the ways that notices go out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from waystation import devices, telemetry
from waystation.alerts import channels, drawing, form, service, store
from waystation.alerts.backtest import Tested
from waystation.alerts.channels.kinds import KINDS, kind_of
from waystation.alerts.channels.model import Channel, Made
from waystation.alerts.model import Condition, Incident, Rule, Severity, Wish, in_words
from waystation.homes import HomeAdmin, HomeViewer, Membership
from waystation.kernel import db, mail
from waystation.kernel.pages import Pages
from waystation.kernel.routes import Now, Router, Tx
from waystation.kernel.settings import Settings

router = Router(include_in_schema=False)
ON_A_PAGE = 30
MOST_OPEN = 100
MOST_DEVICES = 500
TEST_DAYS = 30
SHOWN_WOULD = 50
DONE = {
    "acknowledged": "Acknowledged: the others see that you know.",
    "made": "The rule is made. It looks at every reading from now on.",
    "changed": "Saved.",
    "deleted": "The rule is deleted; its incidents stay in the history.",
    "on": "The rule is switched on.",
    "off": "The rule is switched off.",
    "muted": "Muted: incidents are recorded, and nobody is told.",
    "unmuted": "Not muted any more.",
    "added": "The channel is added. Send a test to see whether it works.",
    "removed": "The channel is removed.",
    "again": "The notice is on its way once more. Whether it arrived stands below in a moment.",
    "tested": "A test is on its way. Whether it arrived stands below in a moment.",
}
SEVERITIES = {Severity.INFO: "Info", Severity.WARNING: "Warning", Severity.CRITICAL: "Critical"}


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

    def html(self, template: str, *, status: int = 200, **context: Any) -> Response:
        pages: Pages = self.request.app.state.parts.get(Pages)
        return pages.html(self.request, f"alerts/{template}", status=status, me=self.me, **context)


@router.get("/alerts")
def show_incidents(
    request: Request,
    me: HomeViewer,
    tx: Tx,
    now: Now,
    rule: str = "",
    device: str = "",
    before: int | None = None,
    done: str = "",
) -> Response:
    asked = Asked(request, me, tx, now)
    filters = {"rule": rule[:64], "device": device[:64]}
    wanted = store.Wanted(me.home_id, is_open=True, rule_uid=filters["rule"], device_key=filters["device"])
    is_open = store.incidents(tx, wanted, most=MOST_OPEN + 1)
    past = store.incidents(tx, replace(wanted, is_open=False), before=before, most=ON_A_PAGE + 1)
    return asked.html(
        "incidents.html",
        open=is_open[:MOST_OPEN] if before is None else [],
        more_open=len(is_open) > MOST_OPEN,
        past=past[:ON_A_PAGE],
        pager=_pager(past, filters, before),
        filters=filters,
        rules=store.rules(tx, me.home_id),
        devices=devices.search(tx, me.home_id, "", MOST_DEVICES),
        severities=SEVERITIES,
        notice=DONE.get(done),
    )


def _pager(past: list[Incident], filters: Mapping[str, str], before: int | None) -> dict[str, str | None] | None:
    is_last = len(past) <= ON_A_PAGE
    if is_last and before is None:
        return None
    older = {**filters, "before": str(past[ON_A_PAGE - 1].id)} if not is_last else None
    return {
        "text": "",
        "previous": f"/alerts?{urlencode(filters)}" if before is not None else None,
        "next": f"/alerts?{urlencode(older)}" if older else None,
    }


@router.get("/alerts/incidents/{uid}")
def show_incident(request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    asked = Asked(request, me, tx, now)
    return incident_page(asked, service.find_incident(tx, me.home_id, uid), notice=DONE.get(done))


def incident_page(
    asked: Asked, incident: Incident, *, notice: str | None = None, error: str | None = None, draft: str = ""
) -> Response:
    shown = [{**one, "at": drawing.parse_iso(one["at"])} for one in incident.evidence]
    return asked.html(
        "incident.html",
        status=400 if error else 200,
        incident=incident,
        evidence=shown,
        drawn=drawing.evidence(incident.evidence),
        deliveries=channels.deliveries_of_incident(asked.tx, asked.me.home_id, incident.uid),
        rule=store.rule_by_uid(asked.tx, asked.me.home_id, incident.rule_uid),
        severities=SEVERITIES,
        notice=notice,
        error=error,
        draft=draft,
    )


@router.get("/alerts/rules")
def show_rules(request: Request, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    return rules_page(Asked(request, me, tx, now), notice=DONE.get(done))


def rules_page(asked: Asked, *, notice: str | None = None, error: str | None = None) -> Response:
    tx, home_id = asked.tx, asked.me.home_id
    is_open = store.open_by_rule(tx, home_id)
    names = {one.key: one.name for one in devices.search(tx, home_id, "", MOST_DEVICES)}
    shown = [
        {"rule": one, "text": in_words(one.wish), "open": is_open.get(one.uid, 0), "for": _whom(one.wish, names)}
        for one in store.rules(tx, home_id)
    ]
    status = 400 if error else 200
    return asked.html("rules.html", status=status, rules=shown, kinds=form.KINDS, notice=notice, error=error)


def _whom(wish: Wish, names: Mapping[str, str]) -> str:
    if wish.scope == "home":
        return "Every device"
    return names.get(wish.target, wish.target) if wish.scope == "device" else f"Model {wish.target}"


@router.get("/alerts/rules/new")
def new_rule(request: Request, me: HomeAdmin, tx: Tx, now: Now, kind: str = "", device: str = "") -> Response:
    """First what it is about, then the fields of that: so it needs no script."""
    asked = Asked(request, me, tx, now)
    if not kind:
        return asked.html("kinds.html", kinds=form.KINDS, device=device[:64])
    draft = form.draft(form.kind_of(kind))
    aimed = {"scope": "device", "device": device[:64]} if device else {}
    return rule_page(asked, {**draft, "recovery": True, **aimed})


@router.get("/alerts/rules/{uid}")
def show_rule(request: Request, uid: str, me: HomeViewer, tx: Tx, now: Now, done: str = "") -> Response:
    rule = service.find(tx, me.home_id, uid)
    return rule_page(Asked(request, me, tx, now), form.typed_of(rule.wish), rule=rule, notice=DONE.get(done))


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would have done, with where its incidents stand on the strip of days."""

    tested: Tested
    marks: list[drawing.Mark]
    days: int = TEST_DAYS

    @classmethod
    def of(cls, tested: Tested, now: datetime) -> "Trial":
        return cls(tested, drawing.marks(tested.incidents, now - timedelta(days=TEST_DAYS), now))


def rule_page(
    asked: Asked,
    typed: Mapping[str, Any],
    *,
    rule: Rule | None = None,
    trial: Trial | None = None,
    notice: str | None = None,
    error: str | None = None,
) -> Response:
    tx, home_id = asked.tx, asked.me.home_id
    kind = Condition(typed["kind"])
    known = devices.search(tx, home_id, "", MOST_DEVICES)
    found = telemetry.series_of(tx, [one.id for one in known])
    return asked.html(
        "rule.html",
        status=400 if error else 200,
        rule=rule,
        typed=typed,
        kind=kind,
        about=form.KINDS[kind],
        has_holding=kind in form.WITH_HOLDING,
        needs_metric=form.needs_metric(kind),
        days=list(enumerate(form.DAYS)),
        severities=SEVERITIES,
        devices=known,
        models=sorted({one.model for one in known if one.model}),
        metrics=sorted({one.metric for one in found}),
        channels=channels.channels(tx, home_id),
        text=in_words(rule.wish) if rule else "",
        trial=trial,
        shown_would=SHOWN_WOULD,
        notice=notice,
        error=error,
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a channel's form was refused, which one, and what had been typed into it."""

    error: str
    form: str
    draft: Mapping[str, str] = field(default_factory=dict[str, str])


@router.get("/alerts/channels")
def show_channels(request: Request, me: HomeViewer, tx: Tx, now: Now, done: str = "", kind: str = "") -> Response:
    chosen = kind if kind in KINDS and me.role.may_manage else ""
    return channels_page(Asked(request, me, tx, now), kind=chosen, notice=DONE.get(done))


def channels_page(
    asked: Asked,
    *,
    kind: str = "",
    made: Made | None = None,
    notice: str | None = None,
    refused: Refusal | None = None,
) -> Response:
    """`kind` is that of the form for a new one; `made` was just made, with secrets that are shown this once."""
    manages = asked.me.role.may_manage
    found = channels.channels(asked.tx, asked.me.home_id)
    return asked.html(
        "channels.html",
        status=400 if refused else 200,
        channels=[_shown(one) for one in found],
        kinds=KINDS,
        kind=KINDS[kind] if kind else None,
        made=made,
        deliveries=channels.newest_deliveries(asked.tx, asked.me.home_id, 15) if manages else [],
        mails=mail.is_on(asked.settings),
        notice=notice,
        refused=refused,
    )


def _shown(channel: Channel) -> dict[str, Any]:
    return {"channel": channel, "kind": kind_of(channel.kind)}
