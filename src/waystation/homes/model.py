"""A home is a tenant's site; people have a role in it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum

from waystation.identity import Caller
from waystation.kernel.audit import Actor
from waystation.kernel.errors import Invalid, Refused

MOST_NAME = 80
INVITATION_DAYS = 7
MOST_INVITATION_DAYS = 30


class Role(IntEnum):
    """Each may do what those below it may."""

    VIEWER = 1
    USER = 2
    ADMIN = 3
    OWNER = 4

    @property
    def word(self) -> str:
        return self.name.lower()

    @property
    def may_control(self) -> bool:
        return self >= Role.USER

    @property
    def may_manage(self) -> bool:
        """People and devices."""
        return self >= Role.ADMIN

    @property
    def may_give(self) -> "list[Role]":
        """The roles that who has this one may give and take, the least first: owners are made by owners (SH-4)."""
        return [role for role in Role if self.may_manage and role <= self]

    @classmethod
    def of(cls, word: str) -> "Role":
        try:
            return cls[word.strip().upper()]
        except KeyError:
            raise Invalid("a role is one of viewer, user, admin and owner") from None


@dataclass(frozen=True, slots=True)
class Home:
    id: int
    name: str
    uid: str


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
        return replace(self.caller.actor, home_id=self.home_id)

    @property
    def ended_by(self) -> tuple[str, ...]:
        """The notices after which this caller may hold no connection about this home any more."""
        mine = () if self.caller.person_id is None else (membership_ended(self.home_id, self.caller.person_id),)
        return (self.caller.ended_by, home_ended(self.home_id), *mine)


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a home. `granted_by` is a person's id, None for the first owner."""

    person_id: int
    uid: str
    email: str
    name: str
    role: Role
    created_at: datetime
    granted_by: int | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """`email` is empty for a link that is handed over; `invited_by` is a name, None for the command line."""

    id: int
    email: str
    role: Role
    invited_by: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """Its secret is shown once."""

    id: int
    secret: str
    email: str
    role: Role
    home_name: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Joined:
    """`is_new` is False when the person was a member before."""

    home_id: int
    home_name: str
    role: Role
    is_new: bool


def membership_ended(home_id: int, person_id: int) -> str:
    return f"member.ended.{home_id}.{person_id}"


def home_ended(home_id: int) -> str:
    return f"home.ended.{home_id}"


def check_home_name(name: str) -> str:
    """As it is stored: one line, trimmed; else Invalid."""
    name = " ".join(name.split())
    if not name or not name.isprintable():
        raise Invalid("give the home a name")
    if len(name) > MOST_NAME:
        raise Invalid(f"the name of a home has at most {MOST_NAME} characters")
    return name


def check_days(days: float) -> timedelta:
    if not 0 < days <= MOST_INVITATION_DAYS:
        raise Invalid(f"an invitation is good for up to {MOST_INVITATION_DAYS} days")
    return timedelta(days=days)


def check_may_give(own: Role, role: Role) -> None:
    """Refused unless who has `own` may make somebody that."""
    if role not in own.may_give:
        raise Refused(f"this needs the role {max(role, Role.ADMIN).word}; yours is {own.word}")
