"""The second step of signing in: switched on and off, passed, and every change told to its person."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from waystation.identity import store as people
from waystation.identity.factors import lockout, passkeys, store, totp
from waystation.identity.factors.model import (
    CONFIRMED_FOR,
    PENDING_LIFETIME,
    PENDING_TRIES,
    RECOVERY_CODES,
    Factors,
    Passkey,
    looks_like_app_code,
    new_recovery_code,
    recovery_digest,
)
from waystation.kernel import audit, mail, secrets
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound
from waystation.kernel.sealing import Sealing
from waystation.kernel.secrets import KeyRing


@dataclass(frozen=True, slots=True)
class Mine:
    """Whose factors change, and who changes them. `mails`: there is a mail server that can tell the person."""

    person_id: int
    by: Actor
    session_id: int = 0
    mails: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that waits for its second step."""

    digest: bytes
    person_id: int
    email: str
    next: str


def factors(tx: Tx, person_id: int) -> Factors:
    return Factors(
        second_step=store.second_step_is_on(tx, person_id),
        app=totp.is_on(tx, person_id),
        passkeys=len(store.passkeys_of(tx, person_id)),
        recovery_codes=store.recovery_codes_left(tx, person_id),
    )


def is_confirmed(tx: Tx, mine: Mine, now: datetime) -> bool:
    """Whether the person has proved who they are so recently that they may change how they sign in."""
    at = store.confirmed_at(tx, mine.session_id)
    return at is not None and now - at < CONFIRMED_FOR


def confirm_app(tx: Tx, sealing: Sealing, mine: Mine, now: datetime, *, code: str) -> list[str]:
    """Fresh recovery codes, shown once; from now on the second step is asked for."""
    totp.confirm(tx, sealing, mine.person_id, now, code=code)
    store.switch_second_step_on(tx, mine.person_id, now)
    _tell(tx, mine, now, "set up an authenticator app", words="An authenticator app was set up for your account.")
    return _fresh_codes(tx, mine.person_id)


def use_passkeys_as_second_step(tx: Tx, mine: Mine, now: datetime) -> list[str]:
    """Fresh recovery codes, shown once."""
    if not store.passkeys_of(tx, mine.person_id):
        raise Conflict("add a passkey first, or set up an authenticator app")
    if not store.switch_second_step_on(tx, mine.person_id, now):
        raise Conflict("the second step is on already")
    _tell(
        tx, mine, now, "switched the second step on", words="Signing in with your password now asks for a second step."
    )
    return _fresh_codes(tx, mine.person_id)


def new_recovery_codes(tx: Tx, mine: Mine, now: datetime) -> list[str]:
    """The earlier ones end."""
    if not store.second_step_is_on(tx, mine.person_id):
        raise Conflict("recovery codes are for the second step, which is off")
    _tell(
        tx, mine, now, "made new recovery codes", words="New recovery codes were made; the earlier ones no longer work."
    )
    return _fresh_codes(tx, mine.person_id)


def switch_off(tx: Tx, mine: Mine, now: datetime) -> None:
    """Authenticator app, recovery codes and the question for them; passkeys stay and sign in by themselves."""
    if not _clear_second_step(tx, mine.person_id):
        raise Conflict("the second step is off already")
    words = "The second step was switched off: your password alone signs you in."
    _tell(tx, mine, now, "switched the second step off", words=words)


def clear(tx: Tx, theirs: Mine, now: datetime) -> None:
    """For somebody who has lost everything: an administrator takes the second step away, passkeys too."""
    for one in store.passkeys_of(tx, theirs.person_id):
        store.delete_passkey(tx, theirs.person_id, one.id)
    _clear_second_step(tx, theirs.person_id)
    words = "Your second step and passkeys were removed by an administrator."
    _tell(tx, theirs, now, "removed the second step", words=words)


def add_passkey(tx: Tx, mine: Mine, answer: passkeys.Answer, now: datetime, *, name: str) -> Passkey:
    made = passkeys.register(tx, answer, now, person_id=mine.person_id, name=name)
    words = f"The passkey “{made.name}” was added to your account."
    _tell(tx, mine, now, "added a passkey", words=words, passkey=made.name)
    return made


def rename_passkey(tx: Tx, mine: Mine, now: datetime, *, passkey_id: int, name: str) -> None:
    name = passkeys.check_name(name)
    if not store.rename_passkey(tx, mine.person_id, passkey_id, name):
        raise NotFound("this passkey is gone")
    audit.note(tx, mine.by, "renamed a passkey", f"passkey:{passkey_id}", now=now, name=name)


def delete_passkey(tx: Tx, mine: Mine, now: datetime, *, passkey_id: int) -> None:
    """With the last one goes a second step that had nothing else, so that nobody is left with recovery codes alone."""
    mine_all = {one.id: one for one in store.passkeys_of(tx, mine.person_id)}
    if not store.delete_passkey(tx, mine.person_id, passkey_id):
        raise NotFound("this passkey is gone")
    if len(mine_all) == 1 and not totp.is_on(tx, mine.person_id):
        _clear_second_step(tx, mine.person_id)
    name = mine_all[passkey_id].name
    words = f"The passkey “{name}” was removed from your account."
    _tell(tx, mine, now, "removed a passkey", words=words, passkey=name)


def begin(tx: Tx, person_id: int, now: datetime, *, wanted: str) -> str:
    """The secret of a sign-in whose password was right, for the browser's cookie. By itself it opens nothing."""
    secret = secrets.new_secret()
    store.add_pending(tx, person_id, secrets.digest(secret), wanted, expires_at=now + PENDING_LIFETIME)
    return secret


def pending(tx: Tx, secret: str, now: datetime) -> Pending | None:
    digest = secrets.digest(secret)
    row = store.pending(tx, digest, now)
    person: Any = None if row is None else people.person_by_id(tx, row.person_id)
    if row is None or person is None:
        return None
    return Pending(digest, person.id, person.email, row.next)


def count_code(
    tx: Tx, keys: KeyRing, waiting: Pending, now: datetime, *, mine: Mine, browser_id: int | None
) -> lockout.Counted | None:
    """None when this sign-in has had all its tries."""
    if not store.count_pending_try(tx, waiting.digest, PENDING_TRIES, now):
        return None
    return count_codes(tx, keys, mine, now, email=waiting.email, browser_id=browser_id)


def count_codes(
    tx: Tx, keys: KeyRing, mine: Mine, now: datetime, *, email: str, browser_id: int | None
) -> lockout.Counted:
    """When the account's tries are used up its person is told: somebody knows the password."""
    counted = lockout.count_code(tx, lockout.account_of(keys, email), now, browser_id=browser_id)
    if counted.just_closed:
        words = (
            "Somebody has typed your password correctly and then too many wrong codes. "
            "If that was not you, change your password: others know it."
        )
        _tell(tx, replace(mine, by=Actor("nobody", mine.by.ip)), now, "typed too many wrong codes", words=words)
    return counted


def code_fits(tx: Tx, sealing: Sealing, person_id: int, now: datetime, *, code: str) -> str | None:
    """How it was proved: by `app code` or `recovery code`; the code is used up. None when it is not good."""
    if looks_like_app_code(code):
        return "app code" if totp.fits(tx, sealing, person_id, now, code=code) else None
    return "recovery code" if store.use_recovery_code(tx, person_id, recovery_digest(code), now) else None


def warn_of_recovery(tx: Tx, mine: Mine, now: datetime) -> None:
    left = store.recovery_codes_left(tx, mine.person_id)
    words = f"A recovery code was used to sign in. {left} of {RECOVERY_CODES} are left."
    _tell(tx, mine, now, "used a recovery code", words=words)


def _clear_second_step(tx: Tx, person_id: int) -> bool:
    store.delete_totp(tx, person_id)
    store.replace_recovery_codes(tx, person_id, ())
    store.end_pending_of(tx, person_id)
    return store.switch_second_step_off(tx, person_id)


def _fresh_codes(tx: Tx, person_id: int) -> list[str]:
    codes = [new_recovery_code() for _ in range(RECOVERY_CODES)]
    store.replace_recovery_codes(tx, person_id, [recovery_digest(code) for code in codes])
    return codes


def _tell(tx: Tx, mine: Mine, now: datetime, did: str, *, words: str, **detail: Any) -> None:
    """In the audit log, and by mail to the person, who may not be the one who did it."""
    person: Any = people.person_by_id(tx, mine.person_id)
    if person is None:
        raise NotFound("this person is gone")
    audit.note(tx, mine.by, did, f"person:{person.email}", now=now, **detail)
    if not mine.mails or not mail.ADDRESS.fullmatch(person.email):
        return
    text = f"{words}\n\nIf that was not you, change your password and look at your account's security page at once.\n"
    mail.send(tx, now, to=person.email, subject="How you sign in has changed", text=text)
