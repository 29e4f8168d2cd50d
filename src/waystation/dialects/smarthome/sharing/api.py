"""A person's homes, and who else may do what in them (contract sections 4.2 to 4.4)."""

from typing import Any

from starlette.responses import Response

from waystation import homes, identity
from waystation.dialects.smarthome import wire
from waystation.dialects.smarthome.edge import Fields, Person, Route, Sharing, json
from waystation.dialects.smarthome.wire import Wrong, field_error
from waystation.kernel.db import Tx as Transaction
from waystation.kernel.errors import Conflict
from waystation.kernel.routes import Now, Router, Tx

router = Router(tags=["smarthome"], route_class=Route)

NOT_UNIQUE = "The fields user, home_id must make a unique set."
PERMISSIONS = "/api/gateways/homes/{home_uid}/permissions"


@router.get("/api/homes", summary="The caller's homes")
@router.get("/api/homes/", include_in_schema=False)
def list_homes(caller: Person, tx: Tx) -> Response:
    return json([wire.home(home, role) for home, role in _mine(tx, caller)])


@router.get("/api/remote/gateways", summary="The caller's homes, as the app looks for them")
@router.get("/api/remote/gateways/", include_in_schema=False)
def list_gateways(caller: Person, tx: Tx) -> Response:
    return json([{"home_id": home.uid, "role": role.word} for home, role in _mine(tx, caller)])


@router.get(PERMISSIONS, summary="Who is a member of the home, and as what")
@router.get(f"{PERMISSIONS}/", include_in_schema=False)
def permissions(home_uid: str, caller: Person, tx: Tx) -> Response:
    """Who is no member sees an empty page, whether the home exists or not (SH-3)."""
    found = next((home for home, _ in _mine(tx, caller) if home.uid == home_uid.lower()), None)
    return json(wire.page([] if found is None else _rows(tx, found)))


@router.post(PERMISSIONS, status_code=201, summary="Make a person a member of the home")
@router.post(f"{PERMISSIONS}/", include_in_schema=False)
def grant(home_uid: str, given: Fields, me: Sharing, tx: Tx, now: Now) -> Response:
    """Only owners make owners (SH-4). A `home_id` in the body must be that of the path (SH-27)."""
    if given.get("home_id") is not None and wire.uid(given, "home_id") != home_uid.lower():
        raise field_error("home_id", "It is not the home of this address.")
    role, uid = wire.role(given), wire.uid(given, "user")
    person = identity.person_by_uid(tx, uid)
    if person is None:
        raise field_error("user", f'Invalid pk "{uid}" - object does not exist.')
    try:
        homes.grant(tx, me, person.id, role, now=now)
    except Conflict:
        raise Wrong({"non_field_errors": [NOT_UNIQUE]}) from None
    found = homes.Home(me.home_id, me.home_name, home_uid.lower())
    return json(next(row for row in _rows(tx, found) if row["user"] == person.uid), 201)


def _mine(tx: Transaction, caller: identity.Caller) -> list[tuple[homes.Home, homes.Role]]:
    """As far as the caller's token reaches."""
    found = homes.homes_of(tx, caller.person_id or 0)
    reach = [(home, homes.role_in(tx, home.id, caller)) for home, _ in found]
    return [(home, role) for home, role in reach if role is not None]


def _rows(tx: Transaction, home: homes.Home) -> list[wire.Fields]:
    members = homes.members(tx, home.id)
    uids: dict[int, Any] = {member.person_id: member.uid for member in members}
    return [wire.permission(home.uid, one, uids.get(one.granted_by or 0)) for one in members]
