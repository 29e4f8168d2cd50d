"""`waystation doctor`: looks at everything a hub stands on, changes nothing, and says what to do."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from waystation.kernel.errors import DomainError
from waystation.kernel.settings import Settings


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` is what to do about it; empty when all is well."""

    state: State
    sentence: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """What is looked at; `running` is what the hub on the folder noted of itself, None when none runs."""

    settings: Settings
    running: Mapping[str, Any] | None


Check = Callable[[Site], Finding | None]
"""None when there is nothing to look at here."""


def fine(sentence: str) -> Finding:
    return Finding(State.OK, sentence)


def doubtful(sentence: str, advice: str) -> Finding:
    return Finding(State.WARNING, sentence, advice)


def wrong(sentence: str, advice: str) -> Finding:
    return Finding(State.FAULT, sentence, advice)


def examine(site: Site, checks: Mapping[str, Check]) -> Iterator[tuple[str, Finding]]:
    """One after the other, as they are found; a check that fails is a fault itself and ends nothing."""
    for name, check in checks.items():
        found = _found(check, site)
        if found is not None:
            yield name, found


def _found(check: Check, site: Site) -> Finding | None:
    try:
        return check(site)
    except DomainError as fault:
        return wrong(fault.sentence, "See docs/guides/operating.md.")
    except Exception as fault:  # noqa: BLE001  the doctor is called when things are wrong
        return wrong(f"could not be looked at: {fault!r}", "See docs/guides/operating.md.")
