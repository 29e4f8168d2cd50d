"""What becomes of a command: its states and rules, pure; a step is a value that the store carries out."""

import math
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast

import msgspec

from waystation.kernel.errors import Conflict, Invalid

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{0,128}")
UID_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
ONCE_ONLY = frozenset({"reboot", "restart-agent"})
"""Names of what is never asked twice, whatever the sender says."""

LEASE = timedelta(seconds=60)
ONCE_LEASE = timedelta(minutes=10)
"""A device that reboots says `done` when it is back, and some take their time."""
MOST_LEASE = timedelta(hours=1)
MOST_ATTEMPTS = 5
MOST_WAITING = 100  # commands of one device that are not finished
MOST_PARAMETERS_BYTES = 8192
MOST_RESULT_BYTES = 4096
MOST_DEPTH = 32
MOST_AHEAD = timedelta(days=366)
NOT_CONFIRMED = "not confirmed: it was handed out once, and no outcome came in time"
NO_OUTCOME = f"no outcome after {MOST_ATTEMPTS} attempts"


class State(StrEnum):
    QUEUED = "queued"
    LEASED = "leased"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in OPEN


OPEN = frozenset({State.QUEUED, State.LEASED, State.RUNNING})
IN_LEASE = frozenset({State.LEASED, State.RUNNING})
OUTCOMES = frozenset({State.RUNNING, State.DONE, State.FAILED, State.REJECTED})
"""What a device may say of a command."""


class What(StrEnum):
    """A line of a command's history."""

    QUEUED = "queued"
    LEASED = "leased"
    RETURNED = "returned"  # nobody listened on the link, so it was not handed out after all
    LAPSED = "lapsed"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LATE = "late"  # an outcome that came after the end: evidence, not a fact


@dataclass(frozen=True, slots=True)
class NewCommand:
    """What somebody wants done. An empty `idempotency_key` is none; `once` is never handed out a second time."""

    name: str
    parameters: Mapping[str, Any] | None = None
    priority: int = 4
    expires_at: datetime | None = None
    not_before: datetime | None = None
    once: bool = False
    idempotency_key: str = ""

    def checked(self, now: datetime) -> "NewCommand":
        """As it can be stored; else Invalid."""
        if not NAME.fullmatch(self.name):
            raise Invalid("a command's name has 1 to 64 of the characters A-Z a-z 0-9 . _ -")
        if not 0 <= self.priority <= 9:
            raise Invalid("a priority is 0 to 9; 9 goes first")
        if not IDEMPOTENCY_KEY.fullmatch(self.idempotency_key):
            raise Invalid("an idempotency key has at most 128 printable ASCII characters and no blanks")
        written(self.parameters, MOST_PARAMETERS_BYTES, "parameters")
        _check_times(self.not_before, self.expires_at, now)
        return self

    @property
    def is_once(self) -> bool:
        return self.once or self.name in ONCE_ONLY


@dataclass(frozen=True, slots=True)
class Command:
    """`attempt` is how often it was handed out, `link` over what the last time; `leased_until` is None unless leased.

    `result` is what the device said last; `reason` is why it ended when the device did not say so.
    """

    number: int
    uid: str
    home_id: int
    device_id: int
    device_key: str
    name: str
    parameters: dict[str, Any] | None
    priority: int
    is_once: bool
    state: State
    attempt: int
    link: str
    created_at: datetime
    not_before: datetime | None
    expires_at: datetime | None
    leased_until: datetime | None
    sent_at: datetime | None
    finished_at: datetime | None
    result: Any
    reason: str
    batch_uid: str | None
    retry_of: str | None
    by: str

    @property
    def lease_seconds(self) -> int:
        return round((ONCE_LEASE if self.is_once else LEASE).total_seconds())

    @property
    def is_confirmed(self) -> bool:
        """Whether its end is what the device said."""
        return self.state in (State.DONE, State.REJECTED) or (self.state is State.FAILED and not self.reason)

    def may_start(self, now: datetime) -> bool:
        return self.state is State.QUEUED and (self.not_before is None or self.not_before <= now)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a command's history: what became of it, who said so (a person, `device` or `hub`), over what link."""

    at: datetime
    what: What
    by: str
    link: str
    attempt: int
    detail: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One move of a command. `result` is kept when it is not None."""

    state: State
    what: What | None
    attempt: int
    leased_until: datetime | None = None
    link: str | None = None
    result: Any = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a device says became of a command. `lease_seconds` is how long it wants before its next word."""

    state: State
    result: Any = None
    lease_seconds: float | None = None

    def checked(self) -> "Outcome":
        if self.state not in OUTCOMES:
            raise Invalid("state is running, done, failed or rejected")
        if self.lease_seconds is not None and not 0 < self.lease_seconds <= MOST_LEASE.total_seconds():
            raise Invalid(f"lease_seconds is more than 0, at most {MOST_LEASE.total_seconds():g}")
        written(self.result, MOST_RESULT_BYTES, "result")
        return self


# Steps. Each is None when there is nothing to do.


def lapse(command: Command, now: datetime) -> Step | None:
    """What time alone makes of it."""
    if command.state in IN_LEASE and command.leased_until is not None and command.leased_until <= now:
        return _after_lease(command, now)
    if command.state is State.QUEUED and _is_over(command, now):
        return _end(command, State.EXPIRED, What.EXPIRED, "it was not handed out in time")
    return None


def _after_lease(command: Command, now: datetime) -> Step:
    if command.is_once:
        return _end(command, State.FAILED, What.FAILED, NOT_CONFIRMED)
    if _is_over(command, now):
        return _end(command, State.EXPIRED, What.EXPIRED, "no outcome came in time")
    if command.attempt >= MOST_ATTEMPTS:
        return _end(command, State.FAILED, What.FAILED, NO_OUTCOME)
    return Step(State.QUEUED, What.LAPSED, command.attempt)


def lease(command: Command, now: datetime, link: str) -> Step | None:
    """Hands it out. A late command is never delivered, a once-only one never again."""
    if not command.may_start(now) or _is_over(command, now) or (command.is_once and command.attempt):
        return None
    until = now + timedelta(seconds=command.lease_seconds)
    return Step(State.LEASED, What.LEASED, command.attempt + 1, leased_until=until, link=link)


def give_back(command: Command) -> Step | None:
    """Undoes a lease of which it is certain that the device never saw it."""
    if command.state is not State.LEASED:
        return None
    return Step(State.QUEUED, What.RETURNED, command.attempt - 1)


def say(command: Command, outcome: Outcome, now: datetime) -> Step | None:
    """Carries a device's word out. None when it changes nothing: the same was said before.

    Conflict when the command ended differently, or was never handed out.
    """
    if command.state.is_final:
        _check_repeated(command, outcome)
        return None
    if not command.attempt:
        raise Conflict(f"command {command.uid} has not been handed out, so it cannot be {outcome.state}")
    if outcome.state is not State.RUNNING:
        return Step(outcome.state, What(outcome.state), command.attempt, result=outcome.result)
    seconds = command.lease_seconds if outcome.lease_seconds is None else outcome.lease_seconds
    what = None if command.state is State.RUNNING else What.RUNNING  # how far it is, is no new line
    until = now + timedelta(seconds=seconds)
    return Step(State.RUNNING, what, command.attempt, leased_until=until, result=outcome.result)


def _check_repeated(command: Command, outcome: Outcome) -> None:
    if outcome.state is command.state or (outcome.state is State.RUNNING and command.is_confirmed):
        return
    why = f" ({command.reason})" if command.reason else ""
    raise Conflict(f"command {command.uid} is {command.state}{why}, so it cannot be {outcome.state}")


def cancel(command: Command) -> Step | None:
    if command.state.is_final:
        return None
    reached = "the device may have begun it" if command.state in IN_LEASE else "it was not handed out"
    return _end(command, State.CANCELLED, What.CANCELLED, reached)


def _end(command: Command, state: State, what: What, reason: str) -> Step:
    return Step(state, what, command.attempt, reason=reason)


def _is_over(command: Command, now: datetime) -> bool:
    return command.expires_at is not None and command.expires_at <= now


# Which one is next.


def in_turn(commands: Iterable[Command], now: datetime) -> list[Command]:
    """Those that may be handed out now: by priority, then by age."""
    return sorted((one for one in commands if lease(one, now, "") is not None), key=lambda c: (-c.priority, c.number))


def is_busy(commands: Iterable[Command], link: str, now: datetime) -> bool:
    """Whether the device has not yet said what became of one that it got over this link."""
    return any(
        one.state in IN_LEASE and one.link == link and (one.leased_until is None or one.leased_until > now)
        for one in commands
    )


def next_at(commands: Sequence[Command], now: datetime) -> datetime | None:
    """When time alone will make another one due, or end a lease; None when it never will."""
    times = [one.leased_until if one.state in IN_LEASE else one.not_before for one in commands]
    return min((at for at in times if at is not None and at > now), default=None)


def settles_at(step_state: State, leased_until: datetime | None, expires_at: datetime | None) -> datetime | None:
    """When time alone changes a command in this state, for the sweep's index."""
    if step_state in IN_LEASE:
        return leased_until
    return expires_at if step_state is State.QUEUED else None


# Small words.


def new_uid() -> str:
    """Twelve letters: 60 random bits."""
    return "".join(secrets.choice(UID_LETTERS) for _ in range(12))


def written(value: Any, most_bytes: int, what: str) -> str | None:
    """The value as JSON text, or None for none; Invalid when it is no JSON that every device can read, or too large."""
    if value is None:
        return None
    try:
        _check_readable(value, MOST_DEPTH)
        text = msgspec.json.encode(value)
    except (TypeError, ValueError, OverflowError) as fault:
        raise Invalid(f"{what}: {fault}") from fault
    if len(text) > most_bytes:
        raise Invalid(f"{what} of {len(text):,} bytes are larger than the {most_bytes:,} that are taken")
    return text.decode()


def _check_readable(value: Any, depth: int) -> None:
    """ValueError for what msgspec would write otherwise than it is, or not read again."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a number is beyond 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is not finite")
    if isinstance(value, str | int | float) or value is None:
        return
    if not depth:
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    inner = cast("Mapping[str, Any] | Sequence[Any]", value)
    for one in inner.values() if isinstance(inner, Mapping) else inner:
        _check_readable(one, depth - 1)


def read(text: str | None) -> Any:
    return None if text is None else msgspec.json.decode(text)


def _check_times(not_before: datetime | None, expires_at: datetime | None, now: datetime) -> None:
    for at in (not_before, expires_at):
        if at is not None and at > now + MOST_AHEAD:
            raise Invalid(f"a command waits at most {MOST_AHEAD.days} days")
    if expires_at is not None and expires_at <= max(now, not_before or now):
        raise Invalid("a command must be able to start before it expires")
