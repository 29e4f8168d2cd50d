"""What leaves a transaction: rows written with the change itself, sent after the commit, retried until taken."""

import threading
from collections.abc import Callable, Mapping, Sequence
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
    sa.Index("outbox_due", "due_at"),
    sqlite_autoincrement=True,
)


@dataclass(frozen=True, slots=True)
class Put:
    """Something was put into the outbox; told inside the transaction."""

    kind: str


Send = Callable[[str, bytes], None]
NOTICE = "notice"
LOOK_SECONDS = 0.2


def put(tx: Tx, subject: str, body: Any, now: datetime, *, kind: str) -> None:
    """`kind` chooses the sender; `body` is anything msgspec can turn into JSON."""
    tx.execute(outbox.insert().values(kind=kind, subject=subject, body=msgspec.json.encode(body), due_at=now))
    tx.tell(Put(kind), now)


def notice(tx: Tx, subject: str, body: Any, now: datetime) -> None:
    """Tell every process of the site, on the bus, once this is committed: also from a command line beside the hub."""
    put(tx, subject, body, now, kind=NOTICE)


class Courier:
    """One thread that sends what is due while `may_send()`: in one process of a site at a time, the sweeps' owner.

    A row of another process (a command line beside the hub) is found within `LOOK_SECONDS`; `nudge` makes it at once.
    """

    def __init__(
        self, database: Database, clock: Clock, senders: Mapping[str, Send], *, may_send: Callable[[], bool]
    ) -> None:
        self._database = database
        self._clock = clock
        self._senders = senders
        self._may_send = may_send
        self._nudged = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def nudge(self) -> None:
        self._nudged.set()

    def close(self) -> None:
        self._closing = True
        self.nudge()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            try:
                did = self.deliver() if self._may_send() else 0
            except Exception as fault:  # noqa: BLE001  the rows stay and are tried again
                log.error("outbox not read", fault=repr(fault))
                did = 0
            if not did:
                self._nudged.wait(LOOK_SECONDS)
            self._nudged.clear()

    def deliver(self, most: int = 200) -> int:
        """Sends up to `most` due rows, oldest first; those taken are deleted, the others wait longer each time."""
        now = self._clock.now()
        due = (
            outbox.select()
            .where(outbox.c.due_at <= now, outbox.c.kind.in_(self._senders))
            .order_by(outbox.c.id)
            .limit(most)
        )
        with self._database.read() as tx:
            rows = tx.all(due)
        if not rows:
            return 0
        outcomes = [(row, self._sent(row)) for row in rows]
        with self._database.write() as tx:
            _settle(tx, outcomes, now)
        return len(rows)

    def _sent(self, row: Any) -> str | None:
        try:
            self._senders[row.kind](row.subject, row.body)
        except Exception as fault:  # noqa: BLE001  a sender's fault waits in its row, seen on the system page
            log.warning("not sent", kind=row.kind, subject=row.subject, tries=row.tries + 1, fault=repr(fault))
            return repr(fault)
        return None


def _settle(tx: Tx, outcomes: Sequence[tuple[Any, str | None]], now: datetime) -> None:
    sent = [row.id for row, fault in outcomes if fault is None]
    tx.execute(outbox.delete().where(outbox.c.id.in_(sent)))
    for row, fault in outcomes:
        if fault is not None:
            wait = timedelta(seconds=min(3600, 5 * 2 ** min(row.tries, 10)))
            again = outbox.update().where(outbox.c.id == row.id)
            tx.execute(again.values(tries=row.tries + 1, due_at=now + wait, fault=fault[:500]))
