"""`waystation …`: gathers the features' commands and the owner's; turns failures into one line and an exit code."""

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from waystation import __version__
from waystation.kernel.desk import FAILED, USAGE, AsJson, Data, say, show_json, show_table
from waystation.kernel.errors import DomainError, Invalid

EPILOG = "Exit codes: 0 done, 1 it could not be done, 2 wrong usage or a wrong setting, 130 interrupted."
main_app = typer.Typer(
    name="waystation", no_args_is_help=True, add_completion=True, epilog=EPILOG, pretty_exceptions_enable=False
)


class Group(NamedTuple):
    """Commands of a feature under one word, and where they are; their help stands here too, to be shown unloaded.

    `more` are commands of other features under the same word.
    """

    name: str
    where: str
    help: str
    more: tuple[str, ...] = ()


GROUPS = (
    Group("token", "waystation.identity.cli:tokens", "Make, list and revoke API tokens."),
    Group("person", "waystation.identity.cli:people", "Let people in again, keep them out, let them run the site."),
    Group("home", "waystation.homes.cli:home_app", "List, make, rename and delete homes."),
    Group(
        "member",
        "waystation.homes.cli:member_app",
        "See, invite, add and remove people of a home, and give them roles.",
    ),
    Group("device", "waystation.devices.cli:app", "Register, pair, list, revoke and delete devices."),
    Group("command", "waystation.commands.cli:app", "Ask devices to do things, and see what became of it."),
    Group("alert", "waystation.alerts.cli:app", "Alert rules and the incidents they found."),
    Group("message", "waystation.messages.cli:app", "See, follow and write out what devices wrote."),
    Group("data", "waystation.telemetry.keeping.cli:app", "See, keep and delete what is stored; who has which plan."),
    Group("export", "waystation.telemetry.transfer.cli:export_app", "Write readings into a file, of any length."),
    Group(
        "import",
        "waystation.telemetry.transfer.cli:import_app",
        "Bring in readings from a file, or an older hub.",
        more=("waystation.dialects.dropsync.importing.cli:app",),
    ),
    Group("file", "waystation.files.cli:app", "List, send, get and delete files of devices and people."),
    Group(
        "package",
        "waystation.files.packages.cli:app",
        "Make sync packages, stage them for devices, carry them on a stick.",
    ),
    Group("mail", "waystation.operation.cli:mail_app", "See mail that has not left, and try the mail server."),
    Group("nats", "waystation.operation.cli:nats_app", "What a NATS server of your own must know."),
)

HttpPort = Annotated[
    int | None, typer.Option("--port", min=0, max=65535, help="HTTP port. [default: 8000]", show_default=False)
]
MqttPort = Annotated[
    int | None,
    typer.Option("--mqtt-port", min=0, max=65535, help="MQTT port, 0 for none. [default: 1883]", show_default=False),
]
Host = Annotated[
    str | None, typer.Option("--host", help="Address to listen on. [default: 0.0.0.0]", show_default=False)
]


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"waystation {__version__}")
        raise typer.Exit


@main_app.callback()
def top(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Self-hosted, offline-first platform for IoT devices."""
    context.obj = _open


def _open(data: Path | None) -> Any:
    _leave_out_rich()
    from waystation.kernel import logs, settings  # noqa: PLC0415  `--help` answers without loading the house
    from waystation.operation import start  # noqa: PLC0415

    logs.configure("warning")
    return start.open_desk(*settings.load({"data": data}))


@main_app.command()
def serve(
    data: Data = None,
    port: HttpPort = None,
    mqtt_port: MqttPort = None,
    host: Host = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="HTTP processes; more than 1 needs PostgreSQL and NATS.", show_default=False),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="hub or cloud. [default: hub]", show_default=False)] = None,
) -> None:
    """Start the hub (or cloud) and serve until Ctrl-C."""
    sys.modules["rich"] = None  # type: ignore[assignment]  a server prints no tables; without them it is 5 MB smaller
    from waystation.kernel import settings  # noqa: PLC0415
    from waystation.operation import start  # noqa: PLC0415

    given = {"data": data, "port": port, "mqtt_port": mqtt_port, "host": host, "workers": workers, "preset": preset}
    raise typer.Exit(start.serve(*settings.load(given)))


@main_app.command()
def up(data: Data = None, port: HttpPort = None, mqtt_port: MqttPort = None, host: Host = None) -> None:
    """Start a hub and this machine's agent together, and serve until Ctrl-C."""
    from waystation.kernel import settings  # noqa: PLC0415
    from waystation.operation import up as both  # noqa: PLC0415

    given = {"data": data, "port": port, "mqtt_port": mqtt_port, "host": host}
    options = [
        word
        for name, value in given.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    raise typer.Exit(both.up(*settings.load(given), options))


@main_app.command("settings")
def settings_(data: Data = None, as_json: AsJson = False) -> None:
    """Print every setting, its value and where that came from."""
    from waystation.kernel import settings  # noqa: PLC0415

    known = settings.known(*settings.load({"data": data}))
    if as_json:
        show_json(
            [
                {"name": k.name, "value": k.value, "source": k.source, "variables": k.variables, "about": k.about}
                for k in known
            ]
        )
    else:
        rows = [(k.name, k.value, k.source, ", ".join(k.variables), k.about) for k in known]
        show_table(("setting", "value", "from", "variables", "about"), rows, empty="")


def gather(wanted: str | None = None) -> typer.Typer:
    """All commands; of the groups only the wanted one with what is in it, which loads that feature and no other."""
    from waystation.operation import cli  # noqa: PLC0415

    cli.add_to(main_app)
    for group in GROUPS:
        is_whole = wanted in (None, group.name)
        main_app.add_typer(_load(group) if is_whole else typer.Typer(name=group.name, help=group.help))
    return main_app


def _load(group: Group) -> typer.Typer:
    _leave_out_rich()
    found = _named(group.where)
    for where in group.more:
        found.registered_commands.extend(_named(where).registered_commands)
    return found


def _named(where: str) -> typer.Typer:
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def _leave_out_rich() -> None:
    """Structlog loads it whenever it is there, to show tracebacks that we do not show: 0.1 s of every command."""
    if "rich" in sys.modules or "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    import_module("structlog")
    del sys.modules["rich"]


def main() -> None:
    """The entry point of the command. Wrong usage has ended with exit code 2 before a DomainError can be."""
    completes = "_WAYSTATION_COMPLETE" in os.environ
    try:
        gather(None if completes else "".join(sys.argv[1:2]))()
    except Invalid as wrong:
        _fail(wrong.sentence, USAGE)
    except DomainError as fault:
        _fail(fault.sentence, FAILED)


def _fail(sentence: str, code: int) -> None:
    sys.stderr.write(f"waystation: {sentence}\n")
    sys.exit(code)
