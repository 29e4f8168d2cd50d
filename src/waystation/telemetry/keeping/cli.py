"""`waystation data …`: what is stored, how long it is kept, deleting, plans; beside a running hub or without one."""

import fcntl
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer

from waystation import devices
from waystation.homes import Home
from waystation.kernel.audit import COMMAND_LINE, Actor
from waystation.kernel.clock import parse_iso
from waystation.kernel.db import Tx
from waystation.kernel.desk import AsJson, Data, Desk, desk, say, show_json, show_table
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.telemetry.keeping import disk, service, shown, store
from waystation.telemetry.keeping.model import Limits, Plan, parse_size, size_text
from waystation.telemetry.keeping.service import Scope, Unwanted
from waystation.telemetry.keeping.sweeps import deletion

app = typer.Typer(name="data", help="See, keep and delete what is stored; who has which plan.", no_args_is_help=True)
InHome = Annotated[str, typer.Option("--home", help="The home's name or id. [default: the first]", show_default=False)]
OfDevice = Annotated[str, typer.Option("--device", help="Key or serial of one device.", show_default=False)]
LOOK_SECONDS = 0.3


@app.command()
def usage(context: typer.Context, home: InHome = "", data: Data = None, as_json: AsJson = False) -> None:
    """How much every device has stored, of which plan, and when it will be full."""
    at = desk(context, data)
    looked = disk.look(at.settings.data)
    with at.database.read() as tx:
        found = service.usage(tx, service.home_named(tx, home).id, at.now())
        facts = shown.usage(found, looked, service.disk_forecast(tx, looked, at.now()))
    if as_json:
        show_json(facts)
        return
    rows = [(d.name, d.key, size_text(d.size_bytes), f"{d.readings:,}", f"{d.share:.0%}") for d in found.devices]
    show_table(("device", "key", "stored", "readings", "share"), rows, empty="Nothing has been counted yet.")
    limit = found.plan.storage_bytes
    of_limit = "without a limit" if limit is None else f"of {size_text(limit)} ({found.percent} %)"
    say(f"\n{size_text(found.owner_bytes)} {of_limit}, plan {found.plan.name}")
    say(f"{size_text(looked.free_bytes)} of the disk are free")
    if found.forecast.full_in_days is not None:
        say(f"At the pace of the last week the plan is full in {found.forecast.full_in_days:.0f} days")


@app.command()
def retention(
    context: typer.Context,
    raw_days: Annotated[
        str, typer.Option("--raw-days", help="Keep readings for so many days; `ever` for ever.", show_default=False)
    ] = "",
    rollup_days: Annotated[
        str, typer.Option("--rollup-days", help="Keep their hourly roll-ups for so many.", show_default=False)
    ] = "ever",
    device: OfDevice = "",
    model: Annotated[str, typer.Option("--model", help="Only devices of this model.", show_default=False)] = "",
    metric: Annotated[str, typer.Option("--metric", help="Only this metric.", show_default=False)] = "",
    forget: Annotated[
        int | None, typer.Option("--forget", help="Delete the rule of this number.", show_default=False)
    ] = None,
    home: InHome = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Say how long readings are kept, or print the rules."""
    at = desk(context, data)
    if raw_days or forget is not None:
        with at.database.write() as tx:
            mine = service.home_named(tx, home)
            if forget is not None:
                service.delete_retention(tx, _by(mine), mine.id, forget, now=at.now())
            if raw_days:
                key = _device(tx, mine, device).key if device else ""
                limits = Limits(_days(raw_days), _days(rollup_days))
                service.set_retention(tx, _by(mine), mine.id, Scope(key, model, metric), limits=limits, now=at.now())
    with at.database.read() as tx:
        rules = store.rules(tx, service.home_named(tx, home).id)
        placed = devices.placed(tx, [one.device_id for one in rules if one.device_id is not None])
    facts = [shown.rule(one, {number: place.key for number, place in placed.items()}) for one in rules]
    if as_json:
        show_json(facts)
    else:
        rows = [tuple("ever" if k.endswith("days") and v is None else v for k, v in one.items()) for one in facts]
        columns = ("rule", "device", "model", "metric", "readings (days)", "roll-ups (days)")
        show_table(columns, rows, empty="Everything is kept for ever.")


@app.command()
def delete(
    context: typer.Context,
    typed: Annotated[
        str,
        typer.Option("--typed", help="The device's name, DELETE THIS RANGE, or DELETE ALL MY DATA: that it is meant."),
    ],
    device: OfDevice = "",
    first: Annotated[str, typer.Option("--from", help="ISO 8601.", show_default=False)] = "",
    last: Annotated[str, typer.Option("--to", help="ISO 8601.", show_default=False)] = "",
    home: InHome = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Delete readings of a device, of a range of time, or all; Ctrl-C cancels it."""
    at = desk(context, data)
    with at.database.write() as tx:
        mine = service.home_named(tx, home)
        key = _device(tx, mine, device).key if device else ""
        unwanted = Unwanted(key, _time(first), _time(last), typed)
        number = service.ask_deletion(tx, _by(mine), mine.id, unwanted, now=at.now())
    try:
        row = _followed(at, number)
    except KeyboardInterrupt:
        with at.database.write() as tx:
            service.cancel_deletion(tx, _by(mine), mine.id, number, now=at.now())
        raise
    show_json(shown.deletion(row)) if as_json else say(f"{row.readings:,} readings are deleted ({shown.state(row)})")


def _followed(at: Desk, number: int) -> Any:
    """The deletion once it has ended: done here, or by the hub that runs beside."""
    while True:
        with at.database.read() as tx:
            row = store.deletion_by_id(tx, number)
        if row is None or row.ended_at is not None:
            _tell("")
            return row
        _tell(f"{row.series_done} of {row.series} series, {row.readings:,} readings")
        with _alone(at) as is_alone:
            if is_alone:
                deletion.delete(at.database, at.now())
            else:
                time.sleep(LOOK_SECONDS)


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


@app.command()
def plans(
    context: typer.Context,
    give: Annotated[str, typer.Option("--give", help="Give this plan to --to.", show_default=False)] = "",
    to: Annotated[str, typer.Option("--to", help="Address of an account.", show_default=False)] = "",
    name: Annotated[str, typer.Option("--set", help="Make or change the plan of this name.", show_default=False)] = "",
    storage: Annotated[str, typer.Option("--storage", help="As in 10 GB; empty is no limit.")] = "",
    per_minute: Annotated[
        int | None, typer.Option("--per-minute", help="Most calls a minute and device.", show_default=False)
    ] = None,
    raw_days: Annotated[str, typer.Option("--raw-days", help="Readings are kept no longer.")] = "ever",
    rollup_days: Annotated[str, typer.Option("--rollup-days", help="Roll-ups are kept no longer.")] = "ever",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Print plans and who has which; change one, or give it to somebody."""
    at = desk(context, data)
    if name or give:
        with at.database.write() as tx:
            if name:
                plan = Plan(name, parse_size(storage), per_minute, _days(raw_days), _days(rollup_days))
                service.save_plan(tx, COMMAND_LINE, plan, now=at.now())
            if give:
                service.give_plan(tx, COMMAND_LINE, to, give, now=at.now())
    with at.database.read() as tx:
        known, owners = store.plans(tx), service.subscribers(tx)
    if as_json:
        facts = {"default": at.settings.default_plan, "plans": [shown.plan(one) for one in known.values()]}
        show_json({**facts, "owners": [shown.subscriber(one) for one in owners]})
        return
    rows = [
        (one.name, "no limit" if one.storage_bytes is None else size_text(one.storage_bytes)) for one in known.values()
    ]
    show_table(("plan", "storage"), rows, empty="")
    say(f"\nWho has not been given one has {at.settings.default_plan}.\n")
    who = [(one.email, one.plan, size_text(one.size_bytes), one.homes) for one in owners]
    show_table(("owner", "plan", "stored", "homes"), who, empty="Nobody owns a home yet.")


@app.command()
def compact(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """Give the disk back what deleting has left unused in SQLite's file; the hub must be stopped."""
    at = desk(context, data)
    with _alone(at) as is_alone:
        if not is_alone:
            raise Conflict("the hub is running; stop it first (what is unused in the file is filled again anyway)")
        with at.database.read() as tx:
            before = disk.file_of(tx)
        after = disk.compact(at.database)
    facts = {"before_bytes": before.size_bytes if before else after.size_bytes, "after_bytes": after.size_bytes}
    words = f"{size_text(facts['before_bytes'])} before, {size_text(after.size_bytes)} now"
    show_json(facts) if as_json else say(words)


@contextmanager
def _alone(at: Desk) -> Generator[bool]:
    """Whether no hub runs on this folder; none can start while the block lasts."""
    with (at.settings.data / "hub.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _by(home: Home) -> Actor:
    return Actor(COMMAND_LINE.who, home_id=home.id)


def _device(tx: Tx, home: Home, name: str) -> devices.Device:
    found = devices.by_key(tx, home.id, name) or devices.by_serial(tx, home.id, name)
    if found is None:
        raise NotFound(f"there is no device {name[:80]} in {home.name}")
    return found


def _time(text: str) -> datetime | None:
    return parse_iso(text) if text else None


def _days(text: str) -> int | None:
    if text.strip().lower() in ("", "ever"):
        return None
    if not text.strip().isdigit() or len(text) > 9:
        raise Invalid("say in whole days how long, or `ever`")
    return int(text)
