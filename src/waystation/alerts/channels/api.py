"""Channels for programs: made, changed, tried and removed by admins, seen by everybody of the home."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from waystation.alerts.channels import service
from waystation.alerts.channels.model import Channel, Made
from waystation.homes import HomeAdmin, HomeViewer
from waystation.kernel.limits import Limiter
from waystation.kernel.routes import Now, PartsOf, Router, Tx, part

router = Router(tags=["alerts"])
TESTS_PER_MINUTE = "10/minute"
Desk = Annotated[service.Desk, part(service.Desk)]
Value = Annotated[str, Field(max_length=2000)]


class Shown(BaseModel):
    """`config` is for admins; secrets are never in it, only their names in `secrets`."""

    id: int
    kind: str
    name: str
    where: str
    enabled: bool
    created_at: datetime
    sent_at: datetime | None
    failed_at: datetime | None
    fault: str | None
    config: dict[str, str] | None
    secrets: list[str]
    shown_once: dict[str, str] = {}


class New(BaseModel):
    """`config` by kind: mail {to}, webhook {url, secret}, ntfy {server, topic, token}, console {}, and
    mqtt {url, topic, username, password}.
    """

    kind: Annotated[str, Field(max_length=20)]
    name: Annotated[str, Field(max_length=200)] = ""
    config: dict[str, Value] = {}


class Change(BaseModel):
    """What is absent stays; a secret goes when it is given empty."""

    name: Annotated[str, Field(max_length=200)] | None = None
    enabled: bool | None = None
    config: dict[str, Value] | None = None


class Tested(BaseModel):
    """To how many addresses a test is on its way."""

    put: int


@router.get("/api/alerts/channels", summary="The ways that alerts go out")
def channels(me: HomeViewer, tx: Tx) -> list[Shown]:
    return [_shown(one, with_config=me.role.may_manage) for one in service.channels(tx, me.home_id)]


@router.post("/api/alerts/channels", summary="Add a channel", status_code=201)
def add(wanted: New, me: HomeAdmin, tx: Tx, now: Now, desk: Desk) -> Shown:
    """A secret that was made for it is in `shown_once`, this once."""
    return _made(desk.add(tx, me.actor, now, kind=wanted.kind, name=wanted.name, given=wanted.config))


@router.get("/api/alerts/channels/{channel_id}", summary="One channel")
def channel(channel_id: int, me: HomeViewer, tx: Tx) -> Shown:
    return _shown(service.find(tx, me.home_id, channel_id), with_config=me.role.may_manage)


@router.patch("/api/alerts/channels/{channel_id}", summary="Change a channel")
def change(channel_id: int, wanted: Change, me: HomeAdmin, tx: Tx, now: Now, desk: Desk) -> Shown:
    values = {"name": wanted.name, "given": wanted.config, "is_enabled": wanted.enabled}
    return _made(desk.change(tx, me.actor, now, channel_id=channel_id, **values))  # type: ignore[arg-type]


@router.delete("/api/alerts/channels/{channel_id}", summary="Remove a channel")
def remove(channel_id: int, me: HomeAdmin, tx: Tx, now: Now) -> dict[str, bool]:
    service.remove(tx, me.actor, now, channel_id=channel_id)
    return {"removed": True}


@router.post("/api/alerts/channels/{channel_id}/test", summary="Send a test notice")
def test(channel_id: int, me: HomeAdmin, tx: Tx, now: Now, parts: PartsOf) -> Tested:
    parts.get(Limiter).limit(TESTS_PER_MINUTE, "test a channel", me.actor.who)
    return Tested(put=service.test(tx, me.actor, now, channel_id=channel_id))


class Sent(BaseModel):
    """One notice to one address; `state` is sent, waiting or given up."""

    id: int
    channel_name: str
    to: str
    notice: str
    subject: str
    state: str
    put_at: datetime
    sent_at: datetime | None
    tries: int
    fault: str | None


@router.get("/api/alerts/deliveries", summary="The newest notices, and what became of them")
def deliveries(me: HomeAdmin, tx: Tx) -> list[Sent]:
    return [Sent.model_validate(one, from_attributes=True) for one in service.newest_deliveries(tx, me.home_id, 100)]


@router.post("/api/alerts/deliveries/{delivery_id}/again", summary="Send a notice again that was given up")
def send_again(delivery_id: int, me: HomeAdmin, tx: Tx, now: Now) -> Sent:
    found = service.send_again(tx, me.actor, now, delivery_id=delivery_id)
    return Sent.model_validate(found, from_attributes=True)


def _made(made: Made) -> Shown:
    return _shown(made.channel, with_config=True).model_copy(update={"shown_once": dict(made.shown_once)})


def _shown(one: Channel, *, with_config: bool) -> Shown:
    return Shown(
        id=one.id,
        kind=one.kind,
        name=one.name,
        where=one.where,
        enabled=one.is_enabled,
        created_at=one.created_at,
        sent_at=one.sent_at,
        failed_at=one.failed_at,
        fault=one.fault if with_config else None,
        config=dict(one.config) if with_config else None,
        secrets=sorted(one.secrets) if with_config else [],
    )
