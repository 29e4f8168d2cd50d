"""Proving who one is, for the pages and for the log-ins of apps: wrong tries counted, second step, then a session."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from math import ceil
from typing import Any, TypeVar

from waystation.identity import service, store
from waystation.identity.factors import lockout
from waystation.identity.factors import service as factors
from waystation.identity.factors import store as factor_store
from waystation.identity.factors.model import LONGEST_PERIOD
from waystation.identity.factors.service import Mine, Pending
from waystation.identity.model import Person
from waystation.kernel import audit, mail, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.clock import EPOCH, Clock
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import DomainError, Refused, TooMany, Unavailable
from waystation.kernel.limits import Limiter
from waystation.kernel.parts import Parts
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing
from waystation.kernel.settings import Settings

T = TypeVar("T")

STRANGERS_AT_ONCE = max(1, (os.cpu_count() or 2) // 2)  # the rest of the processor is for everybody else
MOST_WAITING = 200
MOST_EMAIL = 320
MOST_PASSWORD = 1000
MOST_CODE = 100
WRONG = "that e-mail address and password do not fit together"
WRONG_CODE = "that code does not fit; type the one that your app shows now"


class WrongPassword(Refused):
    word = "wrong_password"


class CodeNeeded(Refused):
    word = "second_factor_needed"


class WrongCode(Refused):
    word = "wrong_code"


@dataclass(frozen=True, slots=True)
class Came:
    """Where a request comes from. `browser` and `session` are the secrets of its cookies, empty without."""

    ip: str | None
    agent: str | None = None
    browser: str = field(default="", repr=False)
    session: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """An e-mail address, or a user name in its place, and a password as typed."""

    email: str
    password: str = field(repr=False)
    came: Came


@dataclass(frozen=True, slots=True)
class Proved:
    """The password was right. `browser_id` is None in a browser that has not signed in to this account before."""

    person: Person
    browser_id: int | None
    second_step: bool


@dataclass(frozen=True, slots=True)
class Entered:
    """A session and the browser's new secret, each for a cookie and shown once."""

    session: str = field(repr=False)
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stopped:
    """The second step did not work; `is_over` when one must begin again with the password."""

    sentence: str
    wait_seconds: float | None = None
    is_over: bool = False


class SignIns:
    """Threads for nothing but passwords, so that a flood of them leaves the server's own threads alone. Familiar
    browsers have a thread of their own, before which no stranger stands.
    """

    def __init__(self) -> None:
        self._familiar = ThreadPoolExecutor(1, "familiar sign-in")
        self._strangers = ThreadPoolExecutor(STRANGERS_AT_ONCE, "sign-in")
        self._waiting = 0

    async def run(self, work: Callable[[], T], *, familiar: bool) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many people sign in at the moment; try again shortly", retry_after_seconds=5)
        self._waiting += 1
        try:
            threads = self._familiar if familiar else self._strangers
            return await asyncio.get_running_loop().run_in_executor(threads, work)
        finally:
            self._waiting -= 1


async def check_login(parts: Parts, attempt: Attempt, *, otp: str = "") -> Person:
    """Who it is, for the log-ins of apps; call it from an async edge. Raises WrongPassword, CodeNeeded (ask for `otp`
    and send all again), WrongCode, or TooMany; what it counts is committed either way.
    """
    return await apart(parts, attempt.came, partial(_log_in, parts, attempt, otp))


async def apart(parts: Parts, came: Came, work: Callable[[], T]) -> T:
    """Runs what proves a password in its own threads, within the address's limit."""
    await count_address(parts, came.ip)
    familiar = bool(came.browser) and await asyncio.to_thread(_is_familiar, parts, came.browser)
    return await parts.get(SignIns).run(work, familiar=familiar)


async def count_address(parts: Parts, ip: str | None) -> None:
    rule = f"{parts.get(Settings).signin_per_minute}/minute"
    await parts.get(Limiter).limit_async(rule, "sign in", ip or "")


def prove(parts: Parts, attempt: Attempt, then: Callable[[Tx, Proved, datetime], T]) -> T:
    """`then` runs in the transaction that notes the outcome. Raises WrongPassword, or TooMany without trying.

    Unknown addresses take the same way with the same sentences, as long (G-7).
    """
    now = parts.get(Clock).now()
    email = _typed(attempt.email, MOST_EMAIL).strip()
    with parts.get(Database).write() as tx:
        row: Any = store.person_called(tx, email)
        account = lockout.account_of(parts.get(KeyRing), row.email if row else email)  # one count, under either name
        browser_id = lockout.browser_of(tx, row.id if row else None, attempt.came.browser, now)
        counted = lockout.count_password(tx, account, now, browser_id=browser_id, ip=attempt.came.ip)
        if counted.just_closed:
            _note_failure(tx, attempt, now, email=row.email if row else None, did="was stopped from guessing on")
    if counted.wait_seconds is not None:
        raise _too_many(counted.wait_seconds)
    password = _typed(attempt.password, MOST_PASSWORD)
    fits = service.password_fits(password, row.password_hash if row else None)
    with parts.get(Database).write() as tx:
        if fits and row is not None:
            lockout.give_back(tx, counted)
            person = Person(row.id, row.email, row.name, row.created_at)
            second_step = factor_store.second_step_is_on(tx, row.id)
            return then(tx, Proved(person, browser_id, second_step), now)
        _note_failure(tx, attempt, now, email=row.email if row else None, mark=account.hex()[:8])
    raise WrongPassword(WRONG)


def sign_in(parts: Parts, attempt: Attempt, wanted: str) -> Entered | str:
    """A session, or the secret of a sign-in that waits for its second step. Blocks for a hash: see `apart`."""

    def go_on(tx: Tx, proved: Proved, now: datetime) -> Entered | str:
        if proved.second_step:
            return factors.begin(tx, proved.person.id, now, wanted=wanted)
        return enter(tx, proved.person.id, now, came=attempt.came, how="password")

    return prove(parts, attempt, go_on)


def second_step(tx: Tx, parts: Parts, waiting: Pending, now: datetime, *, came: Came, code: str) -> Entered | Stopped:
    """With a code of the app or a recovery code. What it counts must be committed, so it raises nothing."""
    mine = mine_of(parts, waiting, came)
    browser_id = lockout.browser_of(tx, waiting.person_id, came.browser, now)
    counted = factors.count_code(tx, parts.get(KeyRing), waiting, now, mine=mine, browser_id=browser_id)
    if counted is None:
        factor_store.use_pending(tx, waiting.digest)
        return Stopped("those were too many wrong codes; sign in again", is_over=True)
    if counted.wait_seconds is not None:
        return Stopped(_too_many(counted.wait_seconds).sentence, counted.wait_seconds)
    how = factors.code_fits(tx, Sealing(parts.get(KeyRing)), waiting.person_id, now, code=_typed(code, MOST_CODE))
    if how is None:
        _note_wrong_code(tx, mine, waiting.email, now)
        return Stopped(WRONG_CODE)
    lockout.give_back(tx, counted)
    if how == "recovery code":
        factors.warn_of_recovery(tx, mine, now)
    return finish(tx, waiting, now, came=came, how=f"password, {how}")


def finish(tx: Tx, waiting: Pending, now: datetime, *, came: Came, how: str) -> Entered | Stopped:
    """The sign-in that waited is used up; of two answers at once only one gets in."""
    if not factor_store.use_pending(tx, waiting.digest):
        return Stopped("this sign-in has been finished already; sign in again", is_over=True)
    return enter(tx, waiting.person_id, now, came=came, how=how)


def enter(tx: Tx, person_id: int, now: datetime, *, came: Came, how: str) -> Entered:
    """A new session for somebody who has proved who they are; one that this browser had before ends."""
    person: Any = store.person_by_id(tx, person_id)
    if person is None:
        raise WrongPassword(WRONG)
    before = store.live_session(tx, secrets.digest(came.session), EPOCH) if came.session else None
    if before is not None:
        service.end_session(tx, before.id, now)
    session = service.open_session(tx, person_id, now, ip=came.ip, agent=came.agent)
    store.note_sign_in(tx, person_id, now)
    browser = lockout.remember(tx, person_id, came.browser, now)
    audit.note(tx, Actor(f"person:{person.email}", came.ip), "signed in", f"session:{session.id}", now=now, how=how)
    return Entered(session.secret, browser)


def mine_of(parts: Parts, waiting: Pending, came: Came) -> Mine:
    by = Actor(f"person:{waiting.email}", came.ip)
    return Mine(waiting.person_id, by, mails=mail.is_on(parts.get(Settings)))


def _typed(text: str, most: int) -> str:
    """What any database and hash can take."""
    return text[:most].encode("utf-8", "replace").decode().replace("\0", "")


def _is_familiar(parts: Parts, browser: str) -> bool:
    with parts.get(Database).read() as tx:
        return lockout.is_familiar(tx, browser)


def _log_in(parts: Parts, attempt: Attempt, otp: str) -> Person:
    """A refusal of the code is returned by the transaction, so that what it counts stays, and raised after it."""

    def go_on(tx: Tx, proved: Proved, now: datetime) -> Person | DomainError:
        return (
            proved.second_step and _code_refused(tx, parts, proved, now, came=attempt.came, otp=otp)
        ) or proved.person

    outcome = prove(parts, attempt, go_on)
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome


def _code_refused(tx: Tx, parts: Parts, proved: Proved, now: datetime, *, came: Came, otp: str) -> DomainError | None:
    if not otp:
        return CodeNeeded("this account asks for a second step; send the code of your app as well")
    person, keys = proved.person, parts.get(KeyRing)
    mine = Mine(person.id, Actor(f"person:{person.email}", came.ip), mails=mail.is_on(parts.get(Settings)))
    counted = factors.count_codes(tx, keys, mine, now, email=person.email, browser_id=proved.browser_id)
    if counted.wait_seconds is not None:
        return _too_many(counted.wait_seconds)
    how = factors.code_fits(tx, Sealing(keys), person.id, now, code=_typed(otp, MOST_CODE))
    if how is None:
        _note_wrong_code(tx, mine, person.email, now)
        return WrongCode(WRONG_CODE)
    lockout.give_back(tx, counted)
    if how == "recovery code":
        factors.warn_of_recovery(tx, mine, now)
    return None


def _note_failure(
    tx: Tx, attempt: Attempt, now: datetime, *, email: str | None, did: str = "failed to sign in", **detail: Any
) -> None:
    """An address that we do not know is not kept: it may be a password in the wrong field."""
    on = f"person:{email}" if email else "person:unknown"
    audit.note(tx, Actor("nobody", attempt.came.ip), did, on, now=now, **detail)


def _note_wrong_code(tx: Tx, mine: Mine, email: str, now: datetime) -> None:
    audit.note(tx, Actor("nobody", mine.by.ip), "gave a wrong code", f"person:{email}", now=now)


def _too_many(wait_seconds: float) -> TooMany:
    minutes = ceil(min(wait_seconds, LONGEST_PERIOD.total_seconds()) / 60)
    words = f"wait {minutes} minutes" if minutes > 1 else "wait a minute"
    elsewhere = "or sign in with a passkey or in a browser that you have used before"
    return TooMany(f"too many wrong tries; {words}, {elsewhere}", retry_after_seconds=wait_seconds)
