"""`waystation command …`: ask devices to do things from a terminal, beside a running hub or without one."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, cast

import typer

from waystation import devices
from waystation.commands import sending, service, store
from waystation.commands.model import Command, NewCommand, State
from waystation.commands.sending import Progress, Targets
from waystation.commands.store import Batch
from waystation.devices import device_keys
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import parse_iso
from waystation.kernel.db import Tx
from waystation.kernel.desk import FAILED, AsJson, Data, Desk, desk, say, show_json, show_table
from waystation.kernel.errors import Invalid, NotFound

app = typer.Typer(name="command", help="Ask devices to do things, and see what became of it.", no_args_is_help=True)
LOOK_SECONDS = 0.3
COLUMNS = ("id", "device", "name", "state", "attempt", "created_at", "finished_at", "reason")
Uid = Annotated[str, typer.Argument(help="The id of a command or of a batch.")]
Watch = Annotated[bool, typer.Option("--watch", help="Wait until it is over; exit code 1 unless all of it was done.")]
Timeout = Annotated[float, typer.Option(help="Give up waiting after so many seconds; 0 never does.", min=0)]


def _meant(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    return [("home", "every device"), *device_keys(ctx, incomplete)]


To = Annotated[
    list[str],
    typer.Option(help="A device's key or serial (may be said again), model:…, tag:… or home.", autocompletion=_meant),
]


@app.command()
def send(  # noqa: PLR0913  options
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What to do, as in: ping, reboot, set-interval.")],
    parameters: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE …; a value is JSON, else a text.")] = None,
    *,
    to: To,
    priority: Annotated[int, typer.Option(min=0, max=9, help="9 goes first.")] = 4,
    expires_in: Annotated[float, typer.Option(help="Seconds after which it is too late; 0 never is.", min=0)] = 0,
    not_before: Annotated[str, typer.Option(help="An ISO 8601 time.", show_default=False)] = "",
    once: Annotated[bool, typer.Option("--once", help="Never hand it out twice, even if no answer comes.")] = False,
    key: Annotated[str, typer.Option(help="Sent again under the same key, it is sent once.", show_default=False)] = "",
    watch: Watch = False,
    timeout: Timeout = 0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send a command, as in: send set-interval seconds=30 --to tag:garden --watch."""
    at = desk(context, data)
    wanted = NewCommand(
        name,
        _parameters(parameters or ()),
        priority,
        expires_at=at.now() + timedelta(seconds=expires_in) if expires_in else None,
        not_before=parse_iso(not_before) if not_before else None,
        once=once,
        idempotency_key=key,
    )
    with at.database.write() as tx:
        made = sending.send_to_many(tx, COMMAND_LINE, at.home_id, at.now(), to=_targets(to), wanted=wanted)
    _say_sent(at, made, watch=watch, timeout=timeout, as_json=as_json)


@app.command("list")
def list_(
    context: typer.Context,
    device: Annotated[str, typer.Option(help="Only of this device.", autocompletion=device_keys)] = "",
    state: Annotated[State | None, typer.Option(help="Only in this state.", show_default=False)] = None,
    name: Annotated[str, typer.Option(help="Only of this name.", show_default=False)] = "",
    batch: Annotated[str, typer.Option(help="Only of this batch.", show_default=False)] = "",
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Commands, the newest first."""
    at = desk(context, data)
    with at.database.read() as tx:
        device_id = devices.find_any(tx, at.home_id, device).id if device else None
        wanted = store.Wanted(at.home_id, device_id, (state,) if state else (), name=name, batch_uid=batch)
        rows = [_row(one) for one in store.newest(tx, wanted, most=most)]
    if as_json:
        show_json(rows)
    else:
        show_table(COLUMNS, [[row[column] for column in COLUMNS] for row in rows], empty="No commands.")


@app.command()
def show(context: typer.Context, uid: Uid, data: Data = None, as_json: AsJson = False) -> None:
    """One command with its history, or how far a batch has got."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = _find(tx, at.home_id, uid)
        if isinstance(found, Batch):
            facts = _batch_facts(tx, found)
        else:
            facts = {**_row(found), "history": [asdict(one) for one in store.events(tx, found.number)]}
    if as_json:
        show_json(facts)
        return
    lines = cast("list[dict[str, Any]]", facts.pop("history", []))
    show_table(("", ""), [(name, _short(fact)) for name, fact in facts.items() if fact not in (None, "")], empty="")
    if lines:
        columns = ("at", "what", "by", "link", "attempt", "detail")
        show_table(columns, [[_short(line[column]) for column in columns] for line in lines], empty="")


@app.command()
def cancel(context: typer.Context, uid: Uid, data: Data = None) -> None:
    """Do not hand a command out any more, or all of a batch that has not ended."""
    at = desk(context, data)
    with at.database.write() as tx:
        found = _find(tx, at.home_id, uid)
        if isinstance(found, Batch):
            said = f"cancelled {sending.cancel_batch(tx, COMMAND_LINE, found, at.now())} of {found.total}"
        else:
            said = f"{uid} is {service.cancel(tx, COMMAND_LINE, found, at.now()).state}"
    say(said)


@app.command()
def retry(
    context: typer.Context,
    uid: Uid,
    watch: Watch = False,
    timeout: Timeout = 0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send again what was not done: one command, or all of a batch that failed, was rejected, cancelled or expired."""
    at = desk(context, data)
    with at.database.write() as tx:
        found = _find(tx, at.home_id, uid)
        if isinstance(found, Batch):
            again = sending.retry_batch(tx, COMMAND_LINE, found, at.now())
        else:
            again = sending.retry(tx, COMMAND_LINE, found, at.now())
    _say_sent(at, again, watch=watch, timeout=timeout, as_json=as_json)


@app.command()
def watch(context: typer.Context, uid: Uid, timeout: Timeout = 0, data: Data = None, as_json: AsJson = False) -> None:
    """Wait until a command or a batch is over; exit code 0 when all of it was done, else 1."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = _find(tx, at.home_id, uid)
    _watch(at, found, timeout=timeout, as_json=as_json)


# What is sent.


def _parameters(words: Sequence[str]) -> dict[str, Any] | None:
    """`seconds=30 on=true name=porch`; one word that begins with { is all of them as JSON. None for none."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return _json(words[0])
    found: dict[str, Any] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign):
            raise Invalid(f"{word[:40]!r}: a parameter is NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found or None


def _json(text: str) -> dict[str, Any]:
    try:
        return json.loads(text)
    except ValueError as fault:
        raise Invalid(f"the parameters are not JSON: {fault}") from fault


def _targets(words: Sequence[str]) -> Targets:
    """`home`, `model:…`, `tag:…`, or devices."""
    if len(words) == 1:
        kind, sign, name = words[0].partition(":")
        if words[0] == "home":
            return Targets(home=True)
        if sign and kind in ("model", "tag"):
            return Targets(model=name) if kind == "model" else Targets(tag=name)
    if any(word == "home" or ":" in word for word in words):
        raise Invalid("--to is one of home, model:… and tag:…, or any number of devices")
    return Targets(devices=tuple(words))


def _say_sent(at: Desk, made: Command | Batch, *, watch: bool, timeout: float, as_json: bool) -> None:
    if watch:
        _watch(at, made, timeout=timeout, as_json=as_json)
    elif as_json:
        with at.database.read() as tx:
            show_json(_batch_facts(tx, made) if isinstance(made, Batch) else _row(made))
    elif isinstance(made, Command):
        say(made.uid)
    else:
        left = f"; left out, because their queue is full: {', '.join(made.left_out)}" if made.left_out else ""
        say(f"{made.uid}   {made.name} for {made.total} device{'' if made.total == 1 else 's'}{left}")


# How far it is.


def _watch(at: Desk, watched: Command | Batch, *, timeout: float, as_json: bool) -> None:
    progress = _until_over(at, watched, timeout)
    with at.database.read() as tx:
        found = _find(tx, at.home_id, watched.uid)
        facts = _batch_facts(tx, found) if isinstance(found, Batch) else _row(found)
    if as_json:
        show_json(facts)
    else:
        say(_in_words(progress))
    if progress.done < progress.total:
        raise typer.Exit(FAILED)


def _until_over(at: Desk, watched: Command | Batch, timeout: float) -> Progress:
    from rich.console import Console  # noqa: PLC0415  9 MB that a serving process does without
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bars  # noqa: PLC0415

    until = time.monotonic() + timeout if timeout else float("inf")
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Bars(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bars:
        task = bars.add_task("", total=None)
        while True:
            progress = _progress(at, watched)
            over = progress.total - progress.waiting - progress.delivered
            bars.update(task, description=_in_words(progress), completed=over, total=progress.total)
            if progress.is_over or time.monotonic() > until:
                return progress
            time.sleep(LOOK_SECONDS)


def _progress(at: Desk, watched: Command | Batch) -> Progress:
    with at.database.read() as tx:
        if isinstance(watched, Batch):
            return sending.progress(tx, [watched])[watched.uid]
        return sending.progress_of(1, {service.find(tx, at.home_id, watched.uid).state: 1})


def _in_words(progress: Progress) -> str:
    """`3 done, 1 failed, 2 waiting`."""
    facts = asdict(progress)
    words = ("done", "failed", "expired", "cancelled", "gone", "delivered", "waiting")
    return ", ".join(f"{facts[word]} {word}" for word in words if facts[word]) or "nothing"


def _find(tx: Tx, home_id: int, uid: str) -> Command | Batch:
    batch = store.batch_by_uid(tx, home_id, uid)
    if batch is not None:
        return batch
    try:
        return service.find(tx, home_id, uid)
    except NotFound:
        raise NotFound(f"there is no command and no batch {uid[:40]}") from None


def _row(one: Command) -> dict[str, Any]:
    facts = {name: fact for name, fact in asdict(one).items() if name not in ("number", "home_id", "device_id", "uid")}
    return {"id": one.uid, "device": facts.pop("device_key"), **facts}


def _batch_facts(tx: Tx, one: Batch) -> dict[str, Any]:
    facts = {name: fact for name, fact in asdict(one).items() if name not in ("home_id", "uid")}
    return {"id": one.uid, **facts, "progress": asdict(sending.progress(tx, [one])[one.uid])}


def _short(fact: Any) -> Any:
    return json.dumps(fact, ensure_ascii=False) if isinstance(fact, dict | list) else fact
