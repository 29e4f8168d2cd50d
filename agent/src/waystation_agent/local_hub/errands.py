"""Commands at the local hub: handed out by lease, and what became of each."""

import json
import sqlite3
import threading
import time
from collections.abc import Mapping
from secrets import token_hex
from typing import cast

from waystation_agent.local_hub.wire import Object, Refusal, Reply, Request, as_object, said

SCHEMA = """
create table if not exists command (
    number integer primary key autoincrement, id text unique, name text, parameters text, once integer,
    state text default 'queued', attempt integer default 0, leased_until real default 0, result text
);
create table if not exists late_outcome (id text, state text, result text);
"""
NOT_CONFIRMED = "not confirmed: it was handed out once, and no outcome came in time"
OVER = ("done", "failed", "rejected", "cancelled", "expired")


class Errands:
    """`lease_seconds` is how long an outcome may take before a command is handed out again."""

    def __init__(self, db: sqlite3.Connection, lock: threading.Lock) -> None:
        self._db = db
        self._ordered = threading.Condition(lock)
        self.lease_seconds = 60.0
        db.executescript(SCHEMA)

    def order(self, name: str, parameters: Mapping[str, object] | None = None, *, once: bool = False) -> str:
        """Queue a command for whichever device asks next; returns its id."""
        identifier = token_hex(6)
        with self._ordered:
            self._db.execute(
                "insert into command (id, name, parameters, once) values (?, ?, ?, ?)",
                (identifier, name, json.dumps(parameters), once),
            )
            self._ordered.notify_all()
        return identifier

    def cancel(self, command: str) -> None:
        with self._ordered:
            self._db.execute("update command set state = 'cancelled' where id = ?", (command,))

    def outcome(self, command: str) -> tuple[str, Object]:
        """Return state and result of a command as they are now."""
        with self._ordered:
            row = self._db.execute("select state, result from command where id = ?", (command,)).fetchone()
        return row[0], json.loads(row[1] or "{}")

    def answer(self, request: Request) -> Reply:
        if request.path == "/api/commands/next":
            return said({"command": self._next(float(request.query.get("wait", 0)))})
        body = request.json()
        if isinstance(body, list):
            return said({"outcomes": [self._hear(as_object(one)) for one in cast("list[object]", body)]})
        return said(self._hear(as_object(body)))

    def _next(self, wait_seconds: float) -> Object | None:
        until = time.monotonic() + min(wait_seconds, 60.0)
        with self._ordered:
            while (found := self._take()) is None and (left := until - time.monotonic()) > 0:
                self._ordered.wait(min(left, 0.2))  # a lease may end without a sound
        return found

    def _take(self) -> Object | None:
        now = time.time()
        self._db.execute(
            "update command set state = 'failed', result = ?"
            " where once and state in ('leased', 'running') and leased_until < ?",
            (json.dumps({"reason": NOT_CONFIRMED}), now),
        )
        row = self._db.execute(
            "select id, name, parameters, attempt, once from command where state = 'queued'"
            " or (state in ('leased', 'running') and not once and leased_until < ?) order by number limit 1",
            (now,),
        ).fetchone()
        if row is None:
            return None
        self._db.execute(
            "update command set state = 'leased', attempt = attempt + 1, leased_until = ? where id = ?",
            (now + self.lease_seconds, row[0]),
        )
        return {
            "id": row[0],
            "name": row[1],
            "parameters": json.loads(row[2]),
            "attempt": row[3] + 1,
            "once": bool(row[4]),
            "lease_seconds": self.lease_seconds,
            "expires_at": None,
        }

    def _hear(self, outcome: Object) -> Object:
        identifier, state, result = str(outcome["id"]), str(outcome["state"]), json.dumps(outcome.get("result"))
        if len(result.encode()) > 4_096:
            raise Refusal(413, "too_large", "A result has at most 4,096 bytes.")
        with self._ordered:
            row = self._db.execute("select state, result from command where id = ?", (identifier,)).fetchone()
            if row is None:
                raise Refusal(404, "not_found", "There is no such command.")
            if row[0] in OVER and row != (state, result):
                self._db.execute("insert into late_outcome values (?, ?, ?)", (identifier, state, result))
                raise Refusal(409, "conflict", f"The command is {row[0]}.")
            lease_seconds = float(cast("float", outcome.get("lease_seconds", self.lease_seconds)))
            self._db.execute(
                "update command set state = ?, result = ?, leased_until = ? where id = ?",
                (state, result, time.time() + lease_seconds, identifier),
            )
        return {"id": identifier, "state": state}
