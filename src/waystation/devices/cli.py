"""`waystation device …`: the registry from a terminal, beside a running hub or without one."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer

from waystation.devices import registration, service, store, tags
from waystation.devices.completion import device_keys
from waystation.devices.model import CredentialKind, Device
from waystation.kernel import qr
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import AsJson, Data, Desk, desk, say, show_json, show_table
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing

app = typer.Typer(name="device", help="Register, pair, list, revoke and delete devices.", no_args_is_help=True)
Key = Annotated[str, typer.Argument(help="The device's key or serial.", autocompletion=device_keys)]


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


@app.command("registration-token")
def registration_token(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people will call the device.")] = "",
    test_mode: Annotated[bool, typer.Option("--test-mode", help="Tokens of minutes, to watch them renew.")] = False,
    approve: Annotated[bool, typer.Option("--approve", help="Approved beforehand: it need not wait for you.")] = False,
    device: Annotated[str, typer.Option(help="Key of a device to pair again.", show_default=False)] = "",
    minutes: Annotated[float, typer.Option(help="How long it can be used.")] = registration.MINUTES,
    public_key: Annotated[str, typer.Option(help="Your own P-256 key, for sealed reports.", show_default=False)] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make the line that a JunctionRelay device registers with. With --json it is all that is printed."""
    at = desk(context, data)
    sealing = Sealing(KeyRing(at.settings.data / "keys"))
    with at.database.write() as tx:
        known = service.find_any(tx, at.home_id, device) if device else None
        wanted = registration.Wanted(name, minutes, test_mode, approve, public_key, known)
        made = registration.offer(tx, sealing, COMMAND_LINE, at.home_id, wanted=wanted, now=at.now())
    if as_json:
        say(made.line)
        return
    say(f"Paste this line into {made.name}; it works once, until {made.expires_at:%Y-%m-%d %H:%M} UTC:\n")
    say(made.line + "\n")
    say(qr.terminal(made.line))


@app.command()
def approve(context: typer.Context, key: Key, data: Data = None) -> None:
    """Accept a device that registered itself and waits for it."""
    at = desk(context, data)
    with at.database.write() as tx:
        registration.approve(tx, COMMAND_LINE, service.find_any(tx, at.home_id, key), at.now())
    say(f"{key} is approved")


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
def tag(
    context: typer.Context,
    key: Key,
    words: Annotated[list[str] | None, typer.Argument(help="Tags to give it; none only lists what it has.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A tag to take away; may be said again.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a device tags, take them away, and list them."""
    at = desk(context, data)
    with at.database.write() as tx:
        device = service.find_any(tx, at.home_id, key)
        for word in words or ():
            tags.tag(tx, COMMAND_LINE, device, at.now(), tag=word)
        for word in remove or ():
            tags.untag(tx, COMMAND_LINE, device, at.now(), tag=word)
        found = tags.tags_of(tx, device.id)
    show_json(found) if as_json else say(" ".join(found) or f"{device.name} has no tag")


@app.command()
def revoke(context: typer.Context, key: Key, data: Data = None) -> None:
    """Take all credentials from a device; a running hub ends its connections at once."""
    at = desk(context, data)
    with at.database.write() as tx:
        count = service.revoke(tx, COMMAND_LINE, service.find_any(tx, at.home_id, key), at.now())
    say(f"revoked {count} credential{'s' if count != 1 else ''} of {key}")


@app.command("new-key")
def new_key(
    context: typer.Context,
    key: Key,
    kind: Annotated[CredentialKind, typer.Option(help="What its client calls it.")] = CredentialKind.API_KEY,
    days: Annotated[float | None, typer.Option(help="How long it is good. [default: ten years]")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Give a device one more credential and print it, this once."""
    at = desk(context, data)
    with at.database.write() as tx:
        device = service.find_any(tx, at.home_id, key)
        made = service.new_credential(tx, COMMAND_LINE, device, at.now(), kind=kind, days=days)
    show_json(asdict(made)) if as_json else say(made.api_key)


@app.command()
def credentials(context: typer.Context, key: Key, data: Data = None, as_json: AsJson = False) -> None:
    """A device's credentials, without their secrets."""
    at = desk(context, data)
    with at.database.read() as tx:
        found = [asdict(one) for one in store.credentials(tx, service.find_any(tx, at.home_id, key).id)]
    columns = ("id", "kind", "state", "hint", "created_at", "expires_at", "last_used_at")
    if as_json:
        show_json([{column: row[column] for column in columns} for row in found])
    else:
        show_table(columns, [[row[column] for column in columns] for row in found], empty="No credential.")


@app.command()
def rotate(
    context: typer.Context,
    key: Key,
    credential: Annotated[int, typer.Argument(help="Its number in `device credentials`.")],
    overlap_days: Annotated[
        float, typer.Option(help="How long the old one stays good if the new one is unused.")
    ] = 30.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Replace a credential without a gap and print the new one, this once."""
    at = desk(context, data)
    with at.database.write() as tx:
        device, overlap = service.find_any(tx, at.home_id, key), timedelta(days=overlap_days)
        made = service.rotate(tx, COMMAND_LINE, device, at.now(), credential_id=credential, overlap=overlap)
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
    times = {"pending_since": device.pending_since, "created_at": device.created_at}
    return {**facts, **times, "last_seen_at": device.last_seen_at}
