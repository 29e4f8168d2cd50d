"""Caller types for signatures: `HomeViewer` admits every member, `HomeAdmin` admins and owners, and so on up.

Which home: the one that the path names (`{home_uid}`), else the one that the session shows or the token is for, else
the caller's first.
"""

from collections.abc import Callable
from typing import Annotated

from waystation.homes import store
from waystation.homes.model import Home, Membership, Role
from waystation.identity import Caller, caller_of
from waystation.identity import is_operator as is_marked_operator
from waystation.kernel.calls import Call, Within, wants_html
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import NotFound, Refused, Unauthenticated
from waystation.kernel.place import NOWHERE, Place, Waiting
from waystation.kernel.settings import Settings

NO_MEMBER = "you are not a member of this home"


def find_member(call: Call, caller: Caller) -> Membership:
    """The caller in the home that the request is about; who is no member is told nothing of it."""
    named = call.request.path_params.get("home_uid")
    home = _home(call.tx, caller) if named is None else store.home_by_uid(call.tx, named)
    role = None if home is None else role_in(call.tx, home.id, caller)
    if home is None or role is None:
        raise NotFound(NO_MEMBER)
    waiting = call.parts.get(Waiting).count(call.tx, home.id) if wants_html(call.request) else {}
    call.request.state.place = Place(home.name, role, waiting)
    return Membership(home.id, home.name, role, caller)


def role_in(tx: Tx, home_id: int, caller: Caller) -> Role | None:
    """A person's role; a token has at most the role it was made with, and at most its person's."""
    capped = None if caller.token_role is None else Role[caller.token_role.upper()]
    if caller.token_id is not None and caller.home_id not in (None, home_id):
        return None
    if caller.person_id is None:
        return capped
    own = store.role_of(tx, home_id, caller.person_id)
    return own if own is None or capped is None else min(own, capped)


def _home(tx: Tx, caller: Caller) -> Home | None:
    if caller.person_id is None:
        return store.first_home(tx)
    return store.home_of(tx, caller.person_id, caller.home_id)


def shown_place(database: Database, waiting: Waiting, caller: Caller) -> Place:
    """For pages that belong to no home: the home that a person's other pages show."""
    with database.read() as tx:
        home = _home(tx, caller)
        role = None if home is None else role_in(tx, home.id, caller)
        if home is None or role is None:
            return NOWHERE
        return Place(home.name, role, waiting.count(tx, home.id))


def at_least(least: Role) -> Callable[[Call], Membership]:
    def find(call: Call) -> Membership:
        found = find_member(call, caller_of(call))
        if found.role < least:
            raise Refused(f"this needs the role {least.word}; yours is {found.role.word}")
        return found

    return find


HomeViewer = Annotated[Membership, Within(at_least(Role.VIEWER), who="viewer")]
HomeUser = Annotated[Membership, Within(at_least(Role.USER), who="user")]
HomeAdmin = Annotated[Membership, Within(at_least(Role.ADMIN), who="admin")]
HomeOwner = Annotated[Membership, Within(at_least(Role.OWNER), who="owner")]


def operator(call: Call) -> Caller:
    """Who runs the site: people marked so, the command line's own tokens, and on a site of one home its admins."""
    caller = caller_of(call)
    if not _operates(call, caller):
        raise Refused("this is for those who run the site")
    return caller


def is_operator(call: Call) -> bool:
    return _operates(call, caller_of(call))


def _operates(call: Call, caller: Caller) -> bool:
    return (_role_of_operator(call, caller) or Role.VIEWER) >= Role.ADMIN


def _role_of_operator(call: Call, caller: Caller) -> Role | None:
    """As high as the token allows; None for a person who only belongs to homes, and for a token of one of many."""
    is_of_one_home = caller.token_id is not None and caller.home_id is not None
    if caller.person_id is None or (not is_of_one_home and is_marked_operator(call.tx, caller.person_id)):
        return Role.OWNER if caller.token_role is None else Role[caller.token_role.upper()]
    home = None if call.parts.get(Settings).many_homes else store.home_of(call.tx, caller.person_id, caller.home_id)
    return None if home is None else role_in(call.tx, home.id, caller)


Operator = Annotated[Caller, Within(operator, who="operator")]


def _person(call: Call) -> Caller:
    """Whoever is signed in as a person: a token is made to do less than its person."""
    caller = caller_of(call)
    if caller.person_id is None or caller.token_id is not None:
        raise Refused("only a person can do this, not an API token")
    return caller


def visitor(call: Call) -> Caller | None:
    """The person who opens a public page, or None when nobody is signed in."""
    try:
        caller = caller_of(call)
    except Unauthenticated:
        return None
    return caller if caller.person_id is not None and caller.token_id is None else None


Person = Annotated[Caller, Within(_person, who="signed in")]
Visitor = Annotated[Caller | None, Within(visitor)]
