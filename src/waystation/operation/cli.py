"""The owner's commands."""

import typer

from waystation.kernel.desk import AsJson, Data, show_json


def add_to(main_app: typer.Typer) -> None:
    """`waystation map`, `doctor`, `backup` and so on. What a command stands on is loaded when it is run."""
    main_app.command("map")(map_)


def map_(data: Data = None, as_json: AsJson = False) -> None:
    """Print every route with who may call it, every job with its period, every event with who listens."""
    del data  # taken because every command takes it; this is the same for every folder
    from waystation.operation import map as site  # noqa: PLC0415

    shown = site.survey()
    show_json(site.facts(shown)) if as_json else typer.echo(site.text(shown), nl=False)
