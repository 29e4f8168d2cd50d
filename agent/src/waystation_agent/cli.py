"""The command line: pair, run, status, and the exit codes that scripts rely on."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from waystation_agent import __version__, doctor_command, options, say_command, service_command, upload_command
from waystation_agent.agent import Agent
from waystation_agent.errors import BadInput, Fault
from waystation_agent.folder import Folder, default_folder
from waystation_agent.hub_work import Wanted
from waystation_agent.logs import LEVELS, start_logging
from waystation_agent.pairing import pair, parse
from waystation_agent.sensors import command as sensor_command
from waystation_agent.sensors.board import Board
from waystation_agent.sensors.config import load
from waystation_agent.status import as_text, gather
from waystation_agent.watch import watch

EPILOGUE = """exit codes:
  0  done
  1  fault: the command was right, but could not be carried out (status: the hub refuses this device; doctor: a failure)
  2  usage: the command line or the pairing text is wrong; nothing was changed
  3  not paired (status only)
"""


class Exit(IntEnum):
    OK = 0
    FAULT = 1
    USAGE = 2
    NOT_PAIRED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    start_logging(chosen.log_level)
    try:
        return chosen.command(chosen)
    except BadInput as error:
        _say(f"waystation-agent: {error}", Exit.USAGE)
        return Exit.USAGE
    except (Fault, OSError) as error:
        _say(f"waystation-agent: {error}", Exit.FAULT)
        return Exit.FAULT
    except KeyboardInterrupt:
        return Exit.FAULT


def _pair(chosen: argparse.Namespace) -> Exit:
    text = options.invitation(chosen.invitation, os.environ, sys.stdin)
    destination = options.destination(chosen, os.environ)
    invitation = parse(text, destination.server)
    folder: Folder = chosen.data
    folder.make()
    server = destination.reached_at(invitation.server)
    device = pair(folder.identity, invitation, server, name=chosen.name, prefix=destination.prefix)
    _say(f"Paired with {device.server.url} as {device.name} ({device.key}).")
    return Exit.OK


def _run(chosen: argparse.Namespace) -> Exit:
    folder: Folder = chosen.data
    agent = Agent(folder, options.plan(chosen, os.environ), Board(load(folder.sensors)), Wanted.load(folder))
    agent.run()
    if agent.wants_restart:
        _run_anew()
    return Exit.OK


def _run_anew() -> None:
    """Become the same program anew, with the code that is installed by now; a service manager sees no end."""
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 our own words


def _status(chosen: argparse.Namespace) -> Exit:
    if chosen.watch:
        watch(lambda: as_text(gather(chosen.data)))
        return Exit.OK
    status = gather(chosen.data)
    _say(json.dumps(status.as_dict(), indent=2) if chosen.json else as_text(status))
    if not status.paired:
        return Exit.NOT_PAIRED
    return Exit.FAULT if status.link == "refused" else Exit.OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="waystation-agent",
        description="Samples this machine and delivers every reading to its Waystation hub.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _pair_options(commands.add_parser("pair", parents=[_common()], help="make this machine a device of a hub"))
    _run_options(commands.add_parser("run", parents=[_common()], help="sample and deliver until told to end"))
    _status_options(commands.add_parser("status", parents=[_common()], help="show what the agent is doing"))
    for more in (upload_command, say_command, doctor_command, sensor_command, service_command):
        more.add(commands, _common())
    return parser


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    common.add_argument(
        "--data",
        type=lambda text: Folder(Path(text).expanduser()),
        default=default_folder(os.environ),
        metavar="DIR",
        help="the agent's files (default: $WAYSTATION_AGENT_DATA, $STATE_DIRECTORY, ~/.local/share/waystation-agent)",
    )
    common.add_argument("--log-level", choices=LEVELS, default="info", help="how much to say on stderr")
    return common


def _pair_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "invitation",
        nargs="?",
        metavar="CODE|JSON",
        help="from the server's page; - reads it from stdin, @FILE from a file (default: $WAYSTATION_AGENT_TOKEN)",
    )
    parser.add_argument("--name", help="what to call this device (default: as its page does, or its host name)")
    options.add_destination(parser)
    parser.set_defaults(command=_pair)


def _run_options(parser: argparse.ArgumentParser) -> None:
    options.add_running(parser)
    parser.set_defaults(command=_run)


def _status_options(parser: argparse.ArgumentParser) -> None:
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="for programs")
    form.add_argument("--watch", action="store_true", help="draw it anew every second, until Ctrl-C")
    parser.set_defaults(command=_status)


def _say(text: str, code: Exit = Exit.OK) -> None:
    stream = sys.stderr if code else sys.stdout
    stream.write(text + "\n")
