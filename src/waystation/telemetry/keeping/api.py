"""What is stored, how long it is kept, deletions and plans, for programs."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from waystation import devices
from waystation.homes import HomeAdmin, Operator
from waystation.kernel.clock import iso, parse_iso
from waystation.kernel.errors import Invalid, NotFound
from waystation.kernel.routes import Now, Router, Tx, part
from waystation.kernel.settings import Settings
from waystation.telemetry.keeping import disk, service, shown, store
from waystation.telemetry.keeping.model import Limits, Plan
from waystation.telemetry.keeping.service import Scope, Unwanted

router = Router(tags=["storage"])
Site = Annotated[Settings, part(Settings)]
Days = Annotated[int | None, Field(strict=True)]
Number = Annotated[int | None, Field(strict=True)]
Text = Annotated[str, Field(strict=True, max_length=200)]
Mount = Callable[[Callable[..., Any]], Callable[..., Any]]


def served(method: str, path: str) -> Mount:
    """With and without a slash at its end (G-3); the first is described."""

    def mount(handle: Callable[..., Any]) -> Callable[..., Any]:
        router.add_api_route(path, handle, methods=[method])
        router.add_api_route(f"{path}/", handle, methods=[method], include_in_schema=False)
        return handle

    return mount


class NewRule(BaseModel):
    """About one device, a device model or a metric, or (with none of them) the whole home; null days are for ever."""

    model_config = ConfigDict(extra="ignore")
    device: Text = ""
    model: Text = ""
    metric: Text = ""
    raw_days: Days = None
    rollup_days: Days = None


class NewDeletion(BaseModel):
    """Of one device or of all, in a range of time or all. `typed` is the device's name, `DELETE THIS RANGE` where a
    range is given, or `DELETE ALL MY DATA`.
    """

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
    device: Text = ""
    from_: Annotated[str | None, Field(alias="from", strict=True)] = None
    to: Annotated[str | None, Field(strict=True)] = None
    typed: Text = ""


class NewLimits(BaseModel):
    """Null is no limit."""

    model_config = ConfigDict(extra="ignore")
    storage_bytes: Number = None
    ingest_per_minute: Number = None
    raw_days: Days = None
    rollup_days: Days = None


class NewSubscriber(BaseModel):
    model_config = ConfigDict(extra="ignore")
    email: Text


@served("GET", "/api/storage")
def usage(caller: HomeAdmin, tx: Tx, now: Now, site: Site) -> dict[str, Any]:
    """Bytes by device, the plan that they count against, and when it will be full."""
    looked = disk.look(site.data)
    return shown.usage(service.usage(tx, caller.home_id, now), looked, service.disk_forecast(tx, looked, now))


@served("POST", "/api/storage/count")
def count(caller: HomeAdmin, tx: Tx) -> dict[str, str]:
    """Counts anew, within seconds."""
    service.count_again(tx, caller.home_id)
    return {"status": "ok"}


@served("GET", "/api/storage/retention")
def retention(caller: HomeAdmin, tx: Tx) -> dict[str, Any]:
    """Rules of how long readings are kept; the narrowest that fits counts."""
    rules = store.rules(tx, caller.home_id)
    placed = devices.placed(tx, [one.device_id for one in rules if one.device_id is not None])
    keys = {device_id: device.key for device_id, device in placed.items()}
    return {"rules": [shown.rule(one, keys) for one in rules]}


@served("POST", "/api/storage/retention")
def set_retention(caller: HomeAdmin, tx: Tx, now: Now, wanted: NewRule) -> dict[str, str]:
    """Makes a rule, or changes the one about the same."""
    scope, limits = Scope(wanted.device, wanted.model, wanted.metric), Limits(wanted.raw_days, wanted.rollup_days)
    service.set_retention(tx, caller.actor, caller.home_id, scope, limits=limits, now=now)
    return {"status": "ok"}


@served("DELETE", "/api/storage/retention/{rule_id}")
def delete_retention(caller: HomeAdmin, tx: Tx, now: Now, rule_id: int) -> dict[str, str]:
    service.delete_retention(tx, caller.actor, caller.home_id, rule_id, now=now)
    return {"status": "ok"}


@served("GET", "/api/storage/deletions")
def deletions(caller: HomeAdmin, tx: Tx) -> dict[str, Any]:
    """The last ten, newest first."""
    return {"deletions": [_told(shown.deletion(row)) for row in store.deletions(tx, caller.home_id)]}


@served("POST", "/api/storage/deletions")
def delete(caller: HomeAdmin, tx: Tx, now: Now, wanted: NewDeletion) -> dict[str, Any]:
    """A sweep does it, a little at a time; its progress is under the id."""
    first, last = (None if text is None else _time(text) for text in (wanted.from_, wanted.to))
    unwanted = Unwanted(wanted.device, first, last, wanted.typed)
    number = service.ask_deletion(tx, caller.actor, caller.home_id, unwanted, now=now)
    return _told(shown.deletion(store.deletion_by_id(tx, number)))


@served("GET", "/api/storage/deletions/{number}")
def deletion(caller: HomeAdmin, tx: Tx, number: int) -> dict[str, Any]:
    row = store.deletion_by_id(tx, number)
    if row is None or row.home_id != caller.home_id:
        raise NotFound("there is no such deletion")
    return _told(shown.deletion(row))


@served("POST", "/api/storage/deletions/{number}/cancel")
def cancel(caller: HomeAdmin, tx: Tx, now: Now, number: int) -> dict[str, str]:
    """What is deleted already stays deleted."""
    service.cancel_deletion(tx, caller.actor, caller.home_id, number, now=now)
    return {"status": "ok"}


@served("GET", "/api/storage/plans")
def plans(caller: Operator, tx: Tx) -> dict[str, Any]:
    """All plans, and which owner has which."""
    del caller
    return {
        "default": store.default_name(tx),
        "plans": [shown.plan(one) for one in store.plans(tx).values()],
        "owners": [shown.subscriber(one) for one in service.subscribers(tx)],
    }


@served("PUT", "/api/storage/plans/{plan_name}")
def save_plan(caller: Operator, tx: Tx, now: Now, plan_name: str, wanted: NewLimits) -> dict[str, Any]:
    plan = Plan(plan_name, **wanted.model_dump())
    service.save_plan(tx, caller.actor, plan, now=now)
    return shown.plan(plan)


@served("DELETE", "/api/storage/plans/{plan_name}")
def delete_plan(caller: Operator, tx: Tx, now: Now, plan_name: str) -> dict[str, str]:
    """One that came with the program is as it was at first."""
    service.delete_plan(tx, caller.actor, plan_name, now=now)
    return {"status": "ok"}


@served("POST", "/api/storage/plans/{plan_name}/people")
def give_plan(caller: Operator, tx: Tx, now: Now, plan_name: str, wanted: NewSubscriber) -> dict[str, str]:
    service.give_plan(tx, caller.actor, wanted.email, plan_name, now=now)
    return {"status": "ok"}


def _time(text: str) -> datetime:
    try:
        return parse_iso(text)
    except Invalid as fault:
        raise Invalid(f"from and to are times: {fault.sentence}") from fault


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: iso(fact) if isinstance(fact, datetime) else fact for name, fact in facts.items()}
