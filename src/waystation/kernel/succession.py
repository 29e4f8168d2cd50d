"""One secret after another without a gap: the one core under every credential that is renewed or rotated.

A secret is *active* from its first use, its successor a *candidate* until then: the old one stays good while the answer
that carried the new one may be lost. The candidate's first use retires all others of its lineage. A holder that renews
its own secrets (a refresh token) is watched for theft: a spent secret that comes back ends the whole lineage (RFC 9700
section 4.14.2), except for one second chance within `grace`, for a device that lost its file in a power cut (JR-13).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from waystation.kernel.db import Moment, Tx, type_of_id

MOST_CANDIDATES = 3  # answers lost in a row whose late arrival still counts


class State(StrEnum):
    CANDIDATE = "candidate"
    ACTIVE = "active"
    RETIRED = "retired"


class Why(StrEnum):
    """Why a secret was retired."""

    REPLACED = "replaced"  # by its successor's first use
    DISPLACED = "displaced"  # by a second chance that its predecessor took
    SUPERSEDED = "superseded"  # never used, and newer ones were made in its place
    REVOKED = "revoked"


class Verdict(StrEnum):
    GOOD = "good"
    FIRST_USE = "first use"
    SECOND_CHANCE = "second chance"
    REFUSED = "refused"
    STOLEN = "stolen"

    @property
    def opens(self) -> bool:
        return self in (Verdict.GOOD, Verdict.FIRST_USE, Verdict.SECOND_CHANCE)


@dataclass(frozen=True, slots=True)
class Secret:
    """One row of a succession, without the secret."""

    id: int
    lineage: int
    state: State
    expires_at: datetime | None
    retired_at: datetime | None
    why: Why | None
    is_second_chance: bool


def judge(secret: Secret, now: datetime, *, renewing: bool = False, grace: timedelta = timedelta()) -> Verdict:
    """What presenting this secret means. `renewing` asks for a successor: only that can be a second chance."""
    if secret.expires_at is not None and secret.expires_at <= now:
        return Verdict.REFUSED
    if secret.state is not State.RETIRED:
        return Verdict.GOOD if secret.state is State.ACTIVE else Verdict.FIRST_USE
    if secret.why is Why.DISPLACED:
        return Verdict.STOLEN
    if secret.why is not Why.REPLACED or secret.retired_at is None:
        return Verdict.REFUSED
    if now - secret.retired_at < grace:
        return Verdict.SECOND_CHANCE if renewing else Verdict.REFUSED
    return Verdict.STOLEN


def columns() -> list[sa.Column[Any]]:
    """What a table of successive secrets has, besides columns of its own."""
    return [
        sa.Column("id", type_of_id, primary_key=True),
        sa.Column("lineage", type_of_id),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("expires_at", Moment),
        sa.Column("retired_at", Moment),
        sa.Column("why", sa.Text),
        sa.Column("second_chance", sa.Boolean, nullable=False, server_default=sa.false()),
    ]


class Succession:
    """The statements on such a table. `watched` lineages end when a spent secret comes back."""

    def __init__(self, table: sa.Table, *, grace: timedelta = timedelta(), watched: bool = False) -> None:
        self.table = table
        self.grace = grace
        self.watched = watched

    def start(
        self,
        tx: Tx,
        digest: bytes,
        now: datetime,
        *,
        expires_at: datetime | None,
        lineage: int | None = None,
        **own: Any,
    ) -> int:
        """The first of a lineage, active at once; without a `lineage` given its own id names it."""
        values = {"state": State.ACTIVE, "digest": digest, "created_at": now, "expires_at": expires_at, **own}
        made: int = tx.scalar(self.table.insert().values(lineage=lineage, **values).returning(self.table.c.id))
        if lineage is None:
            tx.execute(self.table.update().where(self.table.c.id == made).values(lineage=made))
        return made

    def by_digest(self, tx: Tx, digest: bytes) -> sa.Row[Any] | None:
        return tx.first(self.table.select().where(self.table.c.digest == digest))

    def use(self, tx: Tx, row: sa.Row[Any], now: datetime) -> Verdict:
        """Judges and carries the verdict out: a first use retires the others, a theft ends the lineage."""
        return self._carry_out(tx, self._locked(tx, row), now, renewing=False)

    def renew(
        self, tx: Tx, row: sa.Row[Any], now: datetime, digest: bytes, *, expires_at: datetime | None, **own: Any
    ) -> Verdict:
        """Makes a candidate with this digest unless the verdict says otherwise. Asking again makes another one."""
        secret = self._locked(tx, row)
        verdict = self._carry_out(tx, secret, now, renewing=True)
        if verdict.opens:
            chance = verdict is Verdict.SECOND_CHANCE
            self.add_candidate(tx, secret.lineage, digest, now, expires_at=expires_at, second_chance=chance, **own)
        return verdict

    def add_candidate(
        self,
        tx: Tx,
        lineage: int,
        digest: bytes,
        now: datetime,
        *,
        expires_at: datetime | None,
        second_chance: bool = False,
        **own: Any,
    ) -> int:
        """One more successor; beyond a few that never arrived the oldest go."""
        waiting = [row.id for row in self._live(tx, lineage) if row.state == State.CANDIDATE]
        if len(waiting) >= MOST_CANDIDATES:
            self._retire(tx, waiting[: 1 - MOST_CANDIDATES], now, Why.SUPERSEDED)
        values = {"digest": digest, "created_at": now, "expires_at": expires_at, "second_chance": second_chance, **own}
        row = self.table.insert().values(lineage=lineage, state=State.CANDIDATE, **values)
        return tx.scalar(row.returning(self.table.c.id))

    def end(self, tx: Tx, lineage: int, now: datetime) -> int:
        """Nothing of the lineage opens anything any more, nor gets a second chance; how many there were."""
        ended = self._retire(tx, [row.id for row in self._live(tx, lineage)], now, Why.REVOKED)
        tx.execute(self.table.update().where(self.table.c.lineage == lineage).values(why=Why.REVOKED))
        return ended

    def forget(self, tx: Tx, expired_before: datetime, most: int = 500) -> int:
        """Rows that could only be refused by now: an expired secret is no sign of theft."""
        old = sa.select(self.table.c.id).where(self.table.c.expires_at < expired_before).limit(most)
        return tx.execute(self.table.delete().where(self.table.c.id.in_(old))).rowcount

    def _carry_out(self, tx: Tx, secret: Secret, now: datetime, *, renewing: bool) -> Verdict:
        verdict = judge(secret, now, renewing=renewing, grace=self.grace)
        if verdict is Verdict.STOLEN and not self.watched:
            return Verdict.REFUSED
        if verdict is Verdict.STOLEN:
            self.end(tx, secret.lineage, now)
        if verdict is Verdict.FIRST_USE:
            self._promote(tx, secret, now)
        return verdict

    def _promote(self, tx: Tx, secret: Secret, now: datetime) -> None:
        others = [row.id for row in self._live(tx, secret.lineage) if row.id != secret.id]
        self._retire(tx, others, now, Why.DISPLACED if secret.is_second_chance else Why.REPLACED)
        tx.execute(self.table.update().where(self.table.c.id == secret.id).values(state=State.ACTIVE))

    def _locked(self, tx: Tx, row: sa.Row[Any]) -> Secret:
        """The row as it is once nobody else changes its lineage; all lock in one order, so none waits in a circle."""
        wanted = sa.or_(self.table.c.state != State.RETIRED, self.table.c.id == row.id)
        rows = self.table.select().where(self.table.c.lineage == row.lineage, wanted).order_by(self.table.c.id)
        return next(secret_of(found) for found in tx.all(rows.with_for_update()) if found.id == row.id)

    def _live(self, tx: Tx, lineage: int) -> Sequence[sa.Row[Any]]:
        live = self.table.select().where(self.table.c.lineage == lineage, self.table.c.state != State.RETIRED)
        return tx.all(live.order_by(self.table.c.id))

    def _retire(self, tx: Tx, ids: Sequence[int], now: datetime, why: Why) -> int:
        if not ids:
            return 0
        live = self.table.update().where(self.table.c.id.in_(ids), self.table.c.state != State.RETIRED)
        return tx.execute(live.values(state=State.RETIRED, retired_at=now, why=why)).rowcount


def secret_of(row: sa.Row[Any]) -> Secret:
    why = Why(row.why) if row.why else None
    return Secret(row.id, row.lineage, State(row.state), row.expires_at, row.retired_at, why, row.second_chance)
