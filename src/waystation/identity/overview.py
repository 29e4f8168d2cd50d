"""Everybody's accounts and open sessions, for those who run the site."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from waystation.identity import logins, service, store
from waystation.identity.account.browser import browser_name
from waystation.kernel import audit
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import NotFound


@dataclass(frozen=True, slots=True)
class Account:
    id: int
    email: str
    name: str
    created_at: datetime
    signed_in_at: datetime | None
    is_disabled: bool
    is_operator: bool


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A browser, or an app's log-in, in which somebody is signed in."""

    id: int
    is_app: bool
    email: str
    name: str
    ip: str
    created_at: datetime
    seen_at: datetime


def accounts(tx: Tx, words: str, *, after: int = 0, most: int = 100) -> list[Account]:
    rows = store.everybody(tx, words, after=after, most=most)
    return [
        Account(
            row.id, row.email, row.name, row.created_at, row.signed_in_at, row.disabled_at is not None, row.is_operator
        )
        for row in rows
    ]


def open_sessions(tx: Tx, now: datetime, *, idle: timedelta) -> list[OpenSession]:
    """The last used first."""
    browsers = [_shown(row, is_app=False) for row in store.open_sessions(tx, now - idle)]
    apps = [_shown(row, is_app=True) for row in store.open_logins(tx, now - logins.REFRESH_LIFETIME)]
    return sorted([*browsers, *apps], key=lambda one: one.seen_at, reverse=True)


def end_session(tx: Tx, by: Actor, session_id: int, now: datetime) -> None:
    if not service.end_session(tx, session_id, now):
        raise NotFound("that browser is signed out already")
    audit.note(tx, by, "signed a browser out", f"session:{session_id}", now=now)


def end_login(tx: Tx, by: Actor, login_id: int, now: datetime) -> None:
    if not logins.log_out(tx, login_id, now):
        raise NotFound("that app is logged out already")
    audit.note(tx, by, "logged an app out", f"login:{login_id}", now=now)


def _shown(row: Any, *, is_app: bool) -> OpenSession:
    return OpenSession(row.id, is_app, row.email, browser_name(row.agent), row.ip or "", row.created_at, row.seen_at)
