"""`waystation-agent say` on the command line: a line for the hub's page of messages, or what a program prints."""

import argparse
import sqlite3
import sys
from contextlib import closing
from typing import Any

from waystation_agent.errors import Fault
from waystation_agent.folder import Folder
from waystation_agent.messages.outbox import LONGEST_CONTENT, SEVERITIES, Line, Outbox


def run(chosen: argparse.Namespace) -> int:
    folder: Folder = chosen.data
    folder.make()
    try:
        with closing(Outbox(folder.messages)) as outbox:
            if chosen.content == "-":
                _follow(outbox, chosen)
            else:
                outbox.put(Line(chosen.content, chosen.severity, chosen.type))
    except sqlite3.Error as error:
        raise Fault(f"{folder.messages} cannot be used: {error}") from error
    return 0


def _follow(outbox: Outbox, chosen: argparse.Namespace) -> None:
    """Line by line as they come, each on disk before the next is read; what is too long is cut."""
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue]
    for text in sys.stdin:
        if text.strip():
            outbox.put(Line(text.rstrip("\n")[:LONGEST_CONTENT], chosen.severity, chosen.type))


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("say", parents=[common], help="write a message for the hub")
    parser.add_argument("content", metavar="TEXT", help="at most 4,096 characters; - reads lines from stdin")
    parser.add_argument("--severity", choices=SEVERITIES, default="info")
    parser.add_argument("--type", default="log", help="a word to find it by (default: log)")
    parser.set_defaults(command=run)
