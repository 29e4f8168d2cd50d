"""The owner's commands."""

import typer


def add_to(main_app: typer.Typer) -> None:
    """`waystation map`, `doctor`, `backup` and so on."""
    del main_app
