"""Sync packages: names, manifests and states; values in, values out."""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from waystation.files.model import UNSEEN
from waystation.kernel.errors import Invalid

MOST_NAME = 120
MOST_VERSION = 64
MOST_ABOUT = 2000
MOST_MEMBER_NAME = 255
MOST_DEPTH = 16
MOST_MEMBERS = 10_000
MOST_DETAIL = 1000
MANY = 8  # members that an answer names unless more are asked for
MOST_ASKED = 1000


class Kind(StrEnum):
    FIRMWARE = "firmware"
    CONFIG = "config"
    DATA = "data"
    SCRIPT = "script"


class State(StrEnum):
    """Of one package on one device. Staged again it begins anew."""

    STAGED = "staged"
    DEPLOYING = "deploying"
    DEPLOYED = "deployed"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (State.STAGED, State.DEPLOYING)
REPORTED: Mapping[State, Sequence[State]] = {
    State.DEPLOYING: OPEN,
    State.DEPLOYED: OPEN,
    State.FAILED: OPEN,
}
"""What a device may say, and in which state that changes anything. The same word again always is taken."""


class By(StrEnum):
    """What a target names."""

    DEVICE = "device"
    TAG = "tag"
    MODEL = "model"
    HOME = "home"


class Target(NamedTuple):
    """`value` is a device's key, a tag or a model; empty for the whole home."""

    by: By
    value: str = ""


class Member(NamedTuple):
    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Package:
    """`manifest_sha256` is set once it is staged; from then on its members do not change."""

    id: int
    uid: str
    home_id: int
    name: str
    kind: Kind
    version: str
    about: str
    created_at: datetime
    by: str
    manifest_sha256: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A package on one device, as far as the device has said."""

    id: int
    package_id: int
    device_id: int
    state: State
    done_bytes: int
    detail: str
    staged_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Next:
    """What a device is to fetch: the package with some of its members, from number `first` on."""

    package: Package
    count: int
    total_bytes: int
    first: int
    members: Sequence[Member]


def manifest(members: Iterable[Member]) -> bytes:
    r"""`<sha256> <size_bytes> <name>\n` for each, sorted by name as bytes; its SHA-256 names the whole package."""
    lines = sorted((one.name.encode(), one) for one in members)
    return b"".join(b"%s %d %s\n" % (one.sha256.encode(), one.size_bytes, name) for name, one in lines)


def manifest_sha256(members: Iterable[Member]) -> str:
    return hashlib.sha256(manifest(members)).hexdigest()


def check_name(name: str) -> str:
    return _label(name, MOST_NAME, "a package's name")


def check_version(version: str) -> str:
    return _label(version, MOST_VERSION, "a version") if version.strip() else ""


def check_about(about: str) -> str:
    about = about.strip()
    if len(about) > MOST_ABOUT or any(_is_unseen(letter) for letter in about if letter != "\n"):
        raise Invalid(f"a description has up to {MOST_ABOUT:,} visible characters")
    return about


def check_kind(kind: str) -> Kind:
    try:
        return Kind(kind)
    except ValueError:
        raise Invalid(f"a package is one of {', '.join(Kind)}") from None


def check_member(name: str) -> str:
    """A relative path with `/` and without `..`, in composed form (NFC), that every file system takes as it is."""
    name = unicodedata.normalize("NFC", name)
    steps = name.split("/")
    if not name or len(name.encode(errors="surrogatepass")) > MOST_MEMBER_NAME or len(steps) > MOST_DEPTH:
        raise Invalid(f"a member's name has 1 to {MOST_MEMBER_NAME} bytes and up to {MOST_DEPTH} steps")
    if any(_is_unseen(letter) or letter in '\\:*?"<>|' for letter in name):
        raise Invalid("a member's name has visible characters only, and none of \\ : * ? \" < > |")
    if any(step in ("", ".", "..") or step != step.strip() or step.endswith(".") for step in steps):
        raise Invalid("a member's name is a relative path such as conf/wifi.json, without empty steps, . and ..")
    return name


def check_members(names: Iterable[str]) -> None:
    """Together: no two that are one file where case does not count, and none that is a folder of another."""
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if folded in seen:
            raise Invalid(f"{name} and {seen[folded]} would be one file on some devices")
        seen[folded] = name
    for folded, name in seen.items():
        steps = folded.split("/")
        for depth in range(1, len(steps)):
            if (other := seen.get("/".join(steps[:depth]))) is not None:
                raise Invalid(f"{other} cannot be a file and the folder of {name}")


def _label(text: str, most: int, what: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if not text or len(text) > most or any(_is_unseen(letter) for letter in text):
        raise Invalid(f"{what} has 1 to {most} visible characters")
    return text


def _is_unseen(letter: str) -> bool:
    return unicodedata.category(letter) in UNSEEN
