"""A package as one signed file, for sites that no network reaches: written to a stick here, read from it there.

A zip without compression: `bundle.json` (what it is, and every member with size and hash), `bundle.sig` (Ed25519 over
that, by the hub's own key) and `blobs/<sha256>`. So whoever carries it can neither change nor add a byte, nothing in it
can grow when it is read, and no name in it is a path.
"""

import base64
import binascii
import re
import zipfile
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, BinaryIO

import msgspec

from waystation.files.packages import model
from waystation.files.packages.model import Member, Package
from waystation.kernel.clock import iso
from waystation.kernel.errors import Conflict, Invalid, NotFound, Refused
from waystation.kernel.secrets import KeyRing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Read = Callable[[str], BinaryIO]
FORMAT = 1
KEY = "bundles"
CONTENTS, SIGNATURE, BLOBS = "bundle.json", "bundle.sig", "blobs/"
SIGNED_AS = b"waystation bundle 1\n"  # so that a signature of something else never counts here
MOST_CONTENTS_BYTES = 8 << 20
PIECE_BYTES = 1 << 20
PUBLIC_KEY = re.compile(r"[A-Za-z0-9_-]{43}")
NEVER_CHANGES = (1980, 1, 1, 0, 0, 0)


class Listed(msgspec.Struct, forbid_unknown_fields=True):
    """A member, as it stands in the list."""

    name: str
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Contents(msgspec.Struct, forbid_unknown_fields=True):
    """`key` is the public key of the hub that made it."""

    format: int
    made_at: str
    key: str
    name: str
    type: str
    version: str
    about: str
    manifest_sha256: str
    listed: list[Listed]

    @property
    def members(self) -> list[Member]:
        return [Member(one.name, one.size_bytes, one.sha256) for one in self.listed]


class Untrusted(Refused):
    """Signed by nobody whom this hub trusts, or changed since."""


def public_key(keys: KeyRing) -> str:
    """Of this hub, 43 characters: other hubs put it into their setting `bundle_keys`."""
    return _text(_private(keys).public_key().public_bytes_raw())


def write(path: Path, keys: KeyRing, package: Package, members: Sequence[Member], *, now: datetime, read: Read) -> None:
    """`read(sha256)` opens a member's bytes. The file appears whole or not at all."""
    contents = Contents(
        FORMAT,
        iso(now),
        public_key(keys),
        package.name,
        package.kind,
        package.version,
        package.about,
        model.manifest_sha256(members),
        [Listed(one.name, one.size_bytes, one.sha256) for one in members],
    )
    raw = msgspec.json.format(msgspec.json.encode(contents), indent=1)
    draft = path.with_name(f".{path.name[:200]}.part")
    try:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            archive.writestr(zipfile.ZipInfo(CONTENTS, NEVER_CHANGES), raw)
            archive.writestr(zipfile.ZipInfo(SIGNATURE, NEVER_CHANGES), _private(keys).sign(SIGNED_AS + raw))
            for sha256, size in sorted({(one.sha256, one.size_bytes) for one in members}):
                entry = zipfile.ZipInfo(f"{BLOBS}{sha256}", NEVER_CHANGES)
                entry.file_size = size
                with read(sha256) as source, archive.open(entry, "w", force_zip64=size >= 1 << 31) as into:
                    _copy(source, into)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


class Bundle:
    """One that was opened with `opened`: its contents are signed by somebody trusted, and every entry is expected."""

    def __init__(self, archive: zipfile.ZipFile, contents: Contents) -> None:
        self.contents = contents
        self._archive = archive

    @property
    def total_bytes(self) -> int:
        return sum(size for size in {one.sha256: one.size_bytes for one in self.contents.members}.values())

    def pieces(self, sha256: str) -> Iterator[bytes]:
        """Never more than the signed size says."""
        left = next(one.size_bytes for one in self.contents.members if one.sha256 == sha256)
        with _readable(), self._archive.open(f"{BLOBS}{sha256}") as source:
            while left and (piece := source.read(min(left, PIECE_BYTES))):
                left -= len(piece)
                yield piece
        if left:
            raise Conflict("the bundle is shorter than it says, so nothing of it was taken")


@contextmanager
def opened(path: Path, trusted: Collection[str]) -> Generator[Bundle]:
    """Invalid for what is no bundle, Untrusted unless one of the `trusted` keys signed exactly this."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    with _readable(), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if len(entries) > model.MOST_MEMBERS + 2:
            raise Invalid(f"a bundle has at most {model.MOST_MEMBERS:,} members")
        contents = _contents(archive, trusted)
        _check_entries(entries, contents, path.stat().st_size)
        yield Bundle(archive, contents)


def _contents(archive: zipfile.ZipFile, trusted: Collection[str]) -> Contents:
    """Nothing of it is believed before its signature is."""
    raw, signature = _small(archive, CONTENTS, MOST_CONTENTS_BYTES), _small(archive, SIGNATURE, 64)
    try:
        contents = msgspec.json.decode(raw, type=Contents)
    except (msgspec.MsgspecError, UnicodeDecodeError) as fault:
        raise Invalid(f"the bundle's list of contents cannot be read: {fault}") from None
    _check_signature(contents.key, raw, signature, trusted)
    if contents.format != FORMAT:
        raise Invalid(f"this bundle has the format {contents.format}; this program reads {FORMAT}: use a newer one")
    model.check_members(model.check_member(one.name) for one in contents.members)
    if model.manifest_sha256(contents.members) != contents.manifest_sha256:
        raise Invalid("the bundle's manifest does not fit its members")
    return contents


def _check_signature(key: str, raw: bytes, signature: bytes, trusted: Collection[str]) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  slow to load, seldom asked
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    if not PUBLIC_KEY.fullmatch(key) or key not in trusted:
        raise Untrusted(f"this hub does not trust the key {key[:43]}; put it into the setting bundle_keys if you do")
    try:
        Ed25519PublicKey.from_public_bytes(_bytes(key)).verify(signature, SIGNED_AS + raw)
    except (InvalidSignature, ValueError):
        raise Untrusted("the bundle was changed since it was signed, so nothing of it was taken") from None


def _check_entries(entries: Sequence[zipfile.ZipInfo], contents: Contents, file_bytes: int) -> None:
    sizes = {f"{BLOBS}{one.sha256}": one.size_bytes for one in contents.members}
    names = [entry.filename for entry in entries]
    if sorted(names) != sorted([CONTENTS, SIGNATURE, *sizes]):
        raise Invalid("the bundle holds other files than it says, or one of them twice")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size or entry.flag_bits & 1:
            raise Invalid("the bundle holds something compressed or encrypted, which ours never do")
        if entry.file_size != sizes.get(entry.filename, entry.file_size):
            raise Invalid("a member of the bundle has another size than it says")
    if sum(entry.file_size for entry in entries) > file_bytes:
        raise Invalid("the bundle's members lie over each other")


def _small(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise Invalid(f"this is no bundle: it has no {name}") from None
    if entry.file_size > most or entry.compress_type != zipfile.ZIP_STORED:
        raise Invalid(f"{name} in the bundle is larger than it can be, or compressed")
    with archive.open(entry) as source:
        return source.read(most)


@contextmanager
def _readable() -> Generator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as fault:
        raise Invalid(f"this cannot be read as a bundle: {fault}") from fault


def _copy(source: BinaryIO, into: IO[bytes]) -> None:
    while piece := source.read(PIECE_BYTES):
        into.write(piece)


def _private(keys: KeyRing) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return Ed25519PrivateKey.from_private_bytes(_bytes(keys.get(KEY).decode()))


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(f"{text}=")
    except binascii.Error:
        raise Invalid("a key is 43 of the characters A-Z a-z 0-9 - _") from None


def _text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")
