"""Progress bars for what takes long, on the terminal only: what a program reads stays free of them."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from waystation.operation.archive import Tell

COLUMNS = (SpinnerColumn, BarColumn, TaskProgressColumn, TimeElapsedColumn)


@contextmanager
def steps() -> Generator[Tell]:
    """A line per step, each with its bar once it is known how much there is to do."""
    told: dict[str, TaskID] = {}
    text = TextColumn("{task.description}")
    console = Console(stderr=True)
    bars = Progress(text, *(column() for column in COLUMNS), console=console, disable=not sys.stderr.isatty())

    def tell(step: str, done: int, total: int) -> None:
        if step not in told:
            _finish(bars, told)
            told[step] = bars.add_task(step, total=total or None)
        bars.update(told[step], completed=done, total=total or None)

    with bars:
        yield tell
        _finish(bars, told)


def _finish(bars: Progress, told: dict[str, TaskID]) -> None:
    for task in told.values():
        bars.update(task, total=1, completed=1)
