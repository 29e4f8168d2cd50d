"""The owner's commands: look at the program, look into a hub, save it, bring it back, try it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from waystation.kernel.desk import FAILED, AsJson, Data, desk, say, show_json, show_table
from waystation.kernel.errors import Invalid

INTERRUPTED = 130
FIRMWARE_SECONDS = 15  # a thermostat's pace
mail_app = typer.Typer(name="mail", help="See mail that has not left, and try the mail server.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(help="Its number in the list.")]
nats_app = typer.Typer(name="nats", help="What a NATS server of your own must know.", no_args_is_help=True)


def add_to(main_app: typer.Typer) -> None:
    """What a command stands on is loaded when it is run."""
    main_app.command("map")(map_)
    for command in (restart, doctor, backup, restore, simulate):
        main_app.command()(command)


def map_(data: Data = None, as_json: AsJson = False) -> None:
    """Print every route with who may call it, every job with its period, every event with who listens."""
    del data  # taken because every command takes it; this is the same for every folder
    from waystation.operation import map as site  # noqa: PLC0415

    shown = site.survey()
    show_json(site.facts(shown)) if as_json else typer.echo(site.text(shown), nl=False)


@nats_app.command()
def issuer(data: Data = None, as_json: AsJson = False) -> None:
    """Print the public key that your NATS must trust; the first call makes its private half in the data folder."""
    from waystation.kernel import settings  # noqa: PLC0415
    from waystation.kernel.nats_keys import AccountKey  # noqa: PLC0415
    from waystation.kernel.secrets import KeyRing  # noqa: PLC0415

    wanted, _ = settings.load({"data": data})
    public = AccountKey(KeyRing(wanted.data / "keys").get("nats-account")).public
    show_json({"issuer": public}) if as_json else say(public)


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


def restart(data: Data = None) -> None:
    """Start a running hub anew, after an upgrade or for new settings; whoever calls meanwhile waits a moment."""
    from waystation.kernel import settings  # noqa: PLC0415
    from waystation.operation import start  # noqa: PLC0415

    wanted, _ = settings.load({"data": data})
    start.restart(wanted.data)
    say("the hub has started anew")


def _show(name: str, finding: Any) -> None:
    colour = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "fault": typer.colors.RED}[finding.state]
    typer.echo(f"{typer.style(f'{finding.state:8}', fg=colour)} {name:15} {finding.sentence}")
    if finding.advice:
        typer.echo(f"{'':24} → {finding.advice}")


def backup(
    file: Annotated[
        Path | None, typer.Argument(help="Where to: a name that ends in .tar or .tar.gz.", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="Lock the keys with the first line of this file, not the recovery code.")
    ] = None,
    show_code: Annotated[
        bool, typer.Option("--show-code", help="Print the recovery code, which opens the keys in backups.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Save a hub to one verified file, also while it runs; its keys are locked in it with a recovery code."""
    from waystation.kernel import settings  # noqa: PLC0415
    from waystation.operation import backup_command  # noqa: PLC0415

    wanted, sources = settings.load({"data": data})
    if show_code:
        backup_command.show_code(wanted, as_json=as_json)
    elif file is None:
        raise Invalid("name the file to make, as in `waystation backup hub.tar.gz`")
    if file is not None:
        backup_command.save((wanted, sources), file, passphrase_file, replace=force, as_json=as_json)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `waystation backup` made.")],
    code: Annotated[str | None, typer.Option(help="Its recovery code.", show_default=False)] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="A file whose first line is the passphrase or recovery code.")
    ] = None,
    without_keys: Annotated[
        bool, typer.Option("--without-keys", help="Leave out what is locked; says what is lost.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a data folder from a backup: an empty or new one, whole or not at all."""
    from waystation.operation import restore_command  # noqa: PLC0415
    from waystation.operation.restore_key import Given  # noqa: PLC0415

    restore_command.bring_back(file, data, Given(code, passphrase_file, without_keys), as_json=as_json)


class Fleet(StrEnum):
    MIXED = "mixed"
    THERMOSTAT = "thermostat"


def simulate(  # noqa: PLR0913
    context: typer.Context,
    fleet: Annotated[
        Fleet, typer.Argument(help="Of all kinds, or thermostats that speak as their firmware does.")
    ] = Fleet.MIXED,
    *,
    devices: Annotated[int, typer.Option(min=1, max=100_000, help="How many devices.")] = 20,
    rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Readings a second, of all devices together. [default: 10, thermostats: each one in 15 s]",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0, help="How long; 0 is until Ctrl-C.")] = 0.0,
    mqtt_share: Annotated[float, typer.Option(min=0, max=1, help="Part of the devices that use MQTT.")] = 0.3,
    hub: Annotated[
        str | None,
        typer.Option(help="Its address. [default: the one that runs on the data folder]", show_default=False),
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Read everything back and compare.")] = False,
    backfill: Annotated[
        str, typer.Option(help="Write so much history first, as in 365d or 12h.", show_default=False)
    ] = "",
    step: Annotated[float, typer.Option(min=1, help="Seconds between two readings of that history.")] = 60.0,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Run a fleet of believable devices against a hub: weather stations, fridges, meters, greenhouses, thermostats."""
    from waystation.operation.simulate import display, run  # noqa: PLC0415

    thermostats = fleet is Fleet.THERMOSTAT
    rate = rate or (devices / FIRMWARE_SECONDS if thermostats else 10.0)
    past = run.Past(backfill, step)
    asked = run.Asked(devices, rate, seconds, mqtt_share, hub, verify, as_json, thermostats=thermostats, past=past)
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


@mail_app.command("list")
def mail_list(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """Mail that waits, and mail that was given up, with the reason; never its text."""
    from waystation.kernel import mail  # noqa: PLC0415

    with desk(context, data).database.read() as tx:
        found = mail.waiting(tx)
    columns = ("id", "to", "subject", "written_at", "state", "tries", "due_at", "fault")
    rows = [
        (m.id, m.letter.to, m.letter.subject, m.letter.written_at, m.state, m.tries, m.due_at, m.fault) for m in found
    ]
    if as_json:
        show_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        show_table(columns, rows, empty="No mail is waiting.")


@mail_app.command("show")
def mail_show(context: typer.Context, number: Number, data: Data = None) -> None:
    """Print one mail with its text, which may hold a secret link."""
    from waystation.kernel import mail  # noqa: PLC0415

    with desk(context, data).database.read() as tx:
        found = mail.by_id(tx, number)
    say(f"To: {found.letter.to}\nSubject: {found.letter.subject}\n\n{found.letter.text}")


@mail_app.command("retry")
def mail_retry(
    context: typer.Context,
    number: Annotated[int | None, typer.Argument(help="Its number. [default: all]", show_default=False)] = None,
    data: Data = None,
) -> None:
    """Send one again, or all that wait or were given up; a running hub does it at once."""
    from waystation.kernel import mail  # noqa: PLC0415

    at = desk(context, data)
    with at.database.write() as tx:
        due = mail.again(tx, mail.waiting(tx) if number is None else [mail.by_id(tx, number)], at.now())
    say(f"{due} will be sent again")


@mail_app.command("drop")
def mail_drop(context: typer.Context, number: Number, data: Data = None) -> None:
    """Throw one away."""
    from waystation.kernel import mail  # noqa: PLC0415

    with desk(context, data).database.write() as tx:
        mail.forget(tx, mail.by_id(tx, number).id)
    say(f"mail {number} is thrown away")


@mail_app.command("test")
def mail_test(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Who gets the mail.")],
    data: Data = None,
) -> None:
    """Send a mail at once and say what the mail server answered."""
    from waystation.kernel import mail  # noqa: PLC0415

    at = desk(context, data)
    mail.post_now(at.settings, address, at.now())
    say(f"the mail server has taken a mail to {address}")
