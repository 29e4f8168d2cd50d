"""`waystation package …`: sync packages from a terminal, and on a stick to sites without any network."""

from pathlib import Path
from typing import Annotated, Any

import typer

from waystation.files.packages import bundle, carried, service, shown, store
from waystation.files.packages.model import By, Kind, Member, Package, Target
from waystation.files.shelf import Shelf, pieces_of, size_of
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import iso
from waystation.kernel.desk import AsJson, Data, bar, desk, say, show_json, show_table
from waystation.kernel.errors import Conflict
from waystation.kernel.secrets import KeyRing

app = typer.Typer(
    name="package", help="Make sync packages, stage them for devices, carry them on a stick.", no_args_is_help=True
)
One = Annotated[
    str, typer.Argument(metavar="PACKAGE", help="Its id, name@version, or name: then the newest of that name.")
]


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people and devices call it.")],
    kind: Annotated[Kind, typer.Option("--type", help="What is in it.")] = Kind.DATA,
    version: Annotated[str, typer.Option(help="Name and version together are one of their kind.")] = "",
    about: Annotated[str, typer.Option(help="What it is for.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an empty package."""
    at = desk(context, data)
    with at.database.write() as tx:
        named = {"name": name, "kind": kind, "version": version, "about": about}
        made = service.create(tx, COMMAND_LINE, at.home_id, at.now(), **named)
        facts = shown.facts(tx, [made])[0]
    show_json(facts) if as_json else say(f"{made.name} is made. Put files into it with: waystation package add")


@app.command()
def add(
    context: typer.Context,
    package: One,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, or folders with all that is in them.")],
    name: Annotated[str, typer.Option("--as", help="Another name in the package, for one file.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put files into a package, in place of those of the same name."""
    found = [one for path in paths for one in _inside(path)]
    if name and len(found) != 1:
        raise typer.BadParameter("--as is for one file")
    at = desk(context, data)
    shelf, done, members = Shelf(at), 0, list[Member]()
    with bar("bytes", sum(size_of(path) for path, _ in found)) as tell:
        for path, inner in found:
            before = done
            content = shelf.taken_in(pieces_of(path), size_of(path), lambda more, before=before: tell(before + more))
            members.append(Member(name or inner, content.size_bytes, content.sha256))
            done += content.size_bytes
    with at.database.write() as tx:
        one = service.find_any(tx, at.home_id, package)
        service.add_members(tx, COMMAND_LINE, one, at.now(), members=members)
    rows = [member._asdict() for member in members]
    show_json(rows) if as_json else show_table(("name", "bytes", "sha256"), [list(m) for m in members], empty="")


def _inside(path: Path) -> list[tuple[Path, str]]:
    """With their names in the package: those of a folder begin at the folder's own."""
    if not path.is_dir():
        return [(path, path.name)]
    below = sorted(one for one in path.rglob("*") if one.is_file() and not one.is_symlink())
    return [(one, one.relative_to(path).as_posix()) for one in below]


@app.command()
def remove(
    context: typer.Context,
    package: One,
    name: Annotated[str, typer.Argument(help="The member's name.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take a file out of a package that has not been staged yet."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.remove_member(tx, COMMAND_LINE, service.find_any(tx, at.home_id, package), at.now(), name=name)
    show_json({"removed": name}) if as_json else say(f"{name} is taken out.")


@app.command()
def stage(
    context: typer.Context,
    package: One,
    device: Annotated[list[str] | None, typer.Option(help="Key or serial; again for more.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Every device with it; again for more.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="Every device of it; again for more.")] = None,
    home: Annotated[bool, typer.Option("--home", help="Every device of the home.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Stage a package for devices; where it has finished it is staged anew."""
    named = ((By.DEVICE, device), (By.TAG, tag), (By.MODEL, model))
    targets = [Target(by, value) for by, values in named for value in values or ()] + [Target(By.HOME)] * home
    if not targets:
        raise typer.BadParameter("say for whom: --device, --tag, --model or --home")
    at = desk(context, data)
    with at.database.write() as tx:
        one = service.find_any(tx, at.home_id, package)
        staged = service.stage(tx, COMMAND_LINE, one, at.now(), to=targets)
    words = f"{staged} device{'' if staged == 1 else 's'}"
    show_json({"id": one.uid, "staged": staged}) if as_json else say(f"{one.name} is staged for {words}.")


@app.command()
def cancel(
    context: typer.Context,
    package: One,
    device: Annotated[str, typer.Option(help="Only for this device, by key or serial.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Cancel a package where it is not finished."""
    at = desk(context, data)
    with at.database.write() as tx:
        one = service.find_any(tx, at.home_id, package)
        [only] = service.devices_of(tx, at.home_id, [Target(By.DEVICE, device)]) if device else [None]
        ended = service.cancel(tx, COMMAND_LINE, one, at.now(), device_id=only.id if only else None)
    show_json({"id": one.uid, "cancelled": ended}) if as_json else say(f"Cancelled for {ended} devices.")


@app.command()
def status(context: typer.Context, package: One, data: Data = None, as_json: AsJson = False) -> None:
    """How far a package has got on each device."""
    at = desk(context, data)
    with at.database.read() as tx:
        one = service.find_any(tx, at.home_id, package)
        facts = shown.facts(tx, [one])[0]
        rows = shown.deliveries(tx, one)
    if as_json:
        times = [{**row, "staged_at": iso(row["staged_at"]), "changed_at": iso(row["changed_at"])} for row in rows]
        show_json({**facts, "deliveries": times})
        return
    table = [
        (row["device"]["name"], row["device"]["key"], row["state"], row["done_bytes"], row["changed_at"], row["detail"])
        for row in rows
    ]
    show_table(("device", "key", "state", "bytes done", "since", "detail"), table, empty="It is staged for nobody.")


@app.command("list")
def list_packages(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """All packages, newest first."""
    at = desk(context, data)
    with at.database.read() as tx:
        rows = shown.facts(tx, store.of_home(tx, at.home_id, most=10_000))
    if as_json:
        show_json(rows)
        return
    columns = ("id", "name", "version", "type", "count", "total_bytes")
    table = [[*(row[column] for column in columns), _states(row)] for row in rows]
    show_table((*columns[:4], "files", "bytes", "devices"), table, empty="No packages yet.")


def _states(row: dict[str, Any]) -> str:
    return ", ".join(f"{many} {state}" for state, many in row["devices"].items() if many)


@app.command()
def delete(context: typer.Context, package: One, data: Data = None, as_json: AsJson = False) -> None:
    """Delete a package; devices keep what they have."""
    at = desk(context, data)
    with at.database.write() as tx:
        one = service.find_any(tx, at.home_id, package)
        service.delete(tx, COMMAND_LINE, one, at.now())
    show_json({"deleted": one.uid}) if as_json else say(f"{one.name} is deleted.")


@app.command()
def export(
    context: typer.Context,
    package: One,
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle, as in /media/stick/config.wsbundle.")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file if it exists.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Write a package into one signed file, to be carried to a hub that no network reaches."""
    at = desk(context, data)
    if output.exists() and not replace:
        raise Conflict(f"{output} exists already; --replace replaces it")
    with at.database.read() as tx:
        one = service.find_any(tx, at.home_id, package)
    carried.export(Shelf(at), one, output)
    facts = {"file": str(output), "bytes": output.stat().st_size, "key": bundle.public_key(_keys(at.settings.data))}
    show_json(facts) if as_json else say(f"{output}: {facts['bytes']:,} bytes, signed by {facts['key']}")


@app.command("import")
def import_(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `package export` wrote.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take in a bundle that this hub or one of `bundle_keys` has signed. It is safe to repeat."""
    at = desk(context, data)
    with bar("bytes", size_of(source)) as tell:
        package, is_new = carried.take_in(Shelf(at), source, tell)
    _show_taken(package, is_new=is_new, as_json=as_json)


def _show_taken(package: Package, *, is_new: bool, as_json: bool) -> None:
    if as_json:
        show_json({"id": package.uid, "name": package.name, "version": package.version, "is_new": is_new})
    else:
        what = f"{package.name} {package.version}".strip()
        say(f"{what} is here now." if is_new else f"{what} was here already.")


@app.command()
def key(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """Print this hub's public key, which others put into their setting bundle_keys."""
    at = desk(context, data)
    own = bundle.public_key(_keys(at.settings.data))
    show_json({"key": own, "trusted": list(at.settings.bundle_keys)}) if as_json else say(own)


def _keys(data: Path) -> KeyRing:
    return KeyRing(data / "keys")
