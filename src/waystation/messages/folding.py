"""Where new lines go: into a row of their own, into the one before that says the same, or nowhere, being there already.

The same line again is known by its device, type, content and own time. A row that was folded knows its first and its
last time only: what says the same and lies between them is taken as counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from waystation.messages.model import FOLD, Message, NewMessage, digest_of


@dataclass(frozen=True, slots=True)
class Line:
    """A message of a device that has arrived."""

    home_id: int
    device_id: int
    arrived_at: datetime
    message: NewMessage
    digest: int

    @classmethod
    def of(cls, home_id: int, device_id: int, arrived_at: datetime, message: NewMessage) -> "Line":
        return cls(home_id, device_id, arrived_at, message, digest_of(device_id, message.type, message.content))

    @property
    def at(self) -> datetime:
        return self.message.at or self.arrived_at

    @property
    def is_told(self) -> bool:
        """Whether its time is the same when it is sent again, so that it can be recognised."""
        return self.message.at is not None

    def says_what(self, other: "Line") -> bool:
        mine, its = self.message, other.message
        return self.digest == other.digest and (mine.type, mine.content) == (its.type, its.content)


@dataclass(slots=True)
class Row:
    """A row as it will be: its first line, and what repeats have made of its times."""

    number: int
    line: Line
    at: datetime
    last_at: datetime
    count: int = 1

    def holds(self, line: Line) -> bool:
        """Whether this very line is in it."""
        return self.at <= line.at <= self.last_at and self.line.says_what(line)

    def takes(self, line: Line) -> bool:
        """Whether the line is a repeat of this row, which is the newest of its device."""
        mine, its = self.line.message, line.message
        as_grave = (mine.severity, mine.said_severity) == (its.severity, its.said_severity)
        lasts = max(self.last_at, line.at) - min(self.at, line.at)
        return as_grave and lasts <= FOLD and self.line.says_what(line)

    def take(self, line: Line) -> None:
        self.count += 1
        self.at, self.last_at = min(self.at, line.at), max(self.last_at, line.at)

    @property
    def message(self) -> Message:
        line, said = self.line, self.line.message
        return Message(
            number=self.number,
            home_id=line.home_id,
            device_id=line.device_id,
            at=self.at,
            last_at=self.last_at,
            arrived_at=line.arrived_at,
            severity=said.severity,
            said_severity=said.said_severity,
            type=said.type,
            content=said.content,
            count=self.count,
        )


@dataclass(slots=True)
class Folded:
    """What is to be written: new rows in their order, and old rows whose count rose. `rows` has every line's, in turn;
    `stored` is how many lines were not there before.
    """

    new: list[Row] = field(default_factory=list[Row])
    repeated: dict[int, Row] = field(default_factory=dict[int, Row])
    rows: list[Row] = field(default_factory=list[Row])
    stored: int = 0


class Folding:
    """`newest` is each device's newest row, `alike` are rows that say what some of the lines say."""

    def __init__(self, newest: Mapping[int, Row], alike: Iterable[Row], first_number: int) -> None:
        self.done = Folded()
        self._newest = dict(newest)
        self._alike: dict[int, list[Row]] = {}
        self._first_number = first_number
        by_number = {row.number: row for row in alike} | {row.number: row for row in newest.values()}
        for row in by_number.values():
            self._alike.setdefault(row.line.digest, []).append(row)

    def add(self, line: Line) -> None:
        row = self._known(line)
        if row is None:
            row = self._repeated(line) or self._begun(line)
            self.done.stored += 1
        self.done.rows.append(row)

    def _known(self, line: Line) -> Row | None:
        if not line.is_told:
            return None
        return next((row for row in self._alike.get(line.digest, ()) if row.holds(line)), None)

    def _repeated(self, line: Line) -> Row | None:
        row = self._newest.get(line.device_id)
        if row is None or not row.takes(line):
            return None
        row.take(line)
        if row.number < self._first_number:
            self.done.repeated[row.number] = row
        return row

    def _begun(self, line: Line) -> Row:
        row = Row(self._first_number + len(self.done.new), line, line.at, line.at)
        self.done.new.append(row)
        self._newest[line.device_id] = row
        self._alike.setdefault(line.digest, []).append(row)
        return row


def folded(lines: Sequence[Line], newest: Mapping[int, Row], alike: Iterable[Row], *, first_number: int) -> Folded:
    """New rows are numbered from `first_number` on, in the order of the lines."""
    folding = Folding(newest, alike, first_number)
    for line in lines:
        folding.add(line)
    return folding.done
