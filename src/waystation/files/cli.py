"""`waystation file …`: files from a terminal, beside a running hub or without one."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from waystation import devices
from waystation.files import service, shown, store
from waystation.files.model import File
from waystation.files.shelf import Shelf, size_of
from waystation.files.store import Wanted
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Tx
from waystation.kernel.desk import AsJson, Data, Desk, bar, desk, say, show_json, show_table
from waystation.kernel.errors import Conflict, NotFound

app = typer.Typer(name="file", help="List, send, get and delete files of devices and people.", no_args_is_help=True)
One = Annotated[str, typer.Argument(metavar="FILE", help="Its id, or its name: then the newest of that name.")]


@app.command("list")
def list_files(
    context: typer.Context,
    device: Annotated[str, typer.Option(help="Of this device only, by key or serial.")] = "",
    words: Annotated[str, typer.Option(help="With all of these words in the name.")] = "",
    most: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest first.")] = 50,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Files of the home, newest first."""
    at = desk(context, data)
    with at.database.read() as tx:
        wanted = Wanted(at.home_id, _device_id(tx, at, device) if device else None, words=words)
        rows = shown.facts(tx, store.newest(tx, wanted, most=most))
    if as_json:
        show_json(rows)
        return
    table = [(row["id"], row["name"], row["size_bytes"], _from(row), row["at"]) for row in rows]
    show_table(("id", "name", "bytes", "from", "at"), table, empty="No files yet.")


@app.command()
def put(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="What to send.")],
    name: Annotated[str, typer.Option(help="Another name than the file's own, for one file.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Send files. The same file again is the same file."""
    if name and len(paths) > 1:
        raise typer.BadParameter("--name is for one file")
    at = desk(context, data)
    total, done, kept = sum(size_of(path) for path in paths), 0, list[File]()
    with bar("bytes", total) as tell:
        for path in paths:
            before = done
            kept.append(Shelf(at).put(path, name or path.name, lambda more, before=before: tell(before + more)))
            done += kept[-1].size_bytes
    if as_json:
        show_json([file.shown() for file in kept])
    else:
        show_table(("id", "name", "bytes"), [(file.uid, file.name, file.size_bytes) for file in kept], empty="")


@app.command()
def get(
    context: typer.Context,
    file: One,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to; - prints it. [default: its name, here]")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file if it exists.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Get a file."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = _found(tx, at, file)
    if str(output) == "-":
        Shelf(at).copy(found.sha256, sys.stdout.buffer, lambda _: None)
        sys.stdout.buffer.flush()
        return
    path = Path(found.name) if output is None else output
    if path.exists() and not replace:
        raise Conflict(f"{path} exists already; --replace replaces it")
    draft = path.with_name(f".{path.name[:200]}.part")
    with bar("bytes", found.size_bytes) as tell, draft.open("wb") as into:
        Shelf(at).copy(found.sha256, into, tell)
    draft.replace(path)
    facts = {"file": str(path), "bytes": found.size_bytes, "sha256": found.sha256}
    show_json(facts) if as_json else say(f"{path}: {found.size_bytes:,} bytes, SHA-256 {found.sha256}")


@app.command()
def delete(context: typer.Context, file: One, data: Data = None, as_json: AsJson = False) -> None:
    """Delete a file."""
    at = desk(context, data)
    with at.database.write() as tx:
        found = _found(tx, at, file)
        service.delete(tx, COMMAND_LINE, found, at.now())
    show_json({"deleted": found.uid}) if as_json else say(f"{found.name} is deleted.")


def _found(tx: Tx, at: Desk, name: str) -> File:
    found = store.by_uid(tx, at.home_id, name)
    found = found or next(iter(store.newest(tx, Wanted(at.home_id, name=name), most=1)), None)
    if found is None:
        raise NotFound(f"there is no file {name[:120]}")
    return found


def _device_id(tx: Tx, at: Desk, name: str) -> int:
    found = devices.by_key(tx, at.home_id, name) or devices.by_serial(tx, at.home_id, name)
    if found is None:
        raise NotFound(f"there is no device with the key or serial {name[:64]}")
    return found.id


def _from(row: dict[str, Any]) -> str:
    return row["by"] if row["device"] is None else f"{row['device']['name']} ({row['device']['key']})"
