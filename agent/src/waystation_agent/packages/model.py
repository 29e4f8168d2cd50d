"""A package and its members as values: from the wire, with nothing in them that leads out of its folder."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import cast

TYPES = ("firmware", "config", "data", "script")
DIGEST = re.compile(r"[0-9a-f]{64}")
WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
LONGEST_NAME, LONGEST_PART_BYTES, DEEPEST = 1_000, 255, 32


class Stage(StrEnum):
    """How far a package has got here. Each is noted before what belongs to it is done."""

    FETCHING = "fetching"
    STAGED = "staged"
    """Whole, verified and in a folder of its own; nothing uses it yet."""
    CHECKING = "checking"
    """Switched to, or about to be: its reload and its check have the word."""
    ROLLING_BACK = "rolling back"
    DEPLOYED = "deployed"
    FAILED = "failed"


class Unsound(Exception):
    """What the hub describes cannot be deployed, and why."""


@dataclass(frozen=True)
class Package:
    id: str
    name: str
    type: str
    version: str
    manifest_sha256: str


@dataclass(frozen=True)
class Member:
    name: str
    size: int
    sha256: str


Fields = Mapping[str, object]


def read_package(found: object) -> Package:
    """Raises ValueError for what is no package at all."""
    fields = cast("Fields", found) if isinstance(found, dict) else cast("Fields", {})
    identifier = fields.get("id")
    if not isinstance(identifier, str) or not WORD.fullmatch(identifier):
        raise ValueError("a package without an id")
    return Package(
        identifier,
        str(fields.get("name"))[:200],
        str(fields.get("type"))[:40],
        str(fields.get("version"))[:100],
        str(fields.get("manifest_sha256"))[:64],
    )


def read_members(found: object) -> list[Member]:
    """Raises Unsound for a member whose name or size cannot be meant."""
    if not isinstance(found, list):
        raise Unsound("the package has no list of members")
    return [_member(one) for one in cast("list[object]", found)]


def _member(found: object) -> Member:
    fields = cast("Fields", found) if isinstance(found, dict) else cast("Fields", {})
    name, size, digest = fields.get("name"), fields.get("size_bytes"), fields.get("sha256")
    if not isinstance(name, str) or not is_inside(name):
        raise Unsound(f"a member cannot be called {str(name)[:100]!r}")
    if not isinstance(size, int) or size < 0 or not isinstance(digest, str) or not DIGEST.fullmatch(digest):
        raise Unsound(f"size or hash of {name} cannot be right")
    return Member(name, size, digest)


def is_inside(name: str) -> bool:
    """Tell whether a name leads to a file below its folder and nowhere else."""
    parts = name.split("/")
    return (
        len(name) <= LONGEST_NAME
        and len(parts) <= DEEPEST
        and name.isprintable()
        and "\\" not in name
        and all(part not in {"", ".", ".."} and len(part.encode()) <= LONGEST_PART_BYTES for part in parts)
    )


def check_whole(members: Sequence[Member], manifest_sha256: str) -> None:
    """Raises Unsound unless these are all members, each once, and none is the folder of another."""
    names = {member.name for member in members}
    if len(names) != len(members):
        raise Unsound("two members have the same name")
    folders = {name[: at.start()] for name in names for at in re.finditer("/", name)}
    if clash := names & folders:
        raise Unsound(f"{min(clash)} is both a file and a folder")
    if manifest_digest(members) != manifest_sha256:
        raise Unsound("the list of members does not match its hash")


def manifest_digest(members: Sequence[Member]) -> str:
    ordered = sorted(members, key=lambda member: member.name.encode())
    lines = [f"{member.sha256} {member.size} {member.name}\n" for member in ordered]
    return sha256("".join(lines).encode()).hexdigest()
