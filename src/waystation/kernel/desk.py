"""Where a command sits: at the hub's settings and database, beside it or without it, and how it answers a person."""

import json
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from waystation.kernel.clock import Clock, SystemClock, iso

if TYPE_CHECKING:  # a command that needs neither must not wait for them
    from waystation.kernel.db import Database
    from waystation.kernel.settings import Settings

FAILED, USAGE = 1, 2

Data = Annotated[
    Path | None, typer.Option("--data", help="Data folder of the hub. [default: waystation-data]", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the facts as JSON.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """The database is up to date and the hub's home exists, whether or not the hub runs."""

    settings: "Settings"
    sources: Mapping[str, str]
    database: "Database"
    home_id: int
    clock: Clock = SystemClock()  # noqa: RUF009  it has no state

    def now(self) -> datetime:
        return self.clock.now()


Open = Callable[[Path | None], Desk]


def desk(context: typer.Context, data: Path | None) -> Desk:
    """The top command puts the way to open it into the context; a feature's commands need not know the others."""
    opened: Open = context.obj
    return opened(data)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def show_json(facts: Any) -> None:
    say(json.dumps(facts, default=_plain, ensure_ascii=False))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, empty: str) -> None:
    if not rows:
        say(empty)
        return
    from rich.console import Console  # noqa: PLC0415  9 MB that a serving process does without
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else _plain(cell) for cell in row))
    width = None if sys.stdout.isatty() else 160
    Console(width=width, markup=False, emoji=False).print(table)  # a name may be any text


@contextmanager
def bar(words: str, total: int) -> Generator[Callable[[int], None]]:
    """Progress on a terminal's standard error; nothing for programs."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console  # noqa: PLC0415  as above
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

    count = TextColumn("{task.completed:,.0f} {task.description}")
    columns = (BarColumn(), count, TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(words, total=total or None)
        yield lambda done: shown.update(task, completed=done)


def _plain(fact: Any) -> str:
    return iso(fact) if isinstance(fact, datetime) else str(fact)
