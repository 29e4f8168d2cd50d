"""Sets of files from the hub, each verified, switched over to at once.

Every package gets a folder of its own below `folder`. Members are fetched one after the other, from where a break
left off, and take their name only when their SHA-256 is right. When all are there and the manifest's hash is right
as well, the device's own check may look at them; then one small file, `current-<type>`, is replaced: that is the
switch. A cut before it leaves the old package in use and the download where it was; a cut after it leaves the new
one, of which the hub is told at the next start.
"""

import asyncio
import hashlib
import os

from . import hashes, storage
from .errors import Damaged, FlashError, LinkError, Refused

_SPARE_BYTES = 8192  # of the flash, for the spool and the notes
_TYPES = ("firmware", "config", "data", "script")
_LONGEST_NAME = 120
_TRIES = 2
_PAGE = 4  # members at a time: each takes some 300 bytes


class Packages:
    """`current(type)` is the folder to read from. `turn` is a lock shared with what else takes memory."""

    def __init__(self, client, folder="packages", turn=None):
        self._client = client
        self._turn = turn or asyncio.Lock()
        self._folder = folder
        self._checks = {}
        self._told = None
        self._is_tidy = False
        storage.make_folders(folder)

    def on(self, type, check):
        """`check(folder)`, plain or async, sees a package before the switch; an error refuses it. May run twice."""
        self._checks[type] = check

    def current(self, type):
        """The folder of the package in use; None when there is none."""
        kept = storage.load(self._pointer(type))
        return self._place(kept["id"]) if kept else None

    async def serve(self):
        """One round: takes the next package, if any, as far as it gets. True when it was deployed or failed."""
        async with self._turn:
            return await self._serve()

    async def _serve(self):
        package = await self._page("limit=%d" % _PAGE)
        if package is None:
            if not self._is_tidy:
                self._sweep()
            return False
        try:
            _check_names(package)
            await self._deploy(package)
        except (Damaged, FlashError) as fault:
            await self._report(package, "failed", str(fault))
            self._sweep()
            return True
        await self._report(package, "deployed", "", package["total_bytes"])
        self._sweep()
        return True

    async def _deploy(self, package):
        self._sweep(package["id"])
        if self._told != package["id"]:
            await self._report(package, "deploying")
            self._told = package["id"]
        await self._fetch_all(package)
        pointer = self._pointer(package["type"])
        if (storage.load(pointer) or {}).get("id") != package["id"]:  # else it was in use before: staged again, or cut
            await self._check(package)
            kept = {"id": package["id"], "name": package["name"], "version": package["version"]}
            storage.save(pointer, kept)

    async def _fetch_all(self, package):
        """Every member in its place, and the manifest as its hash says."""
        manifest, last, number, members = hashlib.sha256(), "", 0, package["members"]
        self._make_room(package)
        while True:
            for member in members:
                if member["name"] <= last:
                    raise Damaged("the manifest is not in order")
                last = member["name"]
                manifest.update(("%s %d %s\n" % (member["sha256"], member["size_bytes"], last)).encode())
                await self._fetch(package, member)
            number += len(members)
            if number >= package["count"]:
                break
            members = await self._more(package, number)
        if hashes.hexadecimal(manifest) != package["manifest_sha256"]:
            raise Damaged("the manifest does not have its hash")

    async def _more(self, package, number):
        more = await self._page("id=%s&from=%d&limit=%d" % (package["id"], number, _PAGE))
        if more is None or not more["members"]:
            raise LinkError("the package is not staged any more")
        _check_names(more)
        return more["members"]

    async def _page(self, query):
        return (await self._client.call("GET", "/api/packages/next?" + query, most_bytes=4096))["package"]

    async def _fetch(self, package, member):
        target = self._place(package["id"]) + "/" + member["name"]
        if storage.size(target) == member["size_bytes"] and await hashes.sha256(target) == member["sha256"]:
            return
        part = "%s/%s.part" % (self._folder, package["id"])
        note = storage.load(part + "-of")
        if note != member["sha256"]:
            storage.remove(part)
            storage.save(part + "-of", member["sha256"])
        for _ in range(_TRIES):
            if await self._download(part, member) == member["sha256"]:
                storage.make_folders(target.rsplit("/", 1)[0])
                storage.replace(part, target)
                return
            storage.remove(part)
        raise Damaged("%s does not have its hash" % member["name"])

    async def _download(self, part, member):
        """The hash of what is there in the end; what was there before is gone on from."""
        size = member["size_bytes"]
        have = storage.size(part) or 0
        if have > size:
            storage.remove(part)
            have = 0
        digest = await hashes.digest_of(part) if have else hashlib.sha256()
        with open(part, "ab" if have else "wb") as file:
            if have < size:
                sink = _Sink(file, digest, have)
                headers = "Range: bytes=%d-\r\n" % have if have else ""
                try:
                    path = "/api/blobs/" + member["sha256"]
                    await self._client.request("GET", path, headers=headers, take=sink.take)
                except Refused as fault:
                    raise Damaged("%s cannot be had: %s" % (member["name"], fault)) from None
            file.flush()
        return hashes.hexadecimal(digest)

    async def _check(self, package):
        check = self._checks.get(package["type"])
        if check is None:
            return
        try:
            seen = check(self._place(package["id"]))
            if hasattr(seen, "send"):
                await seen
        except Exception as fault:  # noqa: BLE001  whatever a check finds is why the package is refused
            raise Damaged("refused by the device: %r" % fault) from None

    async def _report(self, package, state, detail="", done_bytes=0):
        report = {"id": package["id"], "state": state, "done_bytes": done_bytes, "detail": detail[:200]}
        try:
            await self._client.call("POST", "/api/packages/report", report)
        except Refused:
            pass  # it was taken back meanwhile

    def _make_room(self, package):
        stats = os.statvfs(self._folder)
        have = sum(storage.size(one) for one in _files(self._place(package["id"])))
        if stats[0] * stats[3] < package["total_bytes"] - have + _SPARE_BYTES:
            raise FlashError("%d bytes are more than the flash has room for" % package["total_bytes"])

    def _sweep(self, coming=None):
        """What is neither in use nor coming goes."""
        self._is_tidy = True
        pointers = [storage.load(self._pointer(type_)) for type_ in _TYPES]
        kept = [pointer["id"] for pointer in pointers if pointer]
        for name in storage.names(self._folder):
            if not name.startswith("current-") and name.split(".")[0] != coming and name not in kept:
                path = self._folder + "/" + name
                if storage.size(path) is None:
                    storage.remove_folder(path)
                else:
                    storage.remove(path)

    def _pointer(self, type_):
        return self._folder + "/current-" + type_

    def _place(self, id_):
        return self._folder + "/" + id_


class _Sink:
    """Pieces of a download into a file and its hash; a hub that sends all of it again begins the file again."""

    def __init__(self, file, digest, have):
        self._file = file
        self._digest = digest
        self._have = have
        self._is_begun = False

    def take(self, answer, piece):
        if not self._is_begun:
            self._is_begun = True
            start = answer.headers.get("content-range", "bytes 0-").split("-")[0]
            if start != "bytes %d" % self._have:
                raise LinkError("the hub sends another part than it was asked for")
        try:
            self._file.write(piece)
        except OSError as fault:
            raise FlashError("the flash took no more: %r" % fault) from None
        self._digest.update(piece)


def _check_names(package):
    """Words of the hub become names in the flash: they must not lead out of their folder."""
    if package["type"] not in _TYPES or not _is_plain(package["id"]):
        raise Damaged("this is no package")
    for member in package["members"]:
        name = member["name"]
        parts = name.split("/")
        if not 0 < len(name) <= _LONGEST_NAME or "\\" in name or ":" in name or "\n" in name:
            raise Damaged("a member has no possible name")
        if "" in parts or "." in parts or ".." in parts or not _is_plain(member["sha256"]):
            raise Damaged("a member has no possible name")


def _is_plain(word):
    return 0 < len(word) <= 64 and all(letter.isalpha() or letter.isdigit() for letter in word)


def _files(path):
    for name in storage.names(path):
        inner = path + "/" + name
        if storage.size(inner) is None:
            yield from _files(inner)
        else:
            yield inner
