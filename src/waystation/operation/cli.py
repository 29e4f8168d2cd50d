"""The owner's commands: look at the program, look into a hub, save it, bring it back, try it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from waystation.kernel.desk import FAILED, AsJson, Data, desk, say, show_json

INTERRUPTED = 130


def add_to(main_app: typer.Typer) -> None:
    """What a command stands on is loaded when it is run."""
    main_app.command("map")(map_)
    for command in (doctor, backup, restore, simulate):
        main_app.command()(command)


def map_(data: Data = None, as_json: AsJson = False) -> None:
    """Print every route with who may call it, every job with its period, every event with who listens."""
    del data  # taken because every command takes it; this is the same for every folder
    from waystation.operation import map as site  # noqa: PLC0415

    shown = site.survey()
    show_json(site.facts(shown)) if as_json else typer.echo(site.text(shown), nl=False)


def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Look at everything a hub stands on and say what to do; exit code 1 if anything is at fault."""
    from waystation.kernel import logs, settings  # noqa: PLC0415
    from waystation.operation import start  # noqa: PLC0415
    from waystation.operation.doctor import Site, State, examine  # noqa: PLC0415
    from waystation.operation.doctor_hub import CHECKS, facts  # noqa: PLC0415

    logs.configure("error")
    wanted, _ = settings.load({"data": data})
    found: dict[str, Any] = {}
    for name, finding in examine(Site(wanted, start.running(wanted.data)), CHECKS):
        found[name] = finding
        if not as_json:
            _show(name, finding)
    if as_json:
        show_json(facts(found))
    raise typer.Exit(FAILED if any(one.state is State.FAULT for one in found.values()) else 0)


def _show(name: str, finding: Any) -> None:
    colour = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "fault": typer.colors.RED}[finding.state]
    typer.echo(f"{typer.style(f'{finding.state:8}', fg=colour)} {name:15} {finding.sentence}")
    if finding.advice:
        typer.echo(f"{'':24} → {finding.advice}")


def backup(
    file: Annotated[Path, typer.Argument(help="Where to: a name that ends in .tar or .tar.gz.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Save a hub to one verified file, also while it runs; the file holds its keys, so keep it private."""
    from waystation.kernel import settings  # noqa: PLC0415
    from waystation.operation import backup as saving  # noqa: PLC0415
    from waystation.operation.progress import steps  # noqa: PLC0415

    with steps() as tell:
        made = saving.make(*settings.load({"data": data}), file, replace=force, tell=tell)
    facts = {"file": str(file), "bytes": file.stat().st_size, "made_at": made.made_at, "queue": made.queue}
    if as_json:
        show_json({**facts, "rows": made.rows})
    else:
        say(f"{file} holds everything that was acknowledged until {made.made_at}: {facts['bytes']:,} bytes, verified")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `waystation backup` made.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a data folder from a backup: an empty or new one, whole or not at all."""
    from waystation import app  # noqa: PLC0415
    from waystation.kernel import settings  # noqa: PLC0415
    from waystation.operation import restore as bringing_back  # noqa: PLC0415
    from waystation.operation.progress import steps  # noqa: PLC0415

    wanted, _ = settings.load({"data": data})
    with steps() as tell:
        found = bringing_back.restore(file, wanted.data, app.PACKAGE, tell=tell)
    if as_json:
        show_json({"data": str(wanted.data), "made_at": found.made_at, "rows": found.rows})
    else:
        say(f"{wanted.data} is as the hub was at {found.made_at}. Start it: waystation serve --data {wanted.data}")


def simulate(
    context: typer.Context,
    *,
    devices: Annotated[int, typer.Option(min=1, max=100_000, help="How many devices.")] = 20,
    rate: Annotated[float, typer.Option(min=0.001, help="Readings a second, of all devices together.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0 is until Ctrl-C.")] = 0.0,
    mqtt_share: Annotated[float, typer.Option(min=0, max=1, help="Part of the devices that use MQTT.")] = 0.3,
    hub: Annotated[
        str | None,
        typer.Option(help="Its address. [default: the one that runs on the data folder]", show_default=False),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read everything back and compare.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Run a fleet of believable devices against a hub: weather stations, fridges, meters, greenhouses, thermostats."""
    from waystation.operation.simulate import display, run  # noqa: PLC0415

    asked = run.Asked(devices, rate, seconds, mqtt_share, hub, verify, quiet=as_json)
    done = run.simulate(desk(context, data), asked)
    if as_json:
        show_json(done.facts)
    else:
        say(display.summary(done.tally, done.seconds))
        if done.verdict:
            say(f"read back: {done.verdict.missing:,} values missing, {done.verdict.doubled:,} there twice")
    if done.was_interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if done.is_good else FAILED)
