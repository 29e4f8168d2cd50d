"""`waystation import dropsync`: an older DropSync hub moves in, beside a running hub or without one."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from waystation.dialects.dropsync import tokenfile
from waystation.dialects.dropsync.importing import source
from waystation.dialects.dropsync.importing.report import Report
from waystation.dialects.dropsync.importing.service import Importer, in_hundreds
from waystation.dialects.dropsync.importing.shelves import Shelves
from waystation.dialects.dropsync.importing.source import OldDatabase, Source
from waystation.kernel.db import Tx
from waystation.kernel.desk import AsJson, Data, Desk, desk, say, show_json, show_table
from waystation.kernel.errors import Invalid

app = typer.Typer(name="import")
Bring = Callable[[Tx, Mapping[str, Any], datetime], None]


@app.command()
def dropsync(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(help="The old hub's folder, its dropsync.db, or a device_auth.json.", exists=True)
    ],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Bring an older DropSync hub in: devices, tokens, commands, messages, packages, logs and files. Safe to repeat."""
    found = source.look(path)
    at, report = desk(context, data), Report()
    importer = Importer(at.home_id, report)
    if found.database is not None:
        _database(at, importer, OldDatabase(found.database))
    _tokens(at, importer, found)
    if found.uploads is not None:
        Shelves(at, report).bring(found.uploads)
    if as_json:
        show_json(report.facts())
    else:
        _tell(report)


def _database(at: Desk, importer: Importer, old: OldDatabase) -> None:
    brings: Mapping[str, Bring] = {
        "devices": importer.device,
        "commands": importer.command,
        "messages": importer.message,
        "file_syncs": importer.sync,
        "sync_packages": importer.package,
        "system_logs": importer.line,
    }
    there = old.tables()
    for table, bring in brings.items():
        if table not in there:
            continue
        for batch in in_hundreds(old.rows(table)):
            with at.database.write() as tx:
                for row in batch:
                    bring(tx, row, at.now())


def _tokens(at: Desk, importer: Importer, found: Source) -> None:
    if found.token_file is None:
        return
    try:
        tokens, skipped = tokenfile.read(found.token_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as fault:
        raise Invalid(f"{found.token_file} is no token file: {fault}") from fault
    for name, why in skipped.items():
        importer.report.skip("tokens", name, why)
    with at.database.write() as tx:
        for name, token in tokens.items():
            importer.token(tx, name, token, at.now())


def _tell(report: Report) -> None:
    rows = [(kind, one.imported, one.known, one.skipped) for kind, one in report.kinds.items()]
    show_table(("", "brought in", "here already", "left out"), rows, empty="There was nothing in it.")
    for one in report.left_out:
        say(f"left out: {one['kind']} {one['which']}: {one['why']}")
