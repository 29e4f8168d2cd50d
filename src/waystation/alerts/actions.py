"""What the forms about incidents, rules and channels do; each answer is a page or the way to one."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import Depends, Form, Request
from starlette.responses import Response

from waystation.alerts import backtest, channels, form, pages, service
from waystation.alerts.channels.api import TESTS_PER_MINUTE, Desk
from waystation.alerts.channels.kinds import kind_of
from waystation.alerts.model import Rule
from waystation.alerts.pages import Asked, Refusal, Trial
from waystation.homes import HomeAdmin, HomeUser, Membership
from waystation.kernel import db
from waystation.kernel.clock import Clock
from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.limits import Limiter
from waystation.kernel.pages import go, read_form
from waystation.kernel.parts import Parts
from waystation.kernel.routes import Now, PartsOf, Router, Tx

router = Router(include_in_schema=False, dependencies=[Depends(read_form)])
Text = Annotated[str, Form()]
MUTES = {"1h": timedelta(hours=1), "8h": timedelta(hours=8), "1d": timedelta(days=1), "7d": timedelta(days=7)}
MOST_TYPED = 2000
CONFIG = "config-"


async def _all_typed(request: Request) -> dict[str, list[str]]:
    typed: dict[str, list[str]] = {}
    for name, value in (await request.form()).multi_items():
        if isinstance(value, str):
            typed.setdefault(name, []).append(value[:MOST_TYPED])
    return typed


Typed = Annotated[Mapping[str, Sequence[str]], Depends(_all_typed)]


@router.post("/alerts/incidents/{uid}/ack")
def acknowledge(request: Request, uid: str, me: HomeUser, tx: Tx, now: Now, note: Text = "") -> Response:
    found = service.find_incident(tx, me.home_id, uid)
    try:
        service.acknowledge(tx, me.actor, found, now, note=note)
    except Invalid as fault:
        return pages.incident_page(Asked(request, me, tx, now), found, error=fault.sentence, draft=note)
    return go(f"/alerts/incidents/{found.uid}?done=acknowledged")


# Rules


@router.post("/alerts/rules")
def add_rule(request: Request, me: HomeAdmin, tx: Tx, now: Now, typed: Typed) -> Response:
    form.kind_of((typed.get("kind") or ("",))[0])
    try:
        service.add(tx, me.actor, me.home_id, now, wish=form.wish_of(typed, None))
    except (Invalid, Conflict) as fault:
        return pages.rule_page(Asked(request, me, tx, now), form.again(typed, None), error=fault.sentence)
    return go("/alerts/rules?done=made")


@router.post("/alerts/rules/test")
async def test_rule(request: Request, me: HomeAdmin, parts: PartsOf, typed: Typed) -> Response:
    """Reads much and writes nothing, so it holds no transaction in which others must wait to write."""
    form.kind_of((typed.get("kind") or ("",))[0])
    return await asyncio.to_thread(_tried, request, me, parts, typed)


def _tried(request: Request, me: Membership, parts: Parts, typed: Mapping[str, Sequence[str]]) -> Response:
    now, uid = parts.get(Clock).now(), (typed.get("uid") or ("",))[0]
    with parts.get(db.Database).read() as tx:
        rule = service.find(tx, me.home_id, uid) if uid else None
        before, asked = rule.wish if rule else None, Asked(request, me, tx, now)
        try:
            wish = form.wish_of({**typed, "name": [(typed.get("name") or ("",))[0].strip() or "Test"]}, before)
            tested = backtest.run(tx, me.home_id, now, wish=wish, days=pages.TEST_DAYS)
        except Invalid as fault:
            return pages.rule_page(asked, form.again(typed, before), rule=rule, error=fault.sentence)
        return pages.rule_page(asked, form.again(typed, before), rule=rule, trial=Trial.of(tested, now))


@router.post("/alerts/rules/{uid}")
def change_rule(request: Request, uid: str, me: HomeAdmin, tx: Tx, now: Now, typed: Typed) -> Response:
    rule = service.find(tx, me.home_id, uid)
    typed = {**typed, "kind": [rule.wish.when.kind.value]}
    try:
        service.change(tx, me.actor, rule, now, wish=form.wish_of(typed, rule.wish))
    except (Invalid, Conflict) as fault:
        again = form.again(typed, rule.wish)
        return pages.rule_page(Asked(request, me, tx, now), again, rule=rule, error=fault.sentence)
    return go("/alerts/rules?done=changed")


@router.post("/alerts/rules/{uid}/switch")
def switch_rule(uid: str, me: HomeAdmin, tx: Tx, now: Now, to: Text = "") -> Response:
    if to not in ("on", "off"):
        raise Invalid("a rule is switched on or off")
    service.enable(tx, me.actor, service.find(tx, me.home_id, uid), now, is_enabled=to == "on")
    return go(f"/alerts/rules?done={to}")


@router.post("/alerts/rules/{uid}/mute")
def mute_rule(uid: str, me: HomeAdmin, tx: Tx, now: Now, lasting: Text = "") -> Response:
    service.mute(tx, me.actor, service.find(tx, me.home_id, uid), now, until=_until(lasting, now))
    return go(f"/alerts/rules?done={'muted' if lasting else 'unmuted'}")


def _until(lasting: str, now: datetime) -> datetime | None:
    if lasting and lasting not in MUTES:
        raise Invalid(f"a rule is muted for one of {', '.join(MUTES)}")
    return now + MUTES[lasting] if lasting else None


@router.post("/alerts/rules/{uid}/delete")
def delete_rule(uid: str, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    rule: Rule = service.find(tx, me.home_id, uid)
    service.delete(tx, me.actor, rule, now)
    return go("/alerts/rules?done=deleted")


# Channels


@router.post("/alerts/channels")
def add_channel(
    request: Request, me: HomeAdmin, tx: Tx, now: Now, desk: Desk, typed: Typed, kind: Text = "", name: Text = ""
) -> Response:
    """A secret that was made for it is shown on the page that this answers, this once."""
    asked, given = Asked(request, me, tx, now), _config(typed)
    kind_of(kind)
    try:
        made = desk.add(tx, me.actor, now, kind=kind, name=name, given=given)
    except (Invalid, Conflict) as fault:
        refused = Refusal(fault.sentence, "new", {"name": name, **given})
        return pages.channels_page(asked, kind=kind, refused=refused)
    if made.shown_once:
        return pages.channels_page(asked, made=made, notice=pages.DONE["added"])
    return go("/alerts/channels?done=added")


@router.post("/alerts/channels/{channel_id}")
def change_channel(
    request: Request, channel_id: int, me: HomeAdmin, tx: Tx, now: Now, desk: Desk, typed: Typed, name: Text = ""
) -> Response:
    """A secret that is left empty stays as it is, unless its box says that it goes."""
    found = channels.find(tx, me.home_id, channel_id)
    forgotten = set(typed.get("forget", ()))
    given = {
        key: "" if key in forgotten else value
        for key, value in _config(typed).items()
        if value or key in forgotten or key not in found.secrets
    }
    try:
        made = desk.change(tx, me.actor, now, channel_id=channel_id, name=name, given=given)
    except (Invalid, Conflict) as fault:
        refused = Refusal(fault.sentence, f"change-{channel_id}", {"name": name, **_config(typed)})
        return pages.channels_page(Asked(request, me, tx, now), refused=refused)
    if made.shown_once:
        return pages.channels_page(Asked(request, me, tx, now), made=made, notice=pages.DONE["changed"])
    return go("/alerts/channels?done=changed")


@router.post("/alerts/channels/{channel_id}/switch")
def switch_channel(channel_id: int, me: HomeAdmin, tx: Tx, now: Now, desk: Desk, to: Text = "") -> Response:
    if to not in ("on", "off"):
        raise Invalid("a channel is switched on or off")
    desk.change(tx, me.actor, now, channel_id=channel_id, is_enabled=to == "on")
    return go("/alerts/channels?done=changed")


@router.post("/alerts/channels/{channel_id}/test")
def test_channel(request: Request, channel_id: int, me: HomeAdmin, tx: Tx, now: Now, parts: PartsOf) -> Response:
    parts.get(Limiter).limit(TESTS_PER_MINUTE, "test a channel", me.actor.who)
    try:
        channels.test(tx, me.actor, now, channel_id=channel_id)
    except Conflict as fault:
        refused = Refusal(fault.sentence, "")
        return pages.channels_page(Asked(request, me, tx, now), refused=refused)
    return go("/alerts/channels?done=tested")


@router.post("/alerts/channels/{channel_id}/remove")
def remove_channel(channel_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    channels.remove(tx, me.actor, now, channel_id=channel_id)
    return go("/alerts/channels?done=removed")


@router.post("/alerts/deliveries/{delivery_id}/again")
def send_again(request: Request, delivery_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Response:
    try:
        channels.send_again(tx, me.actor, now, delivery_id=delivery_id)
    except Conflict as fault:
        return pages.channels_page(Asked(request, me, tx, now), refused=Refusal(fault.sentence, ""))
    return go("/alerts/channels?done=again")


def _config(typed: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {name.removeprefix(CONFIG): values[0] for name, values in typed.items() if name.startswith(CONFIG)}
