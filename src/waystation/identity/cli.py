"""`waystation token …`: an administrator's API tokens from a terminal."""

from typing import Annotated

import typer

from waystation.identity import service, store
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.desk import AsJson, Data, desk, say, show_json, show_table

app = typer.Typer(name="token", help="Make, list and revoke API tokens.", no_args_is_help=True)


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    days: Annotated[int | None, typer.Option(help="How long it is good. [default: until revoked]", min=1)] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make an administrator's token for `Authorization: Bearer` and print it, this once."""
    at = desk(context, data)
    with at.database.write() as tx:
        token = service.new_token(tx, COMMAND_LINE, at.now(), name=name, days=days)
    show_json({"token": token, "name": name}) if as_json else say(token)


@app.command("list")
def list_(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """All tokens, without their secrets."""
    at = desk(context, data)
    with at.database.read() as tx:
        rows = store.tokens(tx)
    columns = ("id", "name", "role", "created_at", "expires_at", "used_at", "revoked_at")
    if as_json:
        show_json([{column: getattr(row, column) for column in columns} for row in rows])
    else:
        show_table(columns, [[getattr(row, column) for column in columns] for row in rows], empty="No API tokens yet.")


@app.command()
def revoke(
    context: typer.Context, token_id: Annotated[int, typer.Argument(help="Its number in the list.")], data: Data = None
) -> None:
    """End a token at once."""
    at = desk(context, data)
    with at.database.write() as tx:
        service.revoke_token(tx, COMMAND_LINE, at.now(), token_id)
    say(f"token {token_id} is revoked")
