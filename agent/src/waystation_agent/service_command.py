"""`waystation-agent install-service`, `uninstall-service` and `wait-for-time` on the command line."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waystation_agent import time_sync
from waystation_agent.errors import BadInput
from waystation_agent.folder import Folder, default_folder
from waystation_agent.unit import STATE, TIME_SECONDS

if TYPE_CHECKING:
    from waystation_agent.service import Place


def run_install(chosen: argparse.Namespace) -> int:
    from waystation_agent.service import install, unit_text  # noqa: PLC0415  a running agent has no use for it

    place = _place(chosen)
    text = unit_text(place, chosen.period, _folder(chosen, place))
    sys.stdout.write(text if chosen.print else install(place, text) + "\n")
    return 0


def run_uninstall(chosen: argparse.Namespace) -> int:
    from waystation_agent.service import uninstall  # noqa: PLC0415  as above

    sys.stdout.write(uninstall(_place(chosen)) + "\n")
    return 0


def run_wait(chosen: argparse.Namespace) -> int:
    found = time_sync.wait(chosen.most)
    words = {True: "set by the network", False: "not set by the network yet", None: "not known to be set or not"}
    sys.stdout.write(f"The clock is {words[found]}.\n")
    return 0


def _place(chosen: argparse.Namespace) -> "Place":
    from waystation_agent.service import Place  # noqa: PLC0415  as above

    if chosen.user and chosen.root:
        raise BadInput("--user and --root exclude each other")
    root = Path(chosen.root).resolve() if chosen.root else Path("/")
    if not root.is_dir():
        raise BadInput(f"{root} is not a folder")
    return Place(root, chosen.user)


def _folder(chosen: argparse.Namespace, place: "Place") -> Folder | None:
    if place.is_users:
        return Folder(chosen.data.path.absolute())
    if chosen.data != default_folder(os.environ):
        raise BadInput(f"a service of the machine keeps its files in /var/lib/{STATE}; leave --data out, or add --user")
    return None


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    installing = commands.add_parser("install-service", parents=[common], help="let systemd run the agent from now on")
    _add_place(installing)
    installing.add_argument("--print", action="store_true", help="only show the unit")
    installing.add_argument("--period", type=_period, metavar="SECONDS", help="time between samples")
    installing.set_defaults(command=run_install)
    removing = commands.add_parser("uninstall-service", parents=[common], help="undo install-service")
    _add_place(removing)
    removing.set_defaults(command=run_uninstall)
    waiting = commands.add_parser(
        "wait-for-time", parents=[common], help="wait until the clock is set (for the service)"
    )
    waiting.add_argument("--most", type=float, default=TIME_SECONDS, metavar="SECONDS", help="and no longer than this")
    waiting.set_defaults(command=run_wait)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", action="store_true", help="as a service of yours instead of the machine's")
    parser.add_argument("--root", metavar="DIR", help="into the file system of an image that does not run")


def _period(text: str) -> float:
    seconds = float(text)
    if not 0.01 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError("must be between 0.01 and 86400 seconds")
    return seconds
