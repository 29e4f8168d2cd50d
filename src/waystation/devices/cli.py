"""`waystation device …`: the registry from a terminal, beside a running hub or without one."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from waystation.devices import service, store
from waystation.devices.model import Device
from waystation.kernel import qr
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import AsJson, Data, Desk, desk, say, show_json, show_table

app = typer.Typer(name="device", help="Register, pair, list, revoke and delete devices.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="The device's key or serial.")]


@app.command()
def register(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    model: Annotated[str, typer.Option(help="What kind of hardware it is.")] = "",
    serial: Annotated[str, typer.Option(help="Its serial. [default: its key]", show_default=False)] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a device and print its API key, this once."""
    at = desk(context, data)
    with at.database.write() as tx:
        made = service.register(tx, COMMAND_LINE, at.home_id, at.now(), name=name, model_text=model, serial=serial)
    if as_json:
        show_json({**asdict(made), "mqtt_port": at.settings.mqtt_port or None})
        return
    say(f"{made.name} is registered. Its API key is shown only now:\n")
    show_table(("key", "serial", "api key"), [(made.key, made.serial, made.api_key)], empty="")


@app.command()
def claim(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people will call it; empty lets it name itself.")] = "",
    hours: Annotated[float, typer.Option(help="How long the code can be used.")] = 24.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a one-time code for a device that introduces itself."""
    at = desk(context, data)
    with at.database.write() as tx:
        made = service.offer_claim(tx, COMMAND_LINE, at.home_id, at.now(), name=name, hours=hours)
    if as_json:
        show_json({"code": made.code, "name": made.name, "expires_at": made.expires_at})
        return
    say(f"{made.code}   works once, until {made.expires_at:%Y-%m-%d %H:%M} UTC\n")
    say(qr.terminal(made.code))
    say(f"On the device:  waystation-agent pair {made.code} --server http://ADDRESS-OF-THIS-HUB:{at.settings.port}")


@app.command("list")
def list_(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """All devices with their state."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = store.search(tx, at.home_id, "", 100_000)
    rows = [_row(at, device) for device in found]
    if as_json:
        show_json(rows)
    else:
        columns = ("key", "serial", "name", "model", "state", "last_seen_at")
        show_table(columns, [[row[column] for column in columns] for row in rows], empty="No devices yet.")


@app.command()
def revoke(context: typer.Context, key: Key, data: Data = None) -> None:
    """Take all credentials from a device; a running hub ends its connections at once."""
    at = desk(context, data)
    with at.database.write() as tx:
        count = service.revoke(tx, COMMAND_LINE, service.find_any(tx, at.home_id, key), at.now())
    say(f"revoked {count} credential{'s' if count != 1 else ''} of {key}")


@app.command("new-key")
def new_key(context: typer.Context, key: Key, data: Data = None, as_json: AsJson = False) -> None:
    """Give a device one more API key and print it, this once."""
    at = desk(context, data)
    with at.database.write() as tx:
        made = service.new_api_key(tx, COMMAND_LINE, service.find_any(tx, at.home_id, key), at.now())
    show_json(asdict(made)) if as_json else say(made.api_key)


@app.command()
def disable(context: typer.Context, key: Key, data: Data = None) -> None:
    """Refuse and disconnect a device until it is enabled."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.disable(tx, COMMAND_LINE, service.find_any(tx, at.home_id, key), at.now())
    say(f"{key} is disabled")


@app.command()
def enable(context: typer.Context, key: Key, data: Data = None) -> None:
    """Let a disabled device in again."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.enable(tx, COMMAND_LINE, service.find_any(tx, at.home_id, key), at.now())
    say(f"{key} is enabled")


@app.command()
def delete(
    context: typer.Context,
    key: Key,
    name: Annotated[str, typer.Option("--name", help="Its name, to say that this one is meant.")],
    data: Data = None,
) -> None:
    """Delete a device with all its data, for good."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.delete(tx, COMMAND_LINE, service.find_any(tx, at.home_id, key), at.now(), typed_name=name)
    say(f"{key} and its data are deleted")


def _row(at: Desk, device: Device) -> dict[str, Any]:
    state = device.presence(at.now(), at.settings.online_seconds)
    facts = {"key": device.key, "serial": device.serial, "name": device.name, "model": device.model, "state": state}
    return {**facts, "created_at": device.created_at, "last_seen_at": device.last_seen_at}
