"""Homes, and what people may do in them."""

from waystation.homes import invitations
from waystation.homes.access import (
    HomeAdmin,
    HomeOwner,
    HomeUser,
    HomeViewer,
    Operator,
    Person,
    Visitor,
    find_member,
    is_operator,
    role_in,
    shown_place,
)
from waystation.homes.events import HomeDeleted
from waystation.homes.membership import change_role, grant, leave, members, remove
from waystation.homes.model import Home, Member, Membership, Role
from waystation.homes.outside import accept_invitations, follow_provider
from waystation.homes.service import create, delete, own_the_home, owners_addresses, rename, the_home
from waystation.homes.store import (
    all_homes,
    count_members,
    first_home,
    first_owners,
    home_by_id,
    home_by_uid,
    homes_of,
    is_invited,
    role_of,
)
from waystation.identity import AddressProven, PersonSetUp, RoleFromOutside
from waystation.kernel.feature import Every, Feature

feature = Feature(
    name="homes",
    routes=("waystation.homes.pages:router", "waystation.homes.actions:router"),
    jobs=(Every(3600, invitations.forget),),
    listens={PersonSetUp: own_the_home, RoleFromOutside: follow_provider, AddressProven: accept_invitations},
)

__all__ = [
    "Home",
    "HomeAdmin",
    "HomeDeleted",
    "HomeOwner",
    "HomeUser",
    "HomeViewer",
    "Member",
    "Membership",
    "Operator",
    "Person",
    "Role",
    "Visitor",
    "all_homes",
    "change_role",
    "count_members",
    "create",
    "delete",
    "feature",
    "find_member",
    "first_home",
    "first_owners",
    "grant",
    "home_by_id",
    "home_by_uid",
    "homes_of",
    "invitations",
    "is_invited",
    "is_operator",
    "leave",
    "members",
    "own_the_home",
    "owners_addresses",
    "remove",
    "rename",
    "role_in",
    "role_of",
    "shown_place",
    "the_home",
]
