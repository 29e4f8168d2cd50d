"""`waystation …`: gathers the features' commands and the owner's; turns failures into one line and an exit code."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from waystation import __version__
from waystation.kernel.desk import FAILED, USAGE, AsJson, Data, say, show_json, show_table
from waystation.kernel.errors import DomainError, Invalid

EPILOG = "Exit codes: 0 done, 1 it could not be done, 2 wrong usage or a wrong setting, 130 interrupted."
main_app = typer.Typer(
    name="waystation", no_args_is_help=True, add_completion=True, epilog=EPILOG, pretty_exceptions_enable=False
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


def gather() -> typer.Typer:
    """All commands. Loads every feature, so it is not done for those that need none."""
    from waystation.app import FEATURES  # noqa: PLC0415
    from waystation.operation import cli  # noqa: PLC0415

    for feature in FEATURES:
        if feature.cli is not None:
            main_app.add_typer(feature.cli)
    cli.add_to(main_app)
    return main_app


def main() -> None:
    """The entry point of the command. Wrong usage has ended with exit code 2 before a DomainError can be."""
    if sys.argv[1:2] == ["serve"]:
        sys.modules["rich"] = None  # type: ignore[assignment]  a server prints no tables; without them it is 5 MB smaller
    try:
        gather()()
    except Invalid as wrong:
        _fail(wrong.sentence, USAGE)
    except DomainError as fault:
        _fail(fault.sentence, FAILED)


def _fail(sentence: str, code: int) -> None:
    sys.stderr.write(f"waystation: {sentence}\n")
    sys.exit(code)
