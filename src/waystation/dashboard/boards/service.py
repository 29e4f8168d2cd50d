"""Make, change, share and delete dashboards. Who saves says which version they saw: nobody overwrites unseen work."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from waystation import devices, telemetry, web
from waystation.dashboard.boards import store
from waystation.dashboard.boards.model import (
    MOST_BOARDS,
    AnyTile,
    Board,
    Chart,
    DeviceCard,
    Note,
    State,
    Tiles,
    Value,
    check_name,
    checked,
)
from waystation.devices import Device
from waystation.homes import Membership, Role
from waystation.kernel import audit, outbox, secrets
from waystation.kernel.db import Tx
from waystation.kernel.errors import Conflict, NotFound, Refused

MOST_CHARTS = 8
MOST_STATES = 6
CHANGED_MEANWHILE = "somebody has changed this dashboard meanwhile; look at it again, then repeat your change"


def board_changed(board_id: int) -> str:
    """The notice after which a link's open page must ask again what it may see."""
    return f"boards.{board_id}.changed"


def boards(tx: Tx, me: Membership) -> list[Board]:
    """Those that the caller sees, by name."""
    return [one for one in store.boards(tx, me.home_id, me.user_id) if one.is_seen_by(me)]


def find(tx: Tx, me: Membership, uid: str) -> Board:
    found = store.by_uid(tx, me.home_id, uid)
    if found is None or not found.is_seen_by(me):
        raise NotFound("there is no such dashboard")
    return found


def start(tx: Tx, home_id: int, person_id: int | None) -> str | None:
    return store.start_of(tx, home_id, person_id)


def make(tx: Tx, me: Membership, now: datetime, *, name: str, tiles: Tiles = (), is_shared: bool = False) -> Board:
    """A person's own, or one that is shared with the home; the first of its kind becomes the first page."""
    _check_may_have(me, is_shared=is_shared)
    if store.count(tx, me.home_id) >= MOST_BOARDS:
        raise Conflict(f"this home has {MOST_BOARDS} dashboards; delete one first")
    whose = None if is_shared else me.user_id
    made = Board(
        id=0,
        home_id=me.home_id,
        uid=secrets.new_secret()[:12],
        person_id=whose,
        name=check_name(name),
        tiles=checked(tiles),
        version=1,
        is_start=not any(one.is_start for one in boards(tx, me) if one.person_id == whose),
        changed_at=now,
        changed_by=me.actor.who,
    )
    made = replace(made, id=store.add(tx, made))
    audit.note(tx, me.actor, "made a dashboard", f"board:{made.uid}", now=now, name=made.name, is_shared=is_shared)
    return made


def save(tx: Tx, me: Membership, before: Board, after: Board, *, now: datetime) -> Board:
    """`before` as the caller has seen it. Conflict when somebody was faster; then nothing is changed."""
    before.check_may_change(me)
    if before.person_id != after.person_id:
        _check_may_have(me, is_shared=after.is_shared)
        after = replace(after, is_start=False)
    after = replace(after, name=check_name(after.name), tiles=checked(after.tiles))
    after = replace(after, version=before.version + 1, changed_at=now, changed_by=me.actor.who)
    if not store.save(tx, before, after):
        raise Conflict(CHANGED_MEANWHILE)
    if after.is_start and not before.is_start:
        store.end_other_starts(tx, after)
    if not after.is_shared and before.is_shared:
        end_links(tx, before, now)
    outbox.notice(tx, board_changed(before.id), {}, now)
    audit.note(tx, me.actor, "changed a dashboard", f"board:{after.uid}", now=now, name=after.name)
    return after


def seen(tx: Tx, me: Membership, uid: str, version: int) -> Board:
    """The dashboard, when it is still as the caller saw it."""
    found = find(tx, me, uid)
    found.check_may_change(me)
    if found.version != version:
        raise Conflict(CHANGED_MEANWHILE)
    return found


def delete(tx: Tx, me: Membership, board: Board, now: datetime) -> None:
    """Links to it open nothing from now on."""
    board.check_may_change(me)
    end_links(tx, board, now)
    store.delete(tx, board.id)
    audit.note(tx, me.actor, "deleted a dashboard", f"board:{board.uid}", now=now, name=board.name)


def end_links(tx: Tx, board: Board, now: datetime) -> None:
    store.drop_links(tx, board.id)
    outbox.notice(tx, board_changed(board.id), {}, now)


def _check_may_have(me: Membership, *, is_shared: bool) -> None:
    if is_shared and me.role < Role.USER:
        raise Refused(f"a shared dashboard is for users and admins to make; your role is {me.role.word}")
    if not is_shared and (me.user_id is None or me.caller.token_id is not None):
        raise Refused("an API token has no dashboard of its own; make a shared one")


def named_devices(tx: Tx, home_id: int, keys: Collection[str]) -> dict[str, Device]:
    """By key; those that are not in the home (any more) are left out."""
    found = (devices.by_key(tx, home_id, key) for key in keys)
    return {device.key: device for device in found if device is not None}


def from_device(tx: Tx, device: Device) -> Tiles:
    """What is worth seeing of a device, made of what it has sent so far."""
    known = telemetry.series_of(tx, [device.id])
    numbers = [one.metric for one in known if one.kind is telemetry.Kind.NUMBER]
    states = [one.metric for one in known if one.kind is not telemetry.Kind.NUMBER]
    charts = web.chart_groups(numbers)[:MOST_CHARTS]
    tiles: list[AnyTile] = [DeviceCard(device=device.key, width=2)]
    tiles += [_value_tile(device, metric) for metric in _glance(numbers)]
    tiles += [State(series=f"{device.key}:{metric}") for metric in states[:MOST_STATES] if _is_plain(metric)]
    for metrics in charts:
        series = tuple(f"{device.key}:{metric}" for metric in metrics if _is_plain(metric))
        tiles += [Chart(series=series)] if series else []
    if not known:
        tiles.append(Note(text=f"{device.name} has not sent anything yet.", width=2))
    return checked(tiles)


def _glance(metrics: Collection[str]) -> list[str]:
    return [metric for metric in metrics if _is_plain(metric)][:2]


def _value_tile(device: Device, metric: str) -> Value:
    return Value(series=f"{device.key}:{metric}")


def _is_plain(metric: str) -> bool:
    """Whether a list with commas can name it."""
    return "," not in metric and metric.isprintable()
