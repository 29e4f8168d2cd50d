"""The command line: pair, run, status, and the exit codes that scripts rely on."""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path

from waystation_agent import __version__, machine
from waystation_agent.agent import Agent
from waystation_agent.errors import BadInput, Fault
from waystation_agent.folder import Folder, default_folder
from waystation_agent.link import Server
from waystation_agent.logs import LEVELS, start_logging
from waystation_agent.pairing import pair, parse_invitation
from waystation_agent.status import as_text, gather

INVITATION_CHARACTERS = 10_000

EPILOGUE = """exit codes:
  0  done
  1  fault: the command was right, but could not be carried out (status: the hub refuses this device)
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
    text = sys.stdin.read(INVITATION_CHARACTERS) if chosen.invitation == "-" else chosen.invitation
    invitation = parse_invitation(text, chosen.server)
    server = Server(invitation.server, _existing(chosen.ca_file), chosen.insecure_http)
    folder: Folder = chosen.data
    folder.make()
    device = pair(folder.identity, invitation, server, name=chosen.name)
    _say(f"Paired with {device.server.url} as {device.name} ({device.key}).")
    return Exit.OK


def _run(chosen: argparse.Namespace) -> Exit:
    Agent(chosen.data, chosen.period).run()
    return Exit.OK


def _status(chosen: argparse.Namespace) -> Exit:
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
    parser.add_argument("invitation", metavar="CODE|JSON", help="from the hub's page; - reads it from stdin")
    parser.add_argument("--server", metavar="URL", help="the hub's address (default: http://127.0.0.1:8000)")
    parser.add_argument("--name", default=machine.name(), help="what to call this device (default: its host name)")
    parser.add_argument("--ca-file", metavar="FILE", help="trust the hub's certificate by this authority")
    parser.add_argument(
        "--insecure-http",
        action="store_true",
        help="allow plain http to a public address, where others can read the device's secret",
    )
    parser.set_defaults(command=_pair)


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--period", type=_period, default=10.0, metavar="SECONDS", help="time between samples (default: 10)"
    )
    parser.set_defaults(command=_run)


def _status_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=_status)


def _period(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and 0.01 <= seconds <= 86_400):
        raise argparse.ArgumentTypeError("must be between 0.01 and 86400 seconds")
    return seconds


def _existing(ca_file: str | None) -> str | None:
    if ca_file is None:
        return None
    path = Path(ca_file).expanduser().resolve()
    if not path.is_file():
        raise BadInput(f"the CA file {path} does not exist")
    return str(path)


def _say(text: str, code: Exit = Exit.OK) -> None:
    stream = sys.stderr if code else sys.stdout
    stream.write(text + "\n")
