"""What `pair` and `run` let an owner choose, on the command line and in the environment."""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from waystation_agent.address import parse_server
from waystation_agent.errors import BadInput
from waystation_agent.invitations import LONGEST_BYTES, TOKEN_VARIABLE, Destination, from_environment, read
from waystation_agent.junctionrelay.account import PREFIX
from waystation_agent.junctionrelay.line import ORIGINAL
from waystation_agent.junctionrelay.protocol import PRODUCTION, TEST_MODE
from waystation_agent.junctionrelay.relay import Manner
from waystation_agent.junctionrelay.report import Form
from waystation_agent.link import Server

SERVER_VARIABLE = "WAYSTATION_AGENT_SERVER"
CA_FILE_VARIABLE = "WAYSTATION_AGENT_CA_FILE"
CONFIG_FOLDER_VARIABLE = "WAYSTATION_AGENT_CONFIG_DIR"
TEST_MODE_VARIABLE = "WAYSTATION_AGENT_TEST_MODE"
SENSOR_DATA_VARIABLE = "WAYSTATION_AGENT_SENSOR_DATA"
PYTHON_CLIENT_CA_VARIABLE = "REQUESTS_CA_BUNDLE"
YES, NO = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Plan:
    """How an agent is to run. Without a period it samples as often as its kind of server is used to."""

    period_seconds: float | None = None
    manner: Manner = field(default_factory=Manner)
    destination: Destination = field(default_factory=Destination)
    invitation: str | None = None
    config_folders: tuple[Path, ...] = ()

    @property
    def python_clients_server(self) -> Server:
        """Where the Python client's tokens belong: it knows one address only."""
        return self.destination.reached_at(parse_server(self.destination.server or ORIGINAL))


def add_destination(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--server",
        metavar="URL",
        help=f"the server's address (default: in the pairing text, ${SERVER_VARIABLE}, http://127.0.0.1:8000)",
    )
    parser.add_argument("--ca-file", metavar="FILE", help="trust the server's certificate by this authority")
    parser.add_argument(
        "--insecure-http",
        action="store_true",
        help="allow plain http to a public address, where others can read the device's secret",
    )
    parser.add_argument("--prefix", default=PREFIX, help=f"path of a JunctionRelay server (default: {PREFIX})")


def add_running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--period",
        type=_period,
        metavar="SECONDS",
        help="time between samples (default: 10; 60 for a JunctionRelay server)",
    )
    add_destination(parser)
    parser.add_argument(
        "--config-dir",
        metavar="DIR",
        help="where the JunctionRelay Python client kept its file, to go on as its device (default: here, or --data)",
    )
    parser.add_argument(
        "--sensor-data",
        choices=[str(form) for form in Form],
        metavar="FORM",
        help="how a JunctionRelay server gets the values: " + ", ".join(Form) + " (default: object)",
    )
    parser.add_argument("--test-mode", action="store_true", help="renew every 5 minutes, as JunctionRelay's test mode")


def invitation(given: str | None, environment: Mapping[str, str], stdin: TextIO) -> str:
    """Return the text to pair with. Raises BadInput if there is none."""
    if given is None:
        found = from_environment(environment)
        if found is None:
            raise BadInput(f"give the code or line from the server's page, or set ${TOKEN_VARIABLE}")
        return found
    if given == "-":
        return stdin.read(LONGEST_BYTES)
    return read(Path(given[1:]).expanduser()) if given.startswith("@") else given


def destination(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Destination:
    return Destination(
        server=chosen.server or environment.get(SERVER_VARIABLE) or None,
        ca_file=_existing(chosen.ca_file or environment.get(CA_FILE_VARIABLE)),
        insecure_http=chosen.insecure_http,
        prefix="/" + chosen.prefix.strip("/"),
    )


def plan(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Plan:
    """Raises BadInput for a choice that cannot be meant."""
    form = chosen.sensor_data or environment.get(SENSOR_DATA_VARIABLE) or Form.OBJECT
    if form not in set(Form):
        raise BadInput(f"{SENSOR_DATA_VARIABLE} must be one of {', '.join(Form)}")
    pace = TEST_MODE if chosen.test_mode or _is_on(environment, TEST_MODE_VARIABLE) else PRODUCTION
    named = chosen.config_dir or environment.get(CONFIG_FOLDER_VARIABLE)
    return Plan(
        period_seconds=chosen.period,
        manner=Manner(pace, Form(form)),
        destination=_as_python_client(destination(chosen, environment), environment),
        invitation=from_environment(environment),
        config_folders=(*([Path(named).expanduser()] if named else []), Path.cwd(), chosen.data.path),
    )


def _as_python_client(chosen: Destination, environment: Mapping[str, str]) -> Destination:
    """Trust the authority that the Python client was told to trust, where nothing else is said."""
    bundle = environment.get(PYTHON_CLIENT_CA_VARIABLE, "")
    if chosen.ca_file or not Path(bundle).is_file():
        return chosen
    return Destination(chosen.server, bundle, chosen.insecure_http, chosen.prefix)


def _is_on(environment: Mapping[str, str], name: str) -> bool:
    said = environment.get(name, "").strip().lower()
    if said not in YES | NO:
        raise BadInput(f"{name} must be 1 or 0")
    return said in YES


def _period(text: str) -> float:
    seconds = float(text)
    if not (math.isfinite(seconds) and 0.01 <= seconds <= 86_400):
        raise argparse.ArgumentTypeError("must be between 0.01 and 86400 seconds")
    return seconds


def _existing(ca_file: str | None) -> str | None:
    if not ca_file:
        return None
    path = Path(ca_file).expanduser().resolve()
    if not path.is_file():
        raise BadInput(f"the CA file {path} does not exist")
    return str(path)
