"""`waystation token …`, `waystation person …`: API tokens and people's accounts from a terminal."""

import re
from typing import Annotated

import typer

from waystation.identity import account, service, store
from waystation.identity.factors import service as factors
from waystation.identity.factors.service import Mine
from waystation.kernel import audit, mail
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.db import Tx
from waystation.kernel.desk import AsJson, Data, desk, say, show_json, show_table
from waystation.kernel.errors import Conflict, Invalid, NotFound
from waystation.kernel.site import public_url

tokens = typer.Typer(name="token", help="Make, list and revoke API tokens.", no_args_is_help=True)
people = typer.Typer(
    name="person", help="Let people in again, keep them out, let them run the site.", no_args_is_help=True
)

BASIC_USER = re.compile(r"[A-Za-z0-9._~-]{1,64}")
"""What stands in an address, `http://user:password@hub`, as it is."""
Email = Annotated[str, typer.Argument(help="The address that the person signs in with.")]


@tokens.command()
def create(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Option(help="What it is for. [default: command line, or admin]", show_default=False)
    ] = None,
    days: Annotated[int | None, typer.Option(help="How long it is good. [default: until revoked]", min=1)] = None,
    basic: Annotated[bool, typer.Option("--basic", help="As user and password, for HTTP Basic.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an administrator's token for `Authorization: Bearer`, or for HTTP Basic, and print it, this once."""
    at, name = desk(context, data), name or ("admin" if basic else "command line")
    if basic and not BASIC_USER.fullmatch(name):
        raise Invalid("a user of HTTP Basic has 1 to 64 of the characters A-Z a-z 0-9 . _ ~ -")
    with at.database.write() as tx:
        token = service.new_token(tx, COMMAND_LINE, at.now(), name=name, days=days)
    if basic:
        show_json({"user": name, "password": token}) if as_json else say(f"{name}:{token}")
    else:
        show_json({"token": token, "name": name}) if as_json else say(token)


@tokens.command("list")
def list_(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """Everybody's tokens, without their secrets."""
    at = desk(context, data)
    with at.database.read() as tx:
        rows = store.tokens(tx)
    columns = ("id", "name", "person", "role", "created_at", "expires_at", "used_at", "revoked_at")
    if as_json:
        show_json([{column: getattr(row, column) for column in columns} for row in rows])
    else:
        show_table(columns, [[getattr(row, column) for column in columns] for row in rows], empty="No API tokens yet.")


@tokens.command()
def revoke(
    context: typer.Context, token_id: Annotated[int, typer.Argument(help="Its number in the list.")], data: Data = None
) -> None:
    """End a token at once."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.revoke_token(tx, COMMAND_LINE, at.now(), token_id)
    say(f"token {token_id} is revoked")


@people.command()
def reset_password(context: typer.Context, email: Email, data: Data = None, as_json: AsJson = False) -> None:
    """Print a link, good once and for a day, with which the person chooses a new password."""
    at = desk(context, data)
    with at.database.write() as tx:
        secret = account.people.reset_link(tx, COMMAND_LINE, _person(tx, email), at.now())
    link = f"{public_url(at.settings)}/reset/{secret}"
    show_json({"link": link, "email": email}) if as_json else say(link)


@people.command()
def disable(context: typer.Context, email: Email, data: Data = None) -> None:
    """Sign somebody out everywhere and keep them out; nothing of theirs is lost."""
    at = desk(context, data)
    with at.database.write() as tx:
        account.people.disable(tx, COMMAND_LINE, _person(tx, email), at.now())
    say(f"{email} is disabled and signed out everywhere")


@people.command()
def enable(context: typer.Context, email: Email, data: Data = None) -> None:
    """Let somebody sign in again who was disabled."""
    at = desk(context, data)
    with at.database.write() as tx:
        account.people.enable(tx, COMMAND_LINE, _person(tx, email), at.now())
    say(f"{email} may sign in again")


@people.command()
def sign_out(context: typer.Context, email: Email, data: Data = None) -> None:
    """End all of somebody's browser sessions and app log-ins at once."""
    at = desk(context, data)
    with at.database.write() as tx:
        ended = account.people.sign_out_everywhere(tx, COMMAND_LINE, _person(tx, email), at.now())
    say(f"{email} is signed out in {ended} place{'' if ended == 1 else 's'}")


@people.command()
def remove_second_step(context: typer.Context, email: Email, data: Data = None) -> None:
    """Take away somebody's second step and passkeys, when phone and recovery codes are lost."""
    at = desk(context, data)
    with at.database.write() as tx:
        theirs = Mine(_person(tx, email), COMMAND_LINE, mails=mail.is_on(at.settings))
        factors.clear(tx, theirs, at.now())
    say(f"{email} signs in with the password alone")


@people.command()
def operator(
    context: typer.Context,
    email: Email,
    off: Annotated[bool, typer.Option("--off", help="Take it away again.")] = False,
    data: Data = None,
) -> None:
    """Let a person run the site: see everybody's accounts, sessions and homes, and how the machine is."""
    at = desk(context, data)
    with at.database.write() as tx:
        person_id = _person(tx, email)
        if not store.make_operator(tx, person_id, yes=not off):
            raise Conflict(f"{email} {'does not run' if off else 'runs'} the site already")
        did = "took the site from" if off else "gave the site to"
        audit.note(tx, COMMAND_LINE, did, f"person:{email}", now=at.now())
    say(f"{email} {'no longer runs' if off else 'runs'} the site")


def _person(tx: Tx, email: str) -> int:
    """Also of a disabled person."""
    row = store.anybody_called(tx, email)
    if row is None:
        raise NotFound(f"nobody has an account with the address {email}")
    return row.id
