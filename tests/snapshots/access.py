"""The access matrix: every route as nine callers meet it, found by asking; and what each kind of route must answer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.site import Answer, Site, Somebody, Thing, standing_site

from waystation import devices
from waystation.devices import store as device_rows
from waystation.homes import Role
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.feature import NOBODY
from waystation.operation import map as site
from waystation.operation.map import PUBLIC, Door

CALLERS = (
    "nobody",
    "stranger",
    "viewer",
    "user",
    "admin",
    "owner",
    "operator",
    "device",
    "other's device",
    "revoked device",
)
MEMBERS = {"viewer": 1, "user": 2, "admin": 3, "owner": 4}
DEVICES = CALLERS[-3:]
STRANGERS = ("stranger", "operator")
SIGNED_IN = "signed in"
AT_BROWSER = "at a browser"
OPERATOR = "operator"
DEVICE = "device"
BY_TOKEN = "device with access token"
UPLOADER = "device or user"
DEVICE_TOKEN = "device by token"  # DropSync's: who brings none is told what is missing
ALSO: Mapping[str, Mapping[str, set[str]]] = {
    # DropSync's: without a token it is told that one is missing (422), and of an unknown device there are no messages
    "POST /send-command/{device_id}": {key: {"yes"} for key in ("nobody", *DEVICES)},
    "GET /api/v1/admin/devices/{device_id}/messages": {key: {"own"} for key in STRANGERS},
}
OWN_NAMES = {"device": "esp001", "other's device": "esp002", "revoked device": "esp003"}
VALID: Mapping[str, Any] = {
    "POST /api/v1/device/commands/{device_id}/complete": b"command_id=1",
    "POST /api/v1/device/messages/{device_id}": b"msg_type=log&content=Hello",
    "POST /message": b"device_id=esp001&msg_type=log&content=Hello",
    "POST /api/v1/files/sync-packages/{device_id}/{package_id}/report": b"status=deployed",
    "POST /api/v1/admin/devices/register": b"device_id=esp004",
    "POST /api/v1/admin/devices/{device_id}/command": b"command=ping",
    "POST /api/v1/admin/sync-packages": b"package_name=a&package_type=data&target_device_id=esp001",
    "POST /send-command/{device_id}": b"command=ping",
    "POST /api/packages": {"name": "config", "type": "config"},
    "POST /api/packages/{package_id}/members": {"file": "a"},
    "POST /api/packages/{package_id}/stage": {"to": [{"by": "home"}]},
    "POST /api/packages/{package_id}/cancel": {},
    "POST /api/messages": {"content": "a"},
    "POST /api/alerts/rules": {"name": "Hot", "metric": "temp", "when": {"kind": "above", "threshold": 30}},
    "POST /api/alerts/rules/test": {
        "rule": {"name": "Hot", "metric": "temp", "when": {"kind": "above", "threshold": 30}}
    },
    "POST /api/boards": {"name": "Greenhouse"},
    "PUT /api/boards/{uid}": {"version": 1, "name": "Greenhouse"},
    "POST /api/boards/{uid}/links": {"hours": 24},
    "PATCH /api/alerts/rules/{uid}": {"is_enabled": False},
    "POST /alerts/rules/{uid}/switch": b"to=off",
    "PATCH /api/alerts/channels/{channel_id}": {"enabled": False},
    "POST /alerts/channels/{channel_id}/switch": b"to=off",
    "POST /boards/{uid}/tiles": b"kind=note&text=Hello",
    "POST /boards/{uid}/tiles/{tile_id}": b"kind=note&text=Hello",
    "POST /api/alerts/incidents/{uid}/ack": {"note": "seen"},
    "POST /cloud/devices/{device_id}/confirm": {"accept": True},
    "POST /cloud-devices/{device_id}/confirm": {"accept": True},
    "POST /people/{person_id}/role": b"role=viewer",
    "POST /api/grafana/query": {"range": {"from": "-1h", "to": "now"}, "targets": []},
    "POST /api/grafana/variable": {"payload": {"target": "devices"}},
    "POST /api/grafana/metric-payload-options": {"metric": "", "payload": {}, "name": "bucket"},
    "POST /api/grafana/tag-values": {"key": "device"},
    "POST /api/storage/deletions": {"typed": "DELETE ALL MY DATA"},
    "POST /api/storage/plans/{plan_name}/people": {"email": "nobody@example.org"},
    "POST /api/commands": {"to": {"home": True}, "name": "ping"},
    "PUT /api/models": {"name": "esp32", "command_schema": {"*": {}}},
    "POST /api/devices/{key}/credentials": {"kind": "api_key"},
    "POST /api/devices/{key}/credentials/{credential_id}/rotate": {"overlap_days": 1},
}
"""Bodies without which a route says what is wrong with them, before it looks whether what they name exists."""

MADE: Mapping[str, tuple[str, Any]] = {
    "/rules/{uid}": ("/api/alerts/rules", VALID["POST /api/alerts/rules"]),
    "/channels/{channel_id}": ("/api/alerts/channels", {"kind": "console", "name": "Log", "config": {}}),
    "/exports/{export_id}": ("/api/exports", b""),
    "/commands/{uid}": ("/api/commands", VALID["POST /api/commands"]),
    "/batches/{uid}": ("/api/commands", VALID["POST /api/commands"]),
}
"""Where what a path names is made, by this home's owner, before others ask for it."""

ABOUT = """\
# Who may call what

Every route as ten callers meet it: somebody without a credential, a person who owns another home, this home's viewer,
user, admin and owner, a person who runs the site and has another home, this home's device, another home's device, and a
device whose credential was revoked. Paths are asked with this home's own devices and people in them. `make snapshots`
asks again and writes this page; a test asks at every run.

| cell | means |
|---|---|
| yes | let in |
| own | let in, and shown nothing but their own home |
| 401, 403, 404 | turned away with this status; what a caller may not know of does not exist |
| – | a method that is refused to everybody, because a contract says how |
"""


@dataclass(frozen=True, slots=True)
class World:
    """One home with people and devices, made anew for every route that may change it."""

    names: Mapping[str, str]
    people: Mapping[str, Somebody]
    things: Mapping[str, Thing]

    def proof(self, door: Door, caller: str) -> Mapping[str, str]:
        """The headers by which the caller says who they are, of the kind that this route takes."""
        if caller == "nobody":
            return {}
        if caller in self.things:
            thing = self.things[caller]
            if door.who == DEVICE_TOKEN:
                return {"authorization": f"Bearer {thing.api_key}"}
            return {"authorization": f"Bearer {thing.access_token}" if door.who == BY_TOKEN else thing.authorization}
        somebody = self.people[caller]
        return somebody.browser if door.who == AT_BROWSER else {"authorization": somebody.authorization}


def world(at: Site) -> World:
    ours, theirs = at.home("Lake house"), at.home("Town house")
    people: dict[str, Somebody] = {"stranger": at.somebody(theirs), "operator": at.operator()}
    people |= {role: at.somebody(ours, Role[role.upper()]) for role in MEMBERS}
    other = at.somebody(ours, Role.VIEWER)
    things: dict[str, Thing] = {name: at.device(ours if name != "other's device" else theirs) for name in DEVICES}
    revoked = things["revoked device"]
    with at.database.write() as tx:
        for name, thing in things.items():
            home_id = theirs.id if name == "other's device" else ours.id
            device_rows.add_external_id(tx, home_id, thing.id, kind="dropsync", value=OWN_NAMES[name])
        devices.revoke(tx, COMMAND_LINE, devices.find(tx, ours.id, revoked.key), at.clock.now())
    device = things["device"]
    with at.database.write() as tx:
        found = devices.find(tx, ours.id, device.key)
        devices.tag(tx, COMMAND_LINE, found, at.clock.now(), tag="lake")
    names = {
        "tag": "lake",
        "key": device.key,
        "serial": device.serial,
        "credential_id": str(device.credential_id),
        "home_uid": ours.uid,
        "home_id": str(ours.id),
        "person_id": str(other.id),
        "person_uid": other.uid,
        "device_id": str(device.id),
    }
    return World(names, people, things)


def matrix() -> dict[Door, Sequence[str]]:
    """The cells of every route, in the order of CALLERS."""
    with TemporaryDirectory() as folder, standing_site(Path(folder)) as at:
        seen = world(at)
        return {door: cells(at, door, seen if door.method == "GET" else world(at)) for door in doors()}


def doors() -> Sequence[Door]:
    return [door for door in site.survey().routes if door.path != site.STATIC]


def cells(at: Site, door: Door, made: World) -> Sequence[str]:
    for place, (maker, body) in MADE.items():
        if place in door.path:
            answer = at.ask("POST", maker, body=body, authorization=made.people["owner"].authorization)
            name = place.partition("{")[2].rstrip("}")
            made = replace(made, names={**made.names, name: _id_of(place, answer.json)})
    return [cell(door, caller, asked(at, door, made, caller)) for caller in CALLERS]


def _id_of(place: str, told: Any) -> str:
    """A batch tells of its commands."""
    one = told["commands"][0] if place.startswith("/commands") else told
    return str(one.get("uid") or one["id"])


def asked(at: Site, door: Door, made: World, caller: str) -> Answer:
    names = {**made.names, "device_id": OWN_NAMES["device"]} if door.feature == "dropsync" else made.names
    path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: names.get(found[1], "1"), door.path)
    body = VALID.get(f"{door.method} {door.path}", b"")
    return at.ask(door.method, path, body=body, **made.proof(door, caller))


def cell(door: Door, caller: str, answer: Answer) -> str:
    if door.who == NOBODY:
        return "–"
    if answer.status >= 500:
        return f"{answer.status}!"
    if door.who == PUBLIC:
        return "yes"
    if door.who == DEVICE_TOKEN and caller == "nobody":
        return str(answer.status)
    unknown = answer.status == 404 and caller not in MEMBERS and door.who not in (SIGNED_IN, AT_BROWSER, OPERATOR)
    if answer.status in (401, 403) or unknown:
        return str(answer.status)
    return "own" if caller in STRANGERS and door.who in {*MEMBERS, UPLOADER} else "yes"


def wanted(door: Door, caller: str) -> set[str]:
    """What the caller types in the handler's signature promise, and what a contract wants besides."""
    return promised(door, caller) | ALSO.get(f"{door.method} {door.path}", {}).get(caller, set())


def promised(door: Door, caller: str) -> set[str]:
    if door.who in (NOBODY, PUBLIC):
        return {"–"} if door.who == NOBODY else {"yes"}
    if door.who == DEVICE_TOKEN:
        return {"device": {"yes", "404"}, "nobody": {"422"}}.get(caller, {"403"})
    if caller == "nobody":
        return {"401"}
    if door.who in (DEVICE, BY_TOKEN, UPLOADER) and caller in DEVICES:
        unknown = {"404"} if "{" in door.path and door.who != BY_TOKEN else set[str]()
        return {"401", "403"} if caller == "revoked device" else {"yes"} | unknown
    if door.who == UPLOADER and caller in MEMBERS:
        return {"yes"} if MEMBERS[caller] >= MEMBERS["user"] else {"403"}
    is_for_devices = door.who in (DEVICE, BY_TOKEN)
    return {"401", "403"} if caller in DEVICES or is_for_devices else wanted_of_people(door, caller)


def wanted_of_people(door: Door, caller: str) -> set[str]:
    if door.who in (SIGNED_IN, AT_BROWSER, OPERATOR):
        return {"403"} if door.who == OPERATOR != caller else {"yes"}
    if caller in STRANGERS:
        return {"403", "404"} if "{" in door.path else {"own", "403", "404"}
    return {"yes"} if MEMBERS[caller] >= MEMBERS[door.who] else {"403"}


def page(found: Mapping[Door, Sequence[str]]) -> str:
    return ABOUT + "\n".join(lines(found)) + "\n"


def lines(found: Mapping[Door, Sequence[str]]) -> Iterator[str]:
    for feature in dict.fromkeys(door.feature for door in found):
        yield f"\n## {feature}\n"
        yield f"| route | for | {' | '.join(CALLERS)} |"
        yield "|---" * (len(CALLERS) + 2) + "|"
        rows = [(door, row) for door, row in found.items() if door.feature == feature]
        for door, row in sorted(rows, key=lambda pair: (pair[0].path, pair[0].method)):
            yield f"| {door.method} `{door.path}` | {door.who} | {' | '.join(row)} |"
