"""A home is a tenant's site; people have a role in it."""

from dataclasses import dataclass
from enum import IntEnum

from waystation.identity import Caller
from waystation.kernel.audit import Actor


class Role(IntEnum):
    """Each may do what those below it may."""

    VIEWER = 1
    USER = 2
    ADMIN = 3
    OWNER = 4

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Home:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Membership:
    """A caller in the home that the request is about."""

    home_id: int
    home_name: str
    role: Role
    caller: Caller

    @property
    def user_id(self) -> int | None:
        return self.caller.person_id

    @property
    def actor(self) -> Actor:
        return self.caller.actor
