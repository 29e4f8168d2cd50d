"""What leaves a transaction: rows written with the change itself, sent after the commit, retried until taken."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from waystation.kernel.clock import Clock
from waystation.kernel.db import Database, Moment, Tx, metadata, type_of_id

log = structlog.get_logger(__name__)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("due_at", Moment, nullable=False),
    sa.Column("fault", sa.Text),
    sa.Column("put_at", Moment),
    sa.Column("given_up_at", Moment),
    sa.Column("dedupe", sa.Text),
    sa.Index("outbox_due", "due_at"),
    sa.Index("outbox_dedupe", "dedupe", unique=True),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Put:
    """Something that is due was put into the outbox; told inside the transaction."""

    kind: str


class NotSent(Exception):
    """It did not work now; the row waits and is tried again. The text is a sentence for a person."""


class GiveUp(Exception):
    """It will never work; the row stays with the reason, for a person to see. The text is a sentence."""


Send = Callable[[str, bytes], None]
NOTICE = "notice"
LOOK_SECONDS = 0.2
STOP_SECONDS = 5
CLAIM_SECONDS = 300  # longer than any one sending takes


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row was not sent."""

    text: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Sender:
    """How rows of a kind are sent. With `singly` each is claimed before and settled after: a crash between the two
    repeats one at most. With `lanes` rows of so many subjects are claimed and sent at once, and those of one subject
    in turn: while its first waits for another try, those behind it wait too. With `patience` a row that could not be
    sent for so long is given up. `settled(tx, row, fault, now)` notes every outcome in the transaction that settles it.
    """

    send: Send
    singly: bool = False
    lanes: int = 0
    patience: timedelta | None = None
    longest_wait: timedelta = timedelta(hours=1)
    settled: Callable[[Tx, Any, Fault | None, datetime], None] | None = None


def put(
    tx: Tx,
    subject: str,
    body: Any,
    now: datetime,
    *,
    kind: str,
    dedupe: str | None = None,
    due_at: datetime | None = None,
) -> bool:
    """`kind` chooses the sender; `body` is anything msgspec can turn into JSON; without `due_at` it goes at once.
    False when a row of the same `dedupe` is waiting already.
    """
    text = msgspec.json.encode(body)
    values = {"kind": kind, "subject": subject, "body": text, "due_at": due_at or now, "put_at": now}
    if dedupe is None:
        tx.execute(outbox.insert().values(**values))
    elif not _put_once(tx, {**values, "dedupe": dedupe}):
        return False
    if due_at is None:
        tx.tell(Put(kind), now)
    return True


def _put_once(tx: Tx, values: Mapping[str, Any]) -> bool:
    return tx.changed(tx.insert(outbox).values(**values).on_conflict_do_nothing(index_elements=["dedupe"]))


def notice(tx: Tx, subject: str, body: Any, now: datetime, *, due_at: datetime | None = None) -> None:
    """Tell every process of the site, on the bus, once this is committed: also from a command line beside the hub."""
    put(tx, subject, body, now, kind=NOTICE, due_at=due_at)


class Courier:
    """One thread for each kind, so that a slow mail server holds no notice back. It sends what is due while
    `may_send()`: in one process of a site at a time, the sweeps' owner.

    A row of another process (a command line beside the hub) is found within `LOOK_SECONDS`; `nudge` makes it at once.
    """

    def __init__(
        self, database: Database, clock: Clock, senders: Mapping[str, Send | Sender], *, may_send: Callable[[], bool]
    ) -> None:
        self._database = database
        self._clock = clock
        self._senders = {kind: send if isinstance(send, Sender) else Sender(send) for kind, send in senders.items()}
        self._may_send = may_send
        self._nudged = {kind: threading.Event() for kind in senders}
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, args=(kind,), name=f"courier {kind}", daemon=True) for kind in senders
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def nudge(self, kind: str = "") -> None:
        """Rows of this kind are due; of any, when it is none of ours."""
        for event in [self._nudged[kind]] if kind in self._nudged else self._nudged.values():
            event.set()

    def close(self) -> None:
        self._closing = True
        self.nudge()
        for thread in self._threads:
            thread.join(STOP_SECONDS)  # what is being sent stays claimed, and is sent again

    def _run(self, kind: str) -> None:
        while not self._closing:
            try:
                did = self._deliver(kind, 200) if self._may_send() else 0
            except Exception as fault:  # noqa: BLE001  the rows stay and are tried again
                log.error("outbox not read", fault=repr(fault))
                did = 0
            if not did:
                self._nudged[kind].wait(LOOK_SECONDS)
            self._nudged[kind].clear()

    def deliver(self, most: int = 200) -> int:
        """Sends up to `most` due rows of each kind, oldest first; those taken are deleted, the others wait longer each
        time.
        """
        return sum(self._deliver(kind, most) for kind in self._senders)

    def _deliver(self, kind: str, most: int) -> int:
        now, sender = self._clock.now(), self._senders[kind]
        with self._database.read() as tx:
            rows = tx.all(_due(kind, sender, now, most))
        if rows and (sender.singly or sender.lanes):
            rows = self._claimed(rows, now)
        if not rows:
            return 0
        outcomes = _all_sent(sender, rows, now)
        with self._database.write() as tx:
            _settle(tx, sender, outcomes, self._clock.now())
        return len(rows)

    def _claimed(self, rows: Sequence[Any], now: datetime) -> Sequence[Any]:
        """Those that no other process has taken up since they were read."""
        until = now + timedelta(seconds=CLAIM_SECONDS)
        with self._database.write() as tx:
            return [row for row in rows if tx.changed(_unchanged(row).values(due_at=until))]


def _unchanged(row: Any) -> sa.Update:
    return outbox.update().where(outbox.c.id == row.id, outbox.c.due_at == row.due_at)


def _due(kind: str, sender: Sender, now: datetime, most: int) -> sa.Select[Any]:
    open_ = (outbox.c.kind == kind, outbox.c.given_up_at.is_(None))
    due = outbox.select().where(*open_, outbox.c.due_at <= now)
    if not sender.lanes:
        return due.order_by(outbox.c.id).limit(1 if sender.singly else most)
    first = sa.select(sa.func.min(outbox.c.id)).where(*open_).group_by(outbox.c.subject)
    return due.where(outbox.c.id.in_(first)).order_by(outbox.c.due_at, outbox.c.id).limit(sender.lanes)


def _all_sent(sender: Sender, rows: Sequence[Any], now: datetime) -> list[tuple[Any, Fault | None]]:
    if not sender.lanes or len(rows) == 1:
        return [(row, _sent(sender, row, now)) for row in rows]
    with ThreadPoolExecutor(len(rows), "courier lane") as lanes:
        outcomes = [lanes.submit(_sent, sender, row, now) for row in rows]
    return [(row, outcome.result()) for row, outcome in zip(rows, outcomes, strict=True)]


def _sent(sender: Sender, row: Any, now: datetime) -> Fault | None:
    """None when it was taken, else why not."""
    try:
        sender.send(row.subject, row.body)
    except GiveUp as never:
        fault = Fault(str(never), is_final=True)
    except NotSent as later:
        fault = Fault(str(later), _has_waited(row, sender.patience, now))
    except Exception as unexpected:  # noqa: BLE001  a sender's fault waits in its row, seen on the system page
        fault = Fault(repr(unexpected), _has_waited(row, sender.patience, now))
    else:
        return None
    said = "given up" if fault.is_final else "not sent"
    log.warning(said, kind=row.kind, subject=row.subject, tries=row.tries + 1, fault=fault.text)
    return fault


def _has_waited(row: Any, patience: timedelta | None, now: datetime) -> bool:
    return patience is not None and row.put_at is not None and now - row.put_at > patience


def _settle(tx: Tx, sender: Sender, outcomes: Sequence[tuple[Any, Fault | None]], now: datetime) -> None:
    sent = [row.id for row, fault in outcomes if fault is None]
    tx.execute(outbox.delete().where(outbox.c.id.in_(sent)))
    for row, fault in outcomes:
        if fault is not None:
            wait = min(sender.longest_wait, timedelta(seconds=5 * 2 ** min(row.tries, 10)))
            ended = {"given_up_at": now, "dedupe": None} if fault.is_final else {}
            again = outbox.update().where(outbox.c.id == row.id)
            tx.execute(again.values(tries=row.tries + 1, due_at=now + wait, fault=fault.text[:500], **ended))
        if sender.settled is not None:
            sender.settled(tx, row, fault, now)


def waiting(tx: Tx, kind: str) -> Sequence[sa.Row[Any]]:
    """What has not left, oldest first: also what was given up, which has a `given_up_at`."""
    return tx.all(outbox.select().where(outbox.c.kind == kind).order_by(outbox.c.id))


def by_id(tx: Tx, kind: str, row_id: int) -> sa.Row[Any] | None:
    return tx.first(outbox.select().where(outbox.c.kind == kind, outbox.c.id == row_id))


def retry(tx: Tx, row_id: int, now: datetime) -> bool:
    """Due at once, as if it had been put now; False when it has left meanwhile."""
    again = outbox.update().where(outbox.c.id == row_id)
    if not tx.changed(again.values(due_at=now, put_at=now, given_up_at=None, tries=0)):
        return False
    tx.tell(Put("again"), now)
    return True


def forget(tx: Tx, row_id: int) -> bool:
    return tx.changed(outbox.delete().where(outbox.c.id == row_id))


def forget_given_up(tx: Tx, before: datetime, most: int = 500) -> int:
    old = sa.select(outbox.c.id).where(outbox.c.given_up_at < before).limit(most)
    return tx.execute(outbox.delete().where(outbox.c.id.in_(old))).rowcount
