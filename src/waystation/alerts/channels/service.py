"""Channels of a home, and notices put into the outbox for each of them."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from waystation import homes
from waystation.alerts.channels import store
from waystation.alerts.channels.kinds import KINDS, kind_of
from waystation.alerts.channels.model import (
    MOST_CHANNELS,
    Channel,
    Config,
    Delivery,
    Kind,
    Made,
    Parcel,
    check_name,
    check_values,
)
from waystation.alerts.notice import Notice
from waystation.kernel import audit, outbox
from waystation.kernel.audit import Actor
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound
from waystation.kernel.sealing import Sealing
from waystation.kernel.settings import Settings

OUTBOX = "alert"
WHERE = "where"  # kept beside the config: what may be said of a secret address
FIRST = "Mail to the owners"


def channels(tx: Tx, home_id: int) -> list[Channel]:
    return [_channel(row) for row in store.of_home(tx, home_id)]


def find(tx: Tx, home_id: int, channel_id: int) -> Channel:
    row = store.by_id(tx, home_id, channel_id)
    if row is None:
        raise NotFound(f"this home has no channel {channel_id}")
    return _channel(row)


class Desk:
    """Makes and changes channels: what that needs besides the transaction."""

    def __init__(self, sealing: Sealing, settings: Settings) -> None:
        self._sealing = sealing
        self._settings = settings

    def add(self, tx: Tx, by: Actor, now: datetime, *, kind: str, name: str, given: Config) -> Made:
        assert by.home_id is not None
        chosen = kind_of(kind)
        if len(store.of_home(tx, by.home_id)) >= MOST_CHANNELS:
            raise Conflict(f"a home has at most {MOST_CHANNELS} channels; remove one first")
        check_values(chosen, given)
        config = chosen.check(given, self._settings)
        values = {"kind": kind, "name": check_name(name or chosen.label), "is_enabled": True}
        channel_id = store.add(tx, by.home_id, now, **values, **self._kept(chosen, config))
        made = find(tx, by.home_id, channel_id)
        audit.note(tx, by, "added an alert channel", f"channel:{made.name}", now=now, kind=kind, where=made.where)
        return Made(made, _made_for_it(chosen, given, config))

    def change(
        self,
        tx: Tx,
        by: Actor,
        now: datetime,
        *,
        channel_id: int,
        name: str | None = None,
        given: Config | None = None,
        is_enabled: bool | None = None,
    ) -> Made:
        """What is None stays. A secret that is not given stays as well, and goes when it is given empty."""
        assert by.home_id is not None
        row, before = store.by_id(tx, by.home_id, channel_id), find(tx, by.home_id, channel_id)
        values: dict[str, Any] = {} if is_enabled is None else {"is_enabled": is_enabled}
        shown: Config = {}
        if name is not None:
            values["name"] = check_name(name)
        if given is not None:
            chosen = kind_of(before.kind)
            whole = {**before.config, **self.secrets_of(row), **given}
            check_values(chosen, whole)
            config = chosen.check(whole, self._settings)
            values |= self._kept(chosen, config)
            shown = _made_for_it(chosen, whole, config)
        if values:
            store.change(tx, by.home_id, channel_id, values)
        after = find(tx, by.home_id, channel_id)
        changed = {"where": after.where, "enabled": after.is_enabled}
        audit.note(tx, by, "changed an alert channel", f"channel:{after.name}", now=now, **changed)
        return Made(after, shown)

    def secrets_of(self, row: Any) -> dict[str, str]:
        return {} if row.sealed is None else msgspec.json.decode(self._sealing.open(row.sealed), type=dict[str, str])

    def _kept(self, kind: Kind, config: Config) -> dict[str, Any]:
        secret = {name: value for name, value in config.items() if name in kind.secret_names}
        public = {name: value for name, value in config.items() if name not in kind.secret_names}
        sealed = self._sealing.seal(msgspec.json.encode(secret)) if secret else None
        return {"config": {**public, WHERE: kind.where(config)}, "sealed": sealed}


def remove(tx: Tx, by: Actor, now: datetime, *, channel_id: int) -> None:
    assert by.home_id is not None
    channel = find(tx, by.home_id, channel_id)
    store.remove(tx, by.home_id, channel_id)
    audit.note(tx, by, "removed an alert channel", f"channel:{channel.name}", now=now, where=channel.where)


def put(tx: Tx, now: datetime, notice: Notice) -> int:
    """One row of the outbox for each address of each channel, with the change that the notice is about; how many.

    The same notice again adds nothing. A home without any channel gets one, mail to its owners; a rule whose channels
    were all removed goes by those of the home.
    """
    rows = store.of_home(tx, notice.home_id) or _first(tx, notice.home_id, now)
    chosen = [row for row in rows if row.id in notice.channels] or rows
    return _put_all(tx, now, notice, [row for row in chosen if row.is_enabled])


def test(tx: Tx, by: Actor, now: datetime, *, channel_id: int) -> int:
    """A notice that says that it is a test, also by a channel that is switched off; to how many addresses."""
    assert by.home_id is not None
    channel = find(tx, by.home_id, channel_id)
    subject = f"This is a test of “{channel.name}”"
    mark = f"test:{secrets.token_hex(8)}"
    notice = Notice(by.home_id, None, "test", subject, (), mark, severity="info", channels=(channel_id,))
    row = store.by_id(tx, by.home_id, channel_id)
    count = _put_all(tx, now, notice, [row])
    if not count:
        raise Conflict("this channel has no address to send to: nobody who owns the home has an e-mail address")
    audit.note(tx, by, "tested an alert channel", f"channel:{channel.name}", now=now)
    return count


def send_again(tx: Tx, by: Actor, now: datetime, *, delivery_id: int) -> Delivery:
    """What was given up waits as if it had been put now; it goes by what its channel is by then."""
    assert by.home_id is not None
    found = store.delivery_by_id(tx, by.home_id, delivery_id)
    if found is None:
        raise NotFound(f"this home has no notice {delivery_id}")
    if found.given_up_at is None:
        raise Conflict("this notice was not given up: it was sent, or it waits for its next try")
    if store.by_id(tx, by.home_id, found.channel_id) is None:
        raise Conflict(f"the channel “{found.channel_name}” has been removed, so this notice cannot be sent again")
    row = next((one for one in outbox.waiting(tx, OUTBOX) if _is_about(one, delivery_id)), None)
    if row is None or not outbox.retry(tx, row.id, now):
        raise Conflict("this notice was given up so long ago that it is not kept any more")
    store.change_delivery(tx, delivery_id, given_up_at=None)
    audit.note(tx, by, "sent a notice again", f"channel:{found.channel_name}", now=now, subject=found.subject)
    return _delivery(store.delivery_by_id(tx, by.home_id, delivery_id))


def _is_about(row: Any, delivery_id: int) -> bool:
    return row.given_up_at is not None and msgspec.json.decode(row.body, type=Parcel).delivery_id == delivery_id


def _first(tx: Tx, home_id: int, now: datetime) -> Sequence[Any]:
    values = {"kind": "mail", "name": FIRST, "is_enabled": True, "sealed": None}
    store.add(tx, home_id, now, config={WHERE: KINDS["mail"].where({})}, **values)
    return store.of_home(tx, home_id)


def _put_all(tx: Tx, now: datetime, notice: Notice, rows: Sequence[Any]) -> int:
    if not rows:
        return 0
    home = homes.home_by_id(tx, notice.home_id)
    owners = homes.owners_addresses(tx, notice.home_id)
    addressed = [(row, to) for row in rows for to in KINDS[row.kind].recipients(row.config, owners)]
    return sum(_put(tx, now, notice, row=row, to=to, home_name=home.name if home else "") for row, to in addressed)


def _put(tx: Tx, now: datetime, notice: Notice, *, row: Any, to: str, home_name: str) -> bool:
    uid = f"msg_{secrets.token_hex(16)}"
    about = {"notice": notice.kind, "subject": notice.subject, "dedupe": notice.dedupe}
    names = {"home_id": notice.home_id, "channel_id": row.id, "channel_name": row.name, "uid": uid, "to": to}
    delivery_id = store.add_delivery(tx, put_at=now, **names, **about)
    if delivery_id is None:
        return False
    store.add_incidents(tx, delivery_id, [line.incident_uid for line in notice.lines if line.incident_uid])
    parcel = Parcel(delivery_id, row.id, uid, to, home_name, notice, now)
    return outbox.put(tx, f"channel {row.id} {to}".strip(), parcel, now, kind=OUTBOX)


def deliveries_of_incident(tx: Tx, home_id: int, incident_uid: str) -> list[Delivery]:
    """What was sent about it and to whom, oldest first."""
    return [_delivery(row) for row in store.deliveries_of_incident(tx, home_id, incident_uid)]


def newest_deliveries(tx: Tx, home_id: int, most: int = 20) -> list[Delivery]:
    return [_delivery(row) for row in store.newest_deliveries(tx, home_id, most)]


def reseal(tx: Tx, sealing: Sealing) -> int:
    """Every secret under the newest key."""
    return sum(
        store.replace_sealed(tx, row.id, row.sealed, after=sealing.reseal(row.sealed)) for row in store.sealed(tx)
    )


def _made_for_it(kind: Kind, given: Config, config: Config) -> dict[str, str]:
    return {name: config[name] for name in kind.secret_names if config.get(name) and not given.get(name, "").strip()}


def _channel(row: Any) -> Channel:
    config: Mapping[str, str] = {name: value for name, value in row.config.items() if name != WHERE}
    kept = KINDS[row.kind].secret_names if row.sealed is not None else set[str]()
    return Channel(
        id=row.id,
        home_id=row.home_id,
        kind=row.kind,
        name=row.name,
        where=row.config.get(WHERE, ""),
        is_enabled=row.is_enabled,
        created_at=row.created_at,
        sent_at=row.sent_at,
        failed_at=row.failed_at,
        fault=row.fault,
        config=config,
        secrets=frozenset(kept),
    )


def _delivery(row: Any) -> Delivery:
    fields = ("id", "channel_name", "to", "notice", "subject", "put_at", "sent_at", "given_up_at", "tries", "fault")
    return Delivery(**{name: getattr(row, name) for name in fields})
