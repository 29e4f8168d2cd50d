"""What may be said of a command by its row, its history and its device's word: kept naively, for tests."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from waystation.commands import Command, Event, NewCommand, State, What
from waystation.commands.model import MOST_ATTEMPTS, NO_OUTCOME, NOT_CONFIRMED
from waystation.devices import Device

ENDS = {State.DONE, State.FAILED, State.REJECTED, State.EXPIRED, State.CANCELLED}
WORDS = {What.RUNNING, What.DONE, What.FAILED, What.REJECTED}
OUT = {State.LEASED, State.RUNNING}
FOLLOWS = {
    State.QUEUED: {What.LEASED, What.EXPIRED, What.CANCELLED, *WORDS},  # a word only after it was handed out
    State.LEASED: {What.RETURNED, What.LAPSED, What.EXPIRED, What.CANCELLED, *WORDS},
    State.RUNNING: {What.LAPSED, What.EXPIRED, What.CANCELLED, What.DONE, What.FAILED, What.REJECTED},
}


@dataclass
class Thing:
    """A device as its hub cannot see it. `journal` is the end that it gives to each command, and stands by."""

    device: Device
    journal: dict[str, State] = field(default_factory=dict[str, State])
    said: set[tuple[str, State]] = field(default_factory=set[tuple[str, State]])
    came: list[str] = field(default_factory=list[str])
    is_listening: bool = False  # over MQTT

    def get(self, command: Command, end: State) -> None:
        """Carried out when it comes for the first time; the journal tells."""
        self.came.append(command.uid)
        self.journal.setdefault(command.uid, end)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was sent to whom; `key` may be empty."""

    uid: str
    to: str
    wanted: NewCommand

    def is_same(self, other: NewCommand) -> bool:
        mine = self.wanted
        return (mine.name, mine.priority, mine.once) == (other.name, other.priority, other.once)


def may_go(one: Command, now: datetime) -> bool:
    """Whether a device that asks now may be handed it, by the guide."""
    lease_is_over = one.state in OUT and one.leased_until is not None and one.leased_until <= now
    if one.state is not State.QUEUED and not (lease_is_over and one.attempt < MOST_ATTEMPTS):
        return False
    if one.is_once and one.attempt:
        return False
    return (one.not_before is None or one.not_before <= now) and (one.expires_at is None or now < one.expires_at)


def next_one(found: Iterable[Command], now: datetime) -> str | None:
    """The uid of what goes first."""
    able = sorted((-one.priority, one.number, one.uid) for one in found if may_go(one, now))
    return able[0][2] if able else None


def in_flight(found: Iterable[Command], link: str, now: datetime) -> list[str]:
    return [
        one.uid
        for one in found
        if one.state in OUT and one.link == link and one.leased_until is not None and one.leased_until > now
    ]


def next_change(found: Sequence[Command], now: datetime) -> datetime | None:
    """The first moment after now at which something may go, if nobody does anything."""
    times = {at for one in found for at in (one.not_before, one.leased_until) if at is not None and at > now}
    return min((at for at in times if next_one(found, at) is not None), default=None)


def check_history(one: Command, lines: Sequence[Event]) -> None:
    """It tells every move, in order, to where the command is now; it ends at most once, and was handed out rightly."""
    state, attempt = State.QUEUED, 0
    assert lines[0].what is What.QUEUED
    assert [line.at for line in lines] == sorted(line.at for line in lines)
    for line in lines[1:]:
        if line.what is What.LATE:
            assert state in ENDS
            continue
        assert state not in ENDS, f"{one.uid} went on after its end: {[str(each.what) for each in lines]}"
        assert line.what in FOLLOWS[state]
        assert attempt or line.what not in WORDS
        attempt += {What.LEASED: 1, What.RETURNED: -1}.get(line.what, 0)
        state = State.QUEUED if line.what in (What.RETURNED, What.LAPSED) else State(line.what)
        assert line.attempt == attempt
        if line.what is What.LEASED:
            _check_handed_out(one, line)
    assert (one.state, one.attempt) == (state, attempt)
    assert (one.finished_at is not None) == (state in ENDS)


def _check_handed_out(one: Command, line: Event) -> None:
    assert line.link
    assert line.attempt <= (1 if one.is_once else MOST_ATTEMPTS)
    assert one.not_before is None or one.not_before <= line.at
    assert one.expires_at is None or line.at < one.expires_at


def check_end(one: Command, said: Container[tuple[str, State]], *, is_cancelled: bool) -> None:
    """The end is what the device has `said`, or what is true without its word."""
    has_said = (one.uid, one.state) in said
    if one.state in (State.DONE, State.REJECTED) or (one.state is State.FAILED and not one.reason):
        assert has_said, f"{one.uid} is {one.state}, and its device never said so"
    elif one.state is State.FAILED:
        assert one.reason == (NOT_CONFIRMED if one.is_once else NO_OUTCOME)
        assert one.is_once or one.attempt == MOST_ATTEMPTS
    elif one.state is State.EXPIRED:
        assert one.expires_at is not None
        assert one.finished_at is not None
        assert one.expires_at <= one.finished_at
    elif one.state is State.CANCELLED:
        assert is_cancelled
