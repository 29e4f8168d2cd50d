"""`waystation-agent sensor list` and `sensor test`: what can be read here, and whether it can."""

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any

from waystation_agent.errors import BadInput
from waystation_agent.sensors import Sensor
from waystation_agent.sensors.board import Report, read_all
from waystation_agent.sensors.catalogue import BUILT_IN, describe, kind_named, make, plug_ins, summary
from waystation_agent.sensors.config import Configured, load
from waystation_agent.written import options


def run_list(chosen: argparse.Namespace) -> int:
    lines = ["Kinds of sensors:"]
    for kind in [*BUILT_IN, *plug_ins()]:
        lines += _about(kind)
    lines += ["", f"Set up in {chosen.data.sensors}:"]
    for sensor in load(chosen.data.sensors):
        prefix = f", prefix {sensor.prefix}" if sensor.prefix else ""
        lines.append(f"  {sensor.name} ({sensor.kind}{prefix})")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _about(kind: str) -> Iterable[str]:
    try:
        made_by: Callable[..., Sensor] = kind_named(kind)
    except BadInput as error:
        return [f"  {kind:<8} cannot be used: {error}"]
    shown = ", ".join(describe(field) for field in options(made_by).values())
    return [f"  {kind:<8} {summary(made_by)}", *([f"           {shown}"] if shown else [])]


def run_test(chosen: argparse.Namespace) -> int:
    """Read each sensor once, all at the same time; 1 if one of them fails."""
    found = read_all(_asked(load(chosen.data.sensors), chosen.kinds))
    for sensor in found:
        sys.stdout.write("\n".join(_shown(sensor)) + "\n")
    return 1 if any(sensor.fault for sensor in found) else 0


def _asked(configured: list[Configured], kinds: list[str]) -> list[Configured]:
    """Return the sensors that are set up, or those of the kinds that are named; one not set up has its defaults."""
    if not kinds:
        return configured
    found = [sensor for sensor in configured if sensor.kind in kinds]
    missing = [kind for kind in kinds if kind not in {sensor.kind for sensor in found}]
    return found + [Configured(kind, kind, make(kind, {})) for kind in missing]


def _shown(sensor: Report) -> list[str]:
    lines = [f"{sensor.name}: {'FAULT: ' + sensor.fault if sensor.fault else 'ok'}"]
    return lines + [f"  {metric} = {value}" for metric, value in sensor.values.items()]


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("sensor", help="list the sensors, or try them", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True, metavar="list|test")
    listed = verbs.add_parser("list", parents=[common], help="show all kinds of sensors, and those set up here")
    listed.set_defaults(command=run_list)
    tested = verbs.add_parser("test", parents=[common], help="read the sensors once and show what they say")
    tested.add_argument("kinds", nargs="*", metavar="KIND", help="only these (default: all that are set up)")
    tested.set_defaults(command=run_test)
