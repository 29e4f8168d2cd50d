"""Tables of second factors, passkeys, sign-ins under way, known browsers and wrong tries; every statement on them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from waystation.identity.factors.model import Passkey
from waystation.identity.store import session
from waystation.kernel.db import Moment, Tx, metadata, type_of_id


def _persons_id(*, key: bool = False) -> sa.Column[Any]:
    owner = sa.ForeignKey("person.id", ondelete="CASCADE")
    return sa.Column("person_id", type_of_id, owner, primary_key=key, nullable=False, autoincrement=False)


second_step = sa.Table(
    "second_step",
    metadata,
    _persons_id(key=True),
    sa.Column("on_at", Moment, nullable=False),
)

totp = sa.Table(
    "totp",
    metadata,
    _persons_id(key=True),
    sa.Column("secret", sa.LargeBinary, nullable=False),  # sealed
    sa.Column("last_step", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("confirmed_at", Moment),
)

recovery_code = sa.Table(
    "recovery_code",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    _persons_id(),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("used_at", Moment),
    sa.Index("recovery_code_person", "person_id"),
)

passkey = sa.Table(
    "passkey",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    _persons_id(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("site", sa.Text, nullable=False),  # the relying party id: the host name that it opens
    sa.Column("credential_id", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("public_key", sa.LargeBinary, nullable=False),
    sa.Column("uses", sa.BigInteger, nullable=False),  # as the authenticator counts them; 0 when it does not
    sa.Column("is_synced", sa.Boolean, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment),
    sa.Index("passkey_person", "person_id"),
)

challenge = sa.Table(
    "challenge",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    sa.Column("purpose", sa.Text, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("expires_at", Moment, nullable=False),
)

pending_sign_in = sa.Table(
    "pending_sign_in",
    metadata,
    sa.Column("digest", sa.LargeBinary, primary_key=True),
    _persons_id(),
    sa.Column("next", sa.Text, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
    sa.Column("expires_at", Moment, nullable=False),
)

known_browser = sa.Table(
    "known_browser",
    metadata,
    sa.Column("id", type_of_id, primary_key=True),
    _persons_id(),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("used_at", Moment, nullable=False),
    sa.UniqueConstraint("person_id", "digest"),
    sa.Index("known_browser_digest", "digest"),
)

sign_in_tries = sa.Table(
    "sign_in_tries",
    metadata,
    sa.Column("account", sa.LargeBinary, primary_key=True),
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("began_at", Moment, nullable=False),
)

confirmation = sa.Table(
    "confirmation",
    metadata,
    sa.Column(
        "session_id",
        type_of_id,
        sa.ForeignKey("session.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("confirmed_at", Moment, nullable=False),
)


def switch_second_step_on(tx: Tx, person_id: int, now: datetime) -> bool:
    row = tx.insert(second_step).values(person_id=person_id, on_at=now)
    once = row.on_conflict_do_nothing(index_elements=["person_id"])
    return tx.first(once.returning(second_step.c.person_id)) is not None


def switch_second_step_off(tx: Tx, person_id: int) -> bool:
    return tx.changed(second_step.delete().where(second_step.c.person_id == person_id))


def second_step_is_on(tx: Tx, person_id: int) -> bool:
    return tx.first(second_step.select().where(second_step.c.person_id == person_id)) is not None


def offer_totp(tx: Tx, person_id: int, sealed: bytes, now: datetime) -> bool:
    """A fresh secret that is not in force yet; False when one is."""
    fresh = {"secret": sealed, "last_step": 0, "created_at": now}
    row = tx.insert(totp).values(person_id=person_id, **fresh)
    unconfirmed = totp.c.confirmed_at.is_(None)
    offered = row.on_conflict_do_update(index_elements=["person_id"], set_=fresh, where=unconfirmed)
    return tx.first(offered.returning(totp.c.person_id)) is not None


def totp_of(tx: Tx, person_id: int) -> sa.Row[Any] | None:
    return tx.first(totp.select().where(totp.c.person_id == person_id))


def confirm_totp(tx: Tx, person_id: int, step: int, now: datetime) -> bool:
    """In force from now on; the code that confirmed it counts as used."""
    offered = totp.update().where(totp.c.person_id == person_id, totp.c.confirmed_at.is_(None))
    return tx.changed(offered.values(confirmed_at=now, last_step=step))


def use_totp_step(tx: Tx, person_id: int, step: int) -> bool:
    """False when this or a later code has been used."""
    unused = totp.update().where(totp.c.person_id == person_id, totp.c.last_step < step)
    return tx.changed(unused.values(last_step=step))


def delete_totp(tx: Tx, person_id: int) -> bool:
    return tx.changed(totp.delete().where(totp.c.person_id == person_id))


def sealed_totps(tx: Tx) -> list[sa.Row[Any]]:
    return list(tx.all(sa.select(totp.c.person_id, totp.c.secret)))


def replace_sealed_totp(tx: Tx, person_id: int, before: bytes, *, after: bytes) -> bool:
    same = totp.update().where(totp.c.person_id == person_id, totp.c.secret == before)
    return tx.changed(same.values(secret=after))


def replace_recovery_codes(tx: Tx, person_id: int, digests: Iterable[bytes]) -> None:
    tx.execute(recovery_code.delete().where(recovery_code.c.person_id == person_id))
    rows = [{"person_id": person_id, "digest": one} for one in digests]
    if rows:
        tx.execute(recovery_code.insert(), rows)


def use_recovery_code(tx: Tx, person_id: int, digest: bytes, now: datetime) -> bool:
    mine = (recovery_code.c.person_id == person_id, recovery_code.c.digest == digest, recovery_code.c.used_at.is_(None))
    return tx.changed(recovery_code.update().where(*mine).values(used_at=now))


def recovery_codes_left(tx: Tx, person_id: int) -> int:
    count = sa.select(sa.func.count()).select_from(recovery_code)
    return tx.scalar(count.where(recovery_code.c.person_id == person_id, recovery_code.c.used_at.is_(None)))


def add_passkey(tx: Tx, person_id: int, name: str, now: datetime, **facts: Any) -> int | None:
    """None when the credential is registered already."""
    row = tx.insert(passkey).values(person_id=person_id, name=name, created_at=now, **facts)
    return tx.scalar(row.on_conflict_do_nothing(index_elements=["credential_id"]).returning(passkey.c.id))


def passkeys_of(tx: Tx, person_id: int) -> list[Passkey]:
    """The oldest first."""
    rows = tx.all(passkey.select().where(passkey.c.person_id == person_id).order_by(passkey.c.id))
    return [Passkey(row.id, row.name, row.site, row.is_synced, row.created_at, row.used_at) for row in rows]


def credential_ids(tx: Tx, person_id: int, site: str) -> list[bytes]:
    wanted = sa.select(passkey.c.credential_id).where(passkey.c.person_id == person_id, passkey.c.site == site)
    return [row.credential_id for row in tx.all(wanted)]


def passkey_by_credential(tx: Tx, credential_id: bytes) -> sa.Row[Any] | None:
    return tx.first(passkey.select().where(passkey.c.credential_id == credential_id))


def use_passkey(tx: Tx, row: sa.Row[Any], uses: int, now: datetime) -> bool:
    """False when another sign-in with it came in between."""
    same = passkey.update().where(passkey.c.id == row.id, passkey.c.uses == row.uses)
    return tx.changed(same.values(uses=uses, used_at=now))


def rename_passkey(tx: Tx, person_id: int, passkey_id: int, name: str) -> bool:
    mine = passkey.update().where(passkey.c.id == passkey_id, passkey.c.person_id == person_id)
    return tx.changed(mine.values(name=name))


def delete_passkey(tx: Tx, person_id: int, passkey_id: int) -> bool:
    return tx.changed(passkey.delete().where(passkey.c.id == passkey_id, passkey.c.person_id == person_id))


def add_challenge(tx: Tx, digest: bytes, purpose: str, holder: str, *, expires_at: datetime) -> None:
    tx.execute(challenge.insert().values(digest=digest, purpose=purpose, holder=holder, expires_at=expires_at))


def use_challenge(tx: Tx, digest: bytes, purpose: str, holder: str, *, now: datetime) -> bool:
    mine = (challenge.c.digest == digest, challenge.c.purpose == purpose, challenge.c.holder == holder)
    return tx.changed(challenge.delete().where(*mine, challenge.c.expires_at > now))


def forget_challenges(tx: Tx, now: datetime, most: int = 500) -> int:
    old = sa.select(challenge.c.digest).where(challenge.c.expires_at <= now).limit(most)
    return tx.execute(challenge.delete().where(challenge.c.digest.in_(old))).rowcount


def add_pending(tx: Tx, person_id: int, digest: bytes, wanted: str, *, expires_at: datetime) -> None:
    values = {"person_id": person_id, "digest": digest, "next": wanted, "expires_at": expires_at}
    tx.execute(pending_sign_in.insert().values(**values))


def pending(tx: Tx, digest: bytes, now: datetime) -> sa.Row[Any] | None:
    return tx.first(
        pending_sign_in.select().where(pending_sign_in.c.digest == digest, pending_sign_in.c.expires_at > now)
    )


def count_pending_try(tx: Tx, digest: bytes, most: int, now: datetime) -> bool:
    """False when it is used up, unknown or expired."""
    open_ = (pending_sign_in.c.digest == digest, pending_sign_in.c.tries < most, pending_sign_in.c.expires_at > now)
    return tx.changed(pending_sign_in.update().where(*open_).values(tries=pending_sign_in.c.tries + 1))


def use_pending(tx: Tx, digest: bytes) -> bool:
    return tx.changed(pending_sign_in.delete().where(pending_sign_in.c.digest == digest))


def forget_pending(tx: Tx, now: datetime, most: int = 500) -> int:
    old = sa.select(pending_sign_in.c.digest).where(pending_sign_in.c.expires_at <= now).limit(most)
    return tx.execute(pending_sign_in.delete().where(pending_sign_in.c.digest.in_(old))).rowcount


def end_pending_of(tx: Tx, person_id: int) -> None:
    tx.execute(pending_sign_in.delete().where(pending_sign_in.c.person_id == person_id))


def known_browser_of(tx: Tx, person_id: int | None, digest: bytes, used_since: datetime) -> int | None:
    """Its number, when this person has signed in with it. Asked for nobody (None) it finds nothing, as slowly."""
    mine = (known_browser.c.person_id == person_id, known_browser.c.digest == digest)
    return tx.scalar(sa.select(known_browser.c.id).where(*mine, known_browser.c.used_at > used_since))


def anybodys_browser(tx: Tx, digest: bytes) -> bool:
    return tx.first(sa.select(known_browser.c.id).where(known_browser.c.digest == digest).limit(1)) is not None


def renew_browser(tx: Tx, before: bytes, after: bytes) -> None:
    """Everybody whom the browser is known for stays known by its new secret."""
    tx.execute(known_browser.update().where(known_browser.c.digest == before).values(digest=after))


def remember_browser(tx: Tx, person_id: int, digest: bytes, now: datetime) -> None:
    row = tx.insert(known_browser).values(person_id=person_id, digest=digest, created_at=now, used_at=now)
    tx.execute(row.on_conflict_do_update(index_elements=["person_id", "digest"], set_={"used_at": now}))


def forget_browsers_of(tx: Tx, person_id: int) -> int:
    return tx.execute(known_browser.delete().where(known_browser.c.person_id == person_id)).rowcount


def forget_browsers(tx: Tx, used_before: datetime, most: int = 500) -> int:
    old = sa.select(known_browser.c.id).where(known_browser.c.used_at < used_before).limit(most)
    return tx.execute(known_browser.delete().where(known_browser.c.id.in_(old))).rowcount


def count_try(tx: Tx, account: bytes, source: str, now: datetime, *, expired_before: datetime) -> Any:
    """`tries` and `began_at` with this try. A period that began before `expired_before` ends, and a new one begins."""
    over = sign_in_tries.c.began_at <= expired_before
    row = tx.insert(sign_in_tries).values(account=account, source=source, tries=1, began_at=now)
    counted = {
        "tries": sa.case((over, 1), else_=sign_in_tries.c.tries + 1),
        "began_at": sa.case((over, sa.literal(now, Moment)), else_=sign_in_tries.c.began_at),
    }
    upserted = row.on_conflict_do_update(index_elements=["account", "source"], set_=counted)
    return tx.first(upserted.returning(sign_in_tries.c.tries, sign_in_tries.c.began_at))


def give_try_back(tx: Tx, account: bytes, source: str) -> None:
    one = (sign_in_tries.c.account == account, sign_in_tries.c.source == source, sign_in_tries.c.tries > 0)
    tx.execute(sign_in_tries.update().where(*one).values(tries=sign_in_tries.c.tries - 1))


def forget_tries_of(tx: Tx, account: bytes, *, but_not: str) -> None:
    """All but those whose source begins with these words."""
    others = sign_in_tries.c.source.not_like(f"{but_not}%")
    tx.execute(sign_in_tries.delete().where(sign_in_tries.c.account == account, others))


def forget_tries(tx: Tx, began_before: datetime, most: int = 500) -> int:
    """The account's digest and the source name one row together, so the rows are found by what makes them old."""
    old = sa.select(sign_in_tries.c.account).where(sign_in_tries.c.began_at < began_before).limit(most)
    over = sign_in_tries.c.began_at < began_before
    return tx.execute(sign_in_tries.delete().where(sign_in_tries.c.account.in_(old), over)).rowcount


def confirm_session(tx: Tx, session_id: int, now: datetime) -> None:
    row = tx.insert(confirmation).values(session_id=session_id, confirmed_at=now)
    tx.execute(row.on_conflict_do_update(index_elements=["session_id"], set_={"confirmed_at": now}))


def confirmed_at(tx: Tx, session_id: int) -> datetime | None:
    """When this session's person last proved who they are: by signing in, or again since."""
    both = sa.select(session.c.created_at, confirmation.c.confirmed_at).outerjoin(confirmation)
    row = tx.first(both.where(session.c.id == session_id))
    if row is None:
        return None
    return max(row.created_at, row.confirmed_at) if row.confirmed_at else row.created_at
