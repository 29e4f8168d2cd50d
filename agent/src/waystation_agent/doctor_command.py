"""`waystation-agent doctor` on the command line."""

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waystation_agent.doctor import Check


def run(chosen: argparse.Namespace) -> int:
    """Show every check as it is made; 1 if one of them fails."""
    from waystation_agent.doctor import Verdict, examine  # noqa: PLC0415  a running agent has no use for it

    checks: list[Check] = []
    for check in examine(chosen.data):
        checks.append(check)
        if not chosen.json:
            sys.stdout.write(_shown(check) + "\n")
            sys.stdout.flush()
    if chosen.json:
        sys.stdout.write(json.dumps([asdict(check) for check in checks], indent=2) + "\n")
    return 1 if any(check.verdict is Verdict.FAIL for check in checks) else 0


def _shown(check: "Check") -> str:
    line = f"{check.verdict:<5} {check.name:<14} {check.found}"
    return f"{line}\n{'':<21}-> {check.to_do}" if check.to_do else line


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("doctor", parents=[common], help="check everything the agent stands on")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.set_defaults(command=run)
