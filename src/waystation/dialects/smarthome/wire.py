"""What the Smart Home app sends and reads (contract sections 4.1, 4.2 and 4.4)."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from waystation.homes import Home, Member, Role
from waystation.kernel.errors import Invalid

NO_CREDENTIALS = "Authentication credentials were not provided."
REQUIRED = "This field is required."
BLANK = "This field may not be blank."
NOT_TEXT = "Not a valid string."
LONGEST = 1000
PERMISSIONS = uuid.UUID("6f0c9a3e-4a8b-4b52-9c39-7b8f0d1c2e55")  # names rows that have no id of their own here

Fields = dict[str, Any]


class Wrong(Invalid):
    """Answered with exactly this object, as the app's forms expect it."""

    def __init__(self, body: Mapping[str, Any], status: int = 400) -> None:
        super().__init__("; ".join(str(reason) for reason in body.values()))
        self.body = body
        self.status = status


def field_error(name: str, reason: str) -> Wrong:
    return Wrong({name: [reason]})


def texts(given: Mapping[str, Any], *names: str, blank: Iterable[str] = ()) -> dict[str, str]:
    """These fields as they were typed; Wrong with every field that is missing, blank, no text or far too long."""
    faults = {name: [reason] for name in names if (reason := _fault(given, name, may_be_blank=name in set(blank)))}
    if faults:
        raise Wrong(faults)
    return {name: given[name] for name in names}


def optional_texts(given: Mapping[str, Any], *names: str) -> dict[str, str]:
    """Those of the fields that were sent."""
    return texts(given, *(name for name in names if given.get(name) is not None), blank=names)


def _fault(given: Mapping[str, Any], name: str, *, may_be_blank: bool) -> str | None:
    value = given.get(name)
    if value is None:
        return REQUIRED
    if not isinstance(value, str) or "\x00" in value:
        return NOT_TEXT
    if not value.strip() and not may_be_blank:
        return BLANK
    return f"Ensure this field has no more than {LONGEST} characters." if len(value) > LONGEST else None


def user(row: Any) -> Fields:
    """`row` is a person's."""
    return {
        "id": row.uid,
        "email": row.email,
        "first_name": row.first_name,
        "last_name": row.last_name,
        "date_joined": moment(row.created_at),
        "last_login": None if row.signed_in_at is None else moment(row.signed_in_at),
    }


def moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def home(found: Home, role: Role) -> Fields:
    return {"id": found.uid, "name": found.name, "role": role.word}


def permission(home_uid: str, member: Member, granted_by: str | None) -> Fields:
    return {
        "id": str(uuid.uuid5(PERMISSIONS, f"{home_uid}/{member.uid}")),
        "user": member.uid,
        "user_email": member.email,
        "home_id": home_uid,
        "role": member.role.word,
        "created_at": moment(member.created_at),
        "granted_by": granted_by,
    }


def page(results: list[Fields]) -> Fields:
    return {"count": len(results), "next": None, "previous": None, "results": results}


def role(given: Mapping[str, Any]) -> Role:
    word = texts(given, "role")["role"]
    try:
        return Role[word.upper()] if word.islower() else _no_role(word)
    except KeyError:
        return _no_role(word)


def uid(given: Mapping[str, Any], name: str) -> str:
    """In its usual form; Wrong when it is no UUID."""
    try:
        return str(uuid.UUID(texts(given, name)[name]))
    except ValueError:
        raise field_error(name, "Must be a valid UUID.") from None


def _no_role(word: str) -> Role:
    raise field_error("role", f'"{word[:40]}" is not a valid choice.')
