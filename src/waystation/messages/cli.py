"""`waystation message …`: what devices wrote, in a terminal, beside a running hub or without one."""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from waystation.kernel.desk import AsJson, Data, Desk, desk, say, show_json, show_table
from waystation.kernel.errors import Conflict
from waystation.messages import export, reading, store
from waystation.messages.export import Format
from waystation.messages.model import Severity, on_one_line
from waystation.messages.store import Wanted

app = typer.Typer(name="message", help="See, follow and write out what devices wrote.", no_args_is_help=True)

LOOK_SECONDS = 0.5
AT_ONCE = 500

DeviceOf = Annotated[str, typer.Option("--device", help="Only this device, by key or serial.", show_default=False)]
Least = Annotated[Severity, typer.Option("--severity", help="The least that is wanted.")]
Words = Annotated[str, typer.Option("--text", help="Only lines with this in them, in any case.", show_default=False)]


def _wanted(at: Desk, device: str, severity: Severity, words: str) -> Wanted:
    with at.database.read() as tx:
        return reading.asked(tx, at.home_id, device=device, severity=severity, words=words)


@app.command("list")
def list_messages(
    context: typer.Context,
    device: DeviceOf = "",
    severity: Least = Severity.DEBUG,
    text: Words = "",
    most: Annotated[int, typer.Option("--most", "-n", min=1, max=100_000, help="How many.")] = 50,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The newest messages, newest first."""
    at = desk(context, data)
    wanted = _wanted(at, device, severity, text)
    with at.database.read() as tx:
        found = reading.shown(tx, store.newest(tx, wanted, most=most))
    if as_json:
        show_json(found)
        return
    rows = [(one["at"], one["severity"], one["name"], one["type"], one["count"], _plain(one)) for one in found]
    show_table(("at", "severity", "device", "type", "times", "text"), rows, empty="No messages.")


@app.command()
def tail(
    context: typer.Context,
    device: DeviceOf = "",
    severity: Least = Severity.DEBUG,
    text: Words = "",
    most: Annotated[int, typer.Option("--most", "-n", min=0, max=100_000, help="How many to begin with.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written, until Ctrl-C.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """The newest messages, the newest last; with --follow also those to come. --json prints one a line."""
    at = desk(context, data)
    wanted = _wanted(at, device, severity, text)
    with at.database.read() as tx:
        number = store.last_number(tx)
        _print(reading.shown(tx, store.newest(tx, wanted, most=most)[::-1] if most else []), as_json=as_json)
    while follow:
        number, found = _later(at, wanted, number)
        _print(found, as_json=as_json)
        if not found:
            time.sleep(LOOK_SECONDS)


def _later(at: Desk, wanted: Wanted, number: int) -> tuple[int, list[dict[str, Any]]]:
    """What was written since, and the number to go on behind."""
    with at.database.read() as tx:
        found = store.oldest(tx, wanted, after=number, most=AT_ONCE)
        reached = found[-1].number if len(found) == AT_ONCE else store.last_number(tx)
        return reached, reading.shown(tx, found)


def _print(found: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    for one in found:
        say(json.dumps(one, ensure_ascii=False) if as_json else export.line(one))


def _plain(one: dict[str, Any]) -> str:
    return on_one_line(one["content"])


@app.command("export")
def write_out(
    context: typer.Context,
    device: DeviceOf = "",
    severity: Least = Severity.DEBUG,
    text: Words = "",
    form: Annotated[Format, typer.Option("--format", help="A line each, in one of these forms.")] = Format.NDJSON,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file. [default: print it]")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file if it exists.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """All messages as a file, oldest first."""
    at = desk(context, data)
    body = export.parts(at.database, _wanted(at, device, severity, text), form)
    if output is None:
        for part in body:
            sys.stdout.buffer.write(part)
        return
    if output.exists() and not replace:
        raise Conflict(f"{output} exists already; --replace replaces it")
    with output.open("wb") as file:
        size = sum(file.write(part) for part in body)
    if as_json:
        show_json({"file": str(output), "bytes": size})
    else:
        say(f"{output}: {size:,} bytes")
