"""`waystation export` and `waystation import readings`: files of readings, beside a running hub or without one."""

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from waystation import devices
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import micros
from waystation.kernel.db import Tx
from waystation.kernel.desk import AsJson, Data, Desk, bar, desk, say, show_json
from waystation.kernel.errors import Conflict, NotFound
from waystation.telemetry.span import span
from waystation.telemetry.transfer import backfill, cells, export, file, store
from waystation.telemetry.transfer.backfill import Backfill, Outcome, Rules
from waystation.telemetry.transfer.export import Plan, Point, Wanted
from waystation.telemetry.transfer.shape import Format

PIECE_BYTES = 262_144

export_app = typer.Typer(name="export", help="Write readings into a file, of any length.", invoke_without_command=True)
import_app = typer.Typer(name="import", help="Bring in readings from a file, or an older hub.", no_args_is_help=True)


@export_app.callback()
def export_(  # noqa: PLR0913
    context: typer.Context,
    device: Annotated[list[str] | None, typer.Option(help="Key or serial; again for more. [default: all]")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Again for more. [default: all]")] = None,
    from_: Annotated[str, typer.Option("--from", help="ISO 8601, epoch milliseconds, or as -30d.")] = "",
    to: Annotated[str, typer.Option(help="The same, or now.")] = "now",
    form: Annotated[
        Format, typer.Option("--format", help="One row per value, or per moment of a device.")
    ] = Format.CSV,
    tz: Annotated[str, typer.Option(help="A zone such as Europe/Berlin, whose time is shown besides UTC.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file. [default: print it]")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an export that was interrupted.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file if it exists.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write readings into a file, of any length; at the end say how many rows, and the SHA-256."""
    at = desk(context, data)
    if output is not None and output.exists() and not replace:
        raise Conflict(f"{output} exists already; --replace replaces it")
    if resume:
        if output is None:
            raise typer.BadParameter("--resume goes on with a file; name it with -o")
        wanted = file.noted(output).wanted
    else:
        wanted = _wanted(at, device or [], metric or [], (from_, to), form=form, tz=tz)
    with at.database.read() as tx:
        plan = export.plan(tx, wanted)
        total = store.expected(tx, plan.series_ids, wanted.first, wanted.last) if form is not Format.WIDE else 0
    with bar("rows", total) as tell:
        last = _written(at, plan, output, resume=resume, tell=lambda point: tell(point.rows))
    facts = {"file": str(output or "-"), "rows": last.rows, "bytes": last.size, "sha256": last.sha256}
    if as_json and output is not None:
        show_json(facts)
        return
    said = f"{last.rows:,} rows, {last.size:,} bytes, SHA-256 {last.sha256}\n"
    (sys.stdout if output is not None else sys.stderr).write(said)


@import_app.command()
def readings(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV, wide CSV, NDJSON or Parquet; - reads standard input.")
    ],
    device: Annotated[str, typer.Option(help="Key or serial that takes all; `all`: each line names its own.")] = "all",
    make_devices: Annotated[bool, typer.Option("--make-devices", help="Register devices that are unknown.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad lines out instead of stopping.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Store the readings of a file. What is there already is not stored again, so it is safe to repeat."""
    if not source.exists() and str(source) != "-":
        raise NotFound(f"there is no file {source}")
    at = desk(context, data)
    taken_by = "" if device == "all" else device
    rules = Rules(at.home_id, COMMAND_LINE, taken_by, make_devices, skip_bad, at.settings.max_future_seconds)
    if taken_by:
        with at.database.read() as tx:
            _device_id(tx, at, taken_by)
    filling = Backfill(at.database, at.clock, rules)
    with bar("bytes", source.stat().st_size if source.exists() else 0) as tell:
        outcome = _filled(filling, source, tell)
    _show(outcome, as_json=as_json)


def _wanted(at: Desk, device: list[str], metric: list[str], ends: tuple[str, str], *, form: Format, tz: str) -> Wanted:
    first, last = span(*ends, micros(at.now()))
    if tz:
        cells.zone(tz)
    with at.database.read() as tx:
        ids = tuple(_device_id(tx, at, name) for name in device if name != "all")
        newest = store.newest_series(tx)
    return Wanted(at.home_id, ids, tuple(metric), first, last, form, tz=tz, newest_series=newest)


def _device_id(tx: Tx, at: Desk, name: str) -> int:
    found = devices.by_key(tx, at.home_id, name) or devices.by_serial(tx, at.home_id, name)
    if found is None:
        raise NotFound(f"there is no device with the key or serial {name[:64]}")
    return found.id


def _written(at: Desk, plan: Plan, output: Path | None, *, resume: bool, tell: Callable[[Point], None]) -> Point:
    if output is not None and resume:
        return file.resume(at.database, plan, output, tell)
    if output is not None:
        return file.write(at.database, plan, output, tell)
    last = begin = export.start(plan)
    for body, last in export.parts(at.database, plan, begin):
        sys.stdout.buffer.write(body)
        tell(last)
    sys.stdout.buffer.flush()
    return last


def _filled(filling: Backfill, source: Path, tell: Callable[[int], None]) -> Outcome:
    done = 0
    with sys.stdin.buffer if str(source) == "-" else source.open("rb") as opened:
        while part := opened.read(PIECE_BYTES):
            filling.feed(part)
            done += len(part)
            tell(done)
    return filling.finish()


def _show(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        show_json(asdict(outcome) | {"refusals": [bad._asdict() for bad in outcome.refusals]})
        return
    say(f"{outcome.read:,} values read: {outcome.stored:,} stored, {outcome.duplicates:,} were there already")
    if outcome.made_devices:
        say(f"{len(outcome.made_devices)} devices registered: {', '.join(outcome.made_devices[:20])}")
    if outcome.refused:
        say(f"{outcome.refused:,} lines left out; the first:")
        for bad in outcome.refusals[: backfill.MOST_REFUSALS]:
            say(f"  line {bad.line}: {bad.reason}")
