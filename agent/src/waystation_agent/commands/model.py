"""A command and its outcome, as values: from the wire, and within what the wire takes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

MOST_RESULT_BYTES = 4_096
LONGEST_REASON = 1_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")

Parameters = Mapping[str, object]
Result = Mapping[str, object]


class Step(StrEnum):
    """How far a command has got here. What is on the disk is always at least as far as what was done."""

    RECEIVED = "received"
    BEGUN = "begun"
    FINISHED = "finished"
    """Its outcome waits for the hub."""
    TOLD = "told"


class End(StrEnum):
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Command:
    id: str
    name: str
    parameters: Parameters
    is_once: bool = False


@dataclass(frozen=True)
class Outcome:
    end: End
    result: Result

    def wire(self, command: str) -> bytes:
        """Return what the hub is told, with a result that fits (its longest text is cut, from the front)."""
        result = dict(self.result)
        while len(encoded := _json(result).encode()) > MOST_RESULT_BYTES:
            longest = max(result, key=lambda name: len(_json(result[name])))
            text = result[longest]
            surplus = len(encoded) - MOST_RESULT_BYTES
            shorter = f"…{text[surplus + 16 :]}" if isinstance(text, str) and len(text) > surplus + 16 else None
            result[longest] = shorter if shorter is not None else "(too long)"
        return _json({"id": command, "state": self.end, "result": result}).encode()


def done(**result: object) -> Outcome:
    return Outcome(End.DONE, result)


def failed(reason: str, **result: object) -> Outcome:
    return Outcome(End.FAILED, {"reason": reason[:LONGEST_REASON], **result})


def rejected(reason: str) -> Outcome:
    return Outcome(End.REJECTED, {"reason": reason[:LONGEST_REASON]})


def read(found: object) -> Command:
    """Return the command that a hub hands out. Raises ValueError for what is none."""
    if not isinstance(found, dict):
        raise ValueError("a command that is no object")  # noqa: TRY004 what came is wrong, not our code
    fields = cast("Mapping[str, object]", found)
    identifier, name, parameters = fields.get("id"), fields.get("name"), fields.get("parameters")
    if not isinstance(identifier, str) or not NAME.fullmatch(identifier):
        raise ValueError("a command without an id")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        name = "?"
    return Command(
        identifier,
        name,
        cast("Parameters", parameters) if isinstance(parameters, dict) else {},
        fields.get("once") is True,
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
