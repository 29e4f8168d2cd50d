"""Caller types for signatures: `HomeViewer` admits every member, `HomeAdmin` admins and owners, and so on up."""

from collections.abc import Callable
from typing import Annotated

from waystation.homes import store
from waystation.homes.model import Membership, Role
from waystation.identity import Caller, caller_of
from waystation.kernel.errors import NotFound, Refused
from waystation.kernel.routes import Call, Within


def membership(call: Call, caller: Caller) -> Membership:
    """The caller in the hub's home; who is no member is told nothing of it."""
    home = store.first_home(call.tx)
    role = None
    if home is not None and caller.person_id is not None:
        role = store.role_of(call.tx, home.id, caller.person_id)
    elif caller.token_role is not None:
        role = Role[caller.token_role.upper()]
    if home is None or role is None:
        raise NotFound("you are not a member of this home")
    call.request.state.home_name = home.name
    return Membership(home.id, home.name, role, caller)


def at_least(least: Role) -> Callable[[Call], Membership]:
    def find(call: Call) -> Membership:
        found = membership(call, caller_of(call))
        if found.role < least:
            raise Refused(f"this needs the role {least.word}; yours is {found.role.word}")
        return found

    return find


HomeViewer = Annotated[Membership, Within(at_least(Role.VIEWER), who="viewer")]
HomeUser = Annotated[Membership, Within(at_least(Role.USER), who="user")]
HomeAdmin = Annotated[Membership, Within(at_least(Role.ADMIN), who="admin")]
HomeOwner = Annotated[Membership, Within(at_least(Role.OWNER), who="owner")]
