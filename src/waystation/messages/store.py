"""Tables of messages, of what is known of each device's, and of the last number given; every statement on them."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from waystation.kernel.db import Moment, Tx, metadata, type_of_id
from waystation.messages.folding import Line, Row
from waystation.messages.model import GRAVE, ROW_BYTES, SEVERITIES, Message, NewMessage, Severity

message = sa.Table(
    "message",
    metadata,
    sa.Column("number", type_of_id, primary_key=True, autoincrement=False),
    sa.Column("home_id", sa.BigInteger, nullable=False),  # no foreign keys: they go by a sweep, a little at a time
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("last_at", Moment, nullable=False),
    sa.Column("arrived_at", Moment, nullable=False),
    sa.Column("level", sa.Integer, nullable=False),
    sa.Column("said_severity", sa.Text),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("times", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.BigInteger, nullable=False),
)
IS_GRAVE = sa.text(f"level >= {GRAVE}")  # in the statement as it is in the index, or no database sees that they agree
sa.Index("message_home", message.c.home_id, message.c.number)
sa.Index("message_device", message.c.device_id, message.c.number)
sa.Index("message_alike", message.c.digest, message.c.last_at)
sa.Index("message_arrived", message.c.arrived_at)
sa.Index("message_grave", message.c.home_id, message.c.number, sqlite_where=IS_GRAVE, postgresql_where=IS_GRAVE)

log = sa.Table(
    "message_log",
    metadata,
    sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("newest", sa.BigInteger, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("gone_at", Moment),  # the device was deleted: nobody sees them any more, and a sweep takes them
)

number = sa.Table(
    "message_number",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
)

AT_ONCE = 500  # parameters of one statement; SQLite's oldest limit is 999


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages: of a home, or of one device of it; of at least a severity; of a type; with these words."""

    home_id: int
    device_id: int | None = None
    least: Severity = Severity.DEBUG
    type: str = ""
    words: str = ""


class Prepared:
    """A statement that is put together once for each kind of database: that takes longer than to carry it out."""

    def __init__(self, make: Callable[[Tx], sa.Executable]) -> None:
        self._make = make
        self._made: dict[bool, sa.Executable] = {}

    def __call__(self, tx: Tx) -> sa.Executable:
        made = self._made.get(tx.is_sqlite)
        if made is None:
            made = self._made[tx.is_sqlite] = self._make(tx)
        return made


def _taking(tx: Tx) -> sa.Executable:
    given = tx.insert(number).values(id=1, last=sa.bindparam("count"))
    last = number.c.last + sa.bindparam("count", type_=sa.BigInteger)
    return given.on_conflict_do_update(index_elements=["id"], set_={"last": last}).returning(number.c.last)


TAKING = Prepared(_taking)


def take_numbers(tx: Tx, count: int) -> int:
    """The first of `count` numbers. Until the transaction ends nobody else gets any, so what can be read has no gap
    that is filled later: a page behind a number never misses one.
    """
    last: int = tx.execute(TAKING(tx), {"count": count}).scalar_one()
    return last - count + 1


MANY: sa.BindParameter[Any] = sa.bindparam("many", expanding=True)
NEWEST_OF = sa.select(message).join(log, log.c.newest == message.c.number).where(log.c.device_id.in_(MANY))
ALIKE = message.select().where(message.c.digest.in_(MANY), message.c.last_at >= sa.bindparam("since"))


def newest_of(tx: Tx, device_ids: Collection[int]) -> dict[int, Row]:
    """Each device's newest row, of those that have one still."""
    found = map(_row, _in_parts(tx, NEWEST_OF, device_ids))
    return {row.line.device_id: row for row in found}


def alike(tx: Tx, digests: Collection[int], since: datetime) -> list[Row]:
    """Rows that say the same, of those whose last time is not before."""
    return [_row(row) for row in _in_parts(tx, ALIKE, digests, since=since)]


def _in_parts(tx: Tx, statement: sa.Select[Any], values: Collection[int], **bound: datetime) -> Iterable[sa.Row[Any]]:
    ordered = sorted(values)
    for begin in range(0, len(ordered), AT_ONCE):
        yield from tx.execute(statement, {"many": ordered[begin : begin + AT_ONCE], **bound})


def _row(row: sa.Row[Any]) -> Row:
    said = NewMessage(None, SEVERITIES[row.level], row.type, row.content, row.said_severity)
    line = Line(row.home_id, row.device_id, row.arrived_at, said, row.digest)
    return Row(row.number, line, row.at, row.last_at, row.times)


ADDING = message.insert()


def add(tx: Tx, rows: Sequence[Row]) -> None:
    tx.execute(ADDING, [_values(row) for row in rows])


def _values(row: Row) -> dict[str, Any]:
    line, said = row.line, row.line.message
    return {
        "number": row.number,
        "home_id": line.home_id,
        "device_id": line.device_id,
        "at": row.at,
        "last_at": row.last_at,
        "arrived_at": line.arrived_at,
        "level": said.severity.level,
        "said_severity": said.said_severity,
        "type": said.type,
        "content": said.content,
        "times": row.count,
        "digest": line.digest,
    }


REPEATING = (
    message.update()
    .where(message.c.number == sa.bindparam("the_number"))
    .values({name: sa.bindparam(f"new_{name}") for name in ("at", "last_at", "times")})
)


def repeat(tx: Tx, rows: Iterable[Row]) -> None:
    """Writes down times and count of rows that are there."""
    values = [
        {"the_number": row.number, "new_at": row.at, "new_last_at": row.last_at, "new_times": row.count} for row in rows
    ]
    tx.execute(REPEATING, values)


@dataclass(slots=True)
class Share:
    """Some rows of one device, and what they take of its home's storage."""

    home_id: int
    newest: int = 0
    rows: int = 0
    size_bytes: int = 0

    def add(self, number: int, size_bytes: int) -> None:
        self.newest = max(self.newest, number)
        self.rows += 1
        self.size_bytes += size_bytes


def _noting(tx: Tx) -> sa.Executable:
    names = ("device_id", "newest", "rows", "size_bytes")
    given = tx.insert(log).values({name: sa.bindparam(name) for name in names})
    more = {name: log.c[name] + given.excluded[name] for name in ("rows", "size_bytes")}
    kept = {"newest": given.excluded.newest, **more}
    return given.on_conflict_do_update(index_elements=["device_id"], set_=kept)


NOTING = Prepared(_noting)


def note(tx: Tx, shares: Mapping[int, Share]) -> None:
    """Of devices that have new rows."""
    values = [
        {"device_id": device_id, "newest": one.newest, "rows": one.rows, "size_bytes": one.size_bytes}
        for device_id, one in sorted(shares.items())
    ]
    tx.execute(NOTING(tx), values)


def newest(tx: Tx, wanted: Wanted, *, before: int | None = None, most: int) -> list[Message]:
    """Newest first: the greatest numbers below `before`."""
    found = _matching(tx, wanted)
    if before is not None:
        found = found.where(message.c.number < before)
    return _messages(tx, found.order_by(message.c.number.desc()).limit(most))


def oldest(tx: Tx, wanted: Wanted, *, after: int, most: int) -> list[Message]:
    """Oldest first: the least numbers above `after`."""
    found = _matching(tx, wanted).where(message.c.number > after)
    return _messages(tx, found.order_by(message.c.number).limit(most))


def by_numbers(tx: Tx, wanted: Wanted, numbers: Collection[int]) -> list[Message]:
    """Those of the numbers that are wanted and there, oldest first."""
    if not numbers:
        return []
    return _messages(tx, _matching(tx, wanted).where(message.c.number.in_(numbers)).order_by(message.c.number))


def count_of(tx: Tx, device_ids: Collection[int]) -> int:
    """Rows of all these devices together."""
    mine = sa.select(sa.func.coalesce(sa.func.sum(log.c.rows), 0)).where(log.c.device_id.in_(device_ids))
    return int(tx.scalar(mine))


def last_number(tx: Tx) -> int:
    """The greatest that was given; 0 before the first."""
    return tx.scalar(sa.select(number.c.last)) or 0


def _matching(tx: Tx, wanted: Wanted) -> sa.Select[Any]:
    found = message.select().where(message.c.home_id == wanted.home_id)
    if wanted.device_id is not None:
        found = found.where(message.c.device_id == wanted.device_id)
    gone = sa.select(log.c.device_id).where(log.c.gone_at.is_not(None))
    found = found.where(message.c.device_id.not_in(gone))
    if wanted.least.is_grave:
        found = found.where(IS_GRAVE)
    if wanted.least is not Severity.DEBUG:
        found = found.where(message.c.level >= wanted.least.level)
    if wanted.type:
        found = found.where(message.c.type == wanted.type)
    return found.where(_says(tx, wanted.words)) if wanted.words else found


def _says(tx: Tx, words: str) -> sa.ColumnElement[bool]:
    """Whether the content has the words in it, in any case of any script. SQLite's own lower() knows A to Z only."""
    if tx.is_sqlite:
        driver: Any = tx.connection.connection.driver_connection
        driver.create_function("in_lower_case", 1, str.lower, deterministic=True)
        return sa.func.in_lower_case(message.c.content).contains(words.lower(), autoescape=True)
    return sa.func.lower(message.c.content).contains(words.lower(), autoescape=True)


def _messages(tx: Tx, found: sa.Select[Any]) -> list[Message]:
    return [_row(row).message for row in tx.all(found)]


# What goes


class Going(NamedTuple):
    number: int
    home_id: int
    device_id: int
    size_bytes: int


def arrived_before(tx: Tx, then: datetime, most: int) -> list[Going]:
    return _going(tx, message.c.arrived_at < then, message.c.arrived_at, most)


def oldest_of(tx: Tx, device_id: int, most: int) -> list[Going]:
    return _going(tx, message.c.device_id == device_id, message.c.number, most)


def _going(tx: Tx, which: sa.ColumnElement[bool], order: sa.ColumnElement[Any], most: int) -> list[Going]:
    size = (sa.func.length(message.c.content) + ROW_BYTES).label("size_bytes")
    columns = (message.c.number, message.c.home_id, message.c.device_id, size)
    return [Going(*row) for row in tx.all(sa.select(*columns).where(which).order_by(order).limit(most))]


def fullest(tx: Tx, most_rows: int) -> tuple[int, int] | None:
    """A device that has more rows than it may, and how many too many."""
    found = sa.select(log.c.device_id, log.c.rows).where(log.c.rows > most_rows, log.c.gone_at.is_(None)).limit(1)
    row = tx.first(found)
    return None if row is None else (row.device_id, row.rows - most_rows)


def remove(tx: Tx, numbers: Sequence[int]) -> None:
    tx.execute(message.delete().where(message.c.number.in_(numbers)))


def note_removed(tx: Tx, device_id: int, share: Share) -> bool:
    """False when the device is gone, and with it what it took of its home's storage."""
    less = {"rows": log.c.rows - share.rows, "size_bytes": log.c.size_bytes - share.size_bytes}
    return tx.changed(log.update().where(log.c.device_id == device_id, log.c.gone_at.is_(None)).values(less))


def mark_gone(tx: Tx, device_id: int, now: datetime) -> int:
    """What its rows took, in bytes."""
    marked = log.update().where(log.c.device_id == device_id).values(gone_at=now).returning(log.c.size_bytes)
    return tx.scalar(marked) or 0


def gone(tx: Tx) -> int | None:
    """A device that was deleted and may have rows left."""
    return tx.scalar(sa.select(log.c.device_id).where(log.c.gone_at.is_not(None)).limit(1))


def forget(tx: Tx, device_id: int) -> None:
    tx.execute(log.delete().where(log.c.device_id == device_id))
