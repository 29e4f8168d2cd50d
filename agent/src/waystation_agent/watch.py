"""`waystation-agent status --watch`: the status, drawn anew every second, on any terminal and over ssh."""

import shutil
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TextIO

PERIOD_SECONDS = 1.0
HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
BEGIN, END = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
"""A screen of its own without a cursor, and back to the one before."""


def watch(
    text_now: Callable[[], str], out: TextIO = sys.stdout, *, pause: Callable[[float], None] = time.sleep
) -> None:
    """Draw until Ctrl-C. Where the output is no terminal, one block after the other is written instead."""
    is_screen = out.isatty()
    if is_screen:
        out.write(BEGIN)
    try:
        while True:
            out.write(frame(text_now(), shutil.get_terminal_size()) if is_screen else f"{text_now()}\n\n")
            out.flush()
            pause(PERIOD_SECONDS)
    except KeyboardInterrupt:
        pass
    finally:
        if is_screen:
            out.write(END)
        out.flush()


def frame(text: str, size: tuple[int, int]) -> str:
    """Return what redraws the screen without flicker: no line wraps, and what does not fit below is left out."""
    columns, rows = size
    lines = [f"{datetime.now().astimezone():%H:%M:%S}   Ctrl-C ends", "", *text.splitlines()]
    if len(lines) > rows:
        lines = [*lines[: rows - 1], f"… {len(lines) - rows + 1} more lines"]
    return HOME + "\r\n".join(_printable(line)[:columns] + CLEAR_LINE for line in lines) + CLEAR_REST


def _printable(line: str) -> str:
    """Keep what a hub or a sensor says from steering the terminal."""
    return "".join(character if character.isprintable() else "?" for character in line)
