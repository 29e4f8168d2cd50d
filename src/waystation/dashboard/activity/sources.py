"""Where the list comes from: what people did, from the audit log; what devices did, from the features that know."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa

from waystation import alerts, commands, devices, files, messages
from waystation.commands import Command, State
from waystation.dashboard.activity import store
from waystation.dashboard.activity.deeds import DEEDS
from waystation.dashboard.activity.model import Feed, Item, Kind, Place, Placed, Places, merged
from waystation.kernel import audit
from waystation.kernel.db import Tx
from waystation.messages import Severity

ALL = tuple(Kind)
PAGES = {"device": "/devices/", "file": "/files/", "package": "/packages/"}
GONE = frozenset({"deleted a device", "deleted a file", "deleted a package", "released a device"})


@dataclass(frozen=True, slots=True)
class Asked:
    home_id: int
    kinds: Collection[Kind] = ALL


Read = Callable[[Tx, Asked, Place | None, int], Sequence[Placed]]


def read(tx: Tx, asked: Asked, before: Places, most: int) -> Feed:
    """One page, newest first."""
    found = {
        name: source(tx, asked, before.get(name), most + 1)
        for name, (kinds, source) in SOURCES.items()
        if kinds & set(asked.kinds)
    }
    return merged(found, before, most)


def _deeds(tx: Tx, asked: Asked, before: Place | None, most: int) -> Sequence[Placed]:
    wanted = tuple(did for did, (kind, _) in DEEDS.items() if kind in asked.kinds)
    rows = audit.newest(tx, audit.Wanted(asked.home_id, deeds=wanted), before=_number(before), most=most)
    names = _names(tx, asked.home_id, [_key_of(row.on) or _key_of(row.who) for row in rows])
    return [Placed(row.id, _deed(row, names)) for row in rows]


def _deed(row: sa.Row[Any], names: Mapping[str, str]) -> Item:
    kind, text = DEEDS[row.did]
    what, _, which = cast("str", row.on).partition(":")
    detail: Mapping[str, Any] = row.detail
    of = str(detail.get("name") or detail.get("email") or names.get(which) or (which if what == "person" else ""))
    if kind is Kind.ALERT:
        of = row.on
    href = f"{PAGES[what]}{which}" if what in PAGES and row.did not in GONE else ""
    more = str(detail.get("role") or "")
    return Item(f"deed-{row.id}", row.at, kind, text, _who(row.who, names), of, href, detail=more)


def _commands(tx: Tx, asked: Asked, before: Place | None, most: int) -> Sequence[Placed]:
    """Those that were sent to one device."""
    wanted = commands.Wanted(asked.home_id, in_batch=False)
    found = commands.newest(tx, wanted, before=_number(before), most=most)
    names = _names(tx, asked.home_id, [one.device_key for one in found] + [_key_of(one.by) for one in found])
    return [Placed(one.number, _command(one, names)) for one in found]


def _command(one: Command, names: Mapping[str, str]) -> Item:
    to = names.get(one.device_key, one.device_key)
    return Item(
        f"command-{one.uid}",
        one.created_at,
        Kind.COMMAND,
        f"sent {one.name} to",
        _who(one.by, names),
        to,
        f"/commands/{one.uid}",
        detail=one.reason,
        severity="error" if one.state in (State.FAILED, State.REJECTED) else "",
        state=one.state,
    )


def _batches(tx: Tx, asked: Asked, before: Place | None, most: int) -> Sequence[Placed]:
    found = commands.batches(tx, asked.home_id, before=str(before or ""), most=most)
    progress = commands.progress(tx, found) if found else {}
    names = _names(tx, asked.home_id, [_key_of(one.by) for one in found])
    return [
        Placed(
            one.uid,
            Item(
                f"batch-{one.uid}",
                one.created_at,
                Kind.COMMAND,
                f"sent {one.name} to",
                _who(one.by, names),
                f"{one.total} device{'' if one.total == 1 else 's'}",
                f"/commands/batches/{one.uid}",
                state=_how_far(progress[one.uid]),
            ),
        )
        for one in found
    ]


def _how_far(progress: commands.Progress) -> str:
    counts = {
        word: getattr(progress, word) for word in ("waiting", "delivered", "done", "failed", "expired", "cancelled")
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def _files(tx: Tx, asked: Asked, before: Place | None, most: int) -> Sequence[Placed]:
    found = files.newest(tx, files.Wanted(asked.home_id), before=_number(before), most=most)
    names = _names(tx, asked.home_id, [_key_of(one.by) for one in found])
    return [
        Placed(
            one.id,
            Item(f"file-{one.uid}", one.at, Kind.FILE, "uploaded", _who(one.by, names), one.name, f"/files/{one.uid}"),
        )
        for one in found
    ]


def _incidents(tx: Tx, asked: Asked, before: Place | None, most: int) -> Sequence[Placed]:
    found = alerts.incidents(tx, alerts.Incidents(asked.home_id), before=_number(before), most=most)
    return [
        Placed(
            one.id,
            Item(
                f"incident-{one.uid}",
                one.noticed_at,
                Kind.ALERT,
                one.rule_name,
                of=one.device_name,
                href=f"/alerts/incidents/{one.uid}",
                detail=one.value,
                severity=one.severity,
                state="open" if one.is_open else "over",
            ),
        )
        for one in found
    ]


def _messages(tx: Tx, asked: Asked, before: Place | None, most: int) -> Sequence[Placed]:
    found = messages.newest(tx, asked.home_id, least=Severity.WARNING, before=_number(before), most=most)
    placed = devices.placed(tx, {one.device_id for one in found})
    return [
        Placed(
            one.number,
            Item(
                f"message-{one.number}",
                one.arrived_at,
                Kind.MESSAGE,
                messages.on_one_line(one.content),
                of=placed[one.device_id].name,
                href=f"/messages?device={placed[one.device_id].key}",
                detail=f"{one.count} times" if one.count > 1 else "",
                severity=one.severity,
            ),
        )
        for one in found
        if one.device_id in placed
    ]


def _happenings(tx: Tx, asked: Asked, before: Place | None, most: int) -> Sequence[Placed]:
    found = store.newest(tx, asked.home_id, asked.kinds, before=_number(before), most=most)
    names = _names(tx, asked.home_id, [one.device_key for one in found])
    return [
        Placed(
            one.id,
            Item(
                f"happening-{one.id}",
                one.at,
                Kind(one.kind),
                one.did,
                names.get(one.device_key, one.device_key),
                one.of,
                f"/packages/{one.of_uid}" if one.of_uid else f"/devices/{one.device_key}",
                severity=one.severity,
            ),
        )
        for one in found
    ]


SOURCES: Mapping[str, tuple[frozenset[Kind], Read]] = {
    "deeds": (frozenset(ALL) - {Kind.MESSAGE}, _deeds),
    "commands": (frozenset({Kind.COMMAND}), _commands),
    "batches": (frozenset({Kind.COMMAND}), _batches),
    "files": (frozenset({Kind.FILE}), _files),
    "incidents": (frozenset({Kind.ALERT}), _incidents),
    "messages": (frozenset({Kind.MESSAGE}), _messages),
    "happenings": (frozenset({Kind.DEVICE, Kind.PACKAGE}), _happenings),
}


def _number(place: Place | None) -> int | None:
    """A place that is no number, which only a stranger's cursor has, is before everything."""
    return place if isinstance(place, int) or place is None else 0


def _key_of(told: str) -> str:
    kind, _, which = told.partition(":")
    return which if kind == "device" else ""


def _names(tx: Tx, home_id: int, keys: Collection[str]) -> dict[str, str]:
    """Of the home's devices, by key."""
    found = {key: devices.by_key(tx, home_id, key) for key in set(keys) if key}
    return {key: one.name for key, one in found.items() if one is not None}


def _who(told: str, names: Mapping[str, str]) -> str:
    kind, _, which = told.partition(":")
    return names.get(which, which) if kind == "device" else which or told.capitalize()
