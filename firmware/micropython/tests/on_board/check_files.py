"""Uploads go on where the hub is; packages are taken whole or not at all."""

import binascii
import hashlib
import json

import board
from board import Hub
from waystation.errors import LinkError, Refused
from waystation.hashes import hexadecimal
from waystation.packages import Packages

from waystation import storage
from waystation.files import Uploads, quoted, send_whole

CONTENT = bytes(range(256)) * 200


class Tus:
    """A hub that keeps uploads, as tus 1.0; `lose` answers of so many steps get lost."""

    def __init__(self):
        self.kept = {}
        self.lose = 0
        self.headers = {}

    def client(self):
        hub = Hub(None)
        hub.request = self.request
        return hub

    async def request(self, method, path, body=None, **options):
        answer = board.Answer(200, {})
        headers = dict([line.split(": ", 1) for line in options["headers"].split("\r\n") if line])
        if method == "POST":
            answer.headers["location"] = "/api/uploads/u%d" % len(self.kept)
            self.kept[answer.headers["location"]] = bytearray()
            self.headers = headers
        elif path not in self.kept:
            raise Refused(404)
        elif method == "DELETE":
            del self.kept[path]
        elif method == "PATCH":
            self._take(path, body.read(options["size"]), headers)
        if path in self.kept:
            answer.headers["upload-offset"] = str(len(self.kept[path]))
        return answer

    def _take(self, path, part, headers):
        if int(headers["Upload-Offset"]) != len(self.kept[path]):
            raise Refused(409)
        digest = binascii.b2a_base64(hashlib.sha256(part).digest()).decode().strip()
        assert headers["Upload-Checksum"] == "sha256 " + digest
        self.kept[path].extend(part)
        if self.lose:
            self.lose -= 1
            raise LinkError("the answer was lost")


def write(path, content=CONTENT):
    with open(path, "wb") as file:
        file.write(content)


async def test_a_file_goes_up_in_steps():
    write("trace")
    tus = Tus()
    await Uploads(tus.client()).send("trace", "trace ä.csv")
    assert tus.kept["/api/uploads/u0"] == CONTENT
    assert tus.headers["Upload-Length"] == str(len(CONTENT))
    assert tus.headers["Upload-Metadata"] == "filename dHJhY2Ugw6QuY3N2"
    assert storage.names(".") == ["trace"]


async def test_after_a_break_and_a_restart_only_the_rest_goes_up():
    write("trace")
    tus = Tus()
    tus.lose = 1
    try:
        await Uploads(tus.client()).send("trace")
        raise AssertionError("nothing was lost")
    except LinkError:
        pass
    assert await Uploads(tus.client()).resume()
    assert list(tus.kept.values()) == [CONTENT]
    assert not await Uploads(tus.client()).resume()


async def test_a_file_that_has_changed_is_sent_from_its_beginning():
    write("trace")
    tus = Tus()
    tus.lose = 1
    try:
        await Uploads(tus.client()).send("trace")
    except LinkError:
        pass
    write("trace", b"other")
    await Uploads(tus.client()).resume()
    assert list(tus.kept.values()) == [b"other"]


async def test_what_the_hub_has_forgotten_is_sent_anew():
    write("trace")
    tus = Tus()
    tus.lose = 1
    try:
        await Uploads(tus.client()).send("trace")
    except LinkError:
        pass
    tus.kept = {"/api/uploads/another": b""}
    await Uploads(tus.client()).resume()
    assert tus.kept["/api/uploads/u1"] == CONTENT


async def test_a_small_file_goes_in_one_call_with_its_hash():
    write("a b.txt", b"abc")
    hub = Hub(lambda method, path, body: {"id": "f1"})
    assert await send_whole(hub, "a b.txt") == {"id": "f1"}
    ((method, path, body),) = hub.heard
    assert (method, body) == ("POST", "abc")
    assert path == "/api/uploads/whole?name=a%20b.txt&sha256=" + hexadecimal(hashlib.sha256(b"abc"))


def test_a_name_is_quoted():
    assert quoted("ä/&=+ .x-_") == "%C3%A4%2F%26%3D%2B%20.x-_"


class Shelf:
    """A hub with one package of many members; `spoil` is a member whose bytes are not what they should be."""

    def __init__(self, count, spoil=None):
        names = ["m%02d/file" % number for number in range(count)]
        self.members = [{"name": name, "size_bytes": len(name), "sha256": _sha(name.encode())} for name in names]
        self.blobs = {_sha(name.encode()): name.encode() for name in names}
        if spoil is not None:
            self.blobs[_sha(names[spoil].encode())] = b"x" * len(names[spoil])
        lines = "".join(["%s %d %s\n" % (one["sha256"], one["size_bytes"], one["name"]) for one in self.members])
        self.package = {"id": "p1", "name": "p", "type": "data", "version": "1", "count": count, "total_bytes": 99}
        self.package["manifest_sha256"] = _sha(lines.encode())
        self.reports = []
        self.fetched = 0

    def __call__(self, method, path, body):
        if path.startswith("/api/blobs/"):
            self.fetched += 1
            return self.blobs[path[11:]]
        if path == "/api/packages/report":
            self.reports.append(json.loads(body))
            return {}
        first = int(path.split("from=")[1].split("&")[0]) if "from=" in path else 0
        shown = dict(self.package)
        shown["from"] = first
        shown["members"] = self.members[first : first + 4]
        is_over = self.reports and self.reports[-1]["state"] != "deploying"
        return {"package": None if is_over else shown}

    def states(self):
        return [one["state"] for one in self.reports]


def _sha(content):
    return hexadecimal(hashlib.sha256(content))


async def test_a_package_of_many_members_is_taken_page_by_page():
    shelf = Shelf(20)
    packages = Packages(Hub(shelf))
    assert packages.current("data") is None
    assert await packages.serve()
    assert not await packages.serve()
    assert shelf.states() == ["deploying", "deployed"]
    with open(packages.current("data") + "/m19/file") as file:
        assert file.read() == "m19/file"


async def test_a_member_without_its_hash_is_a_package_that_failed():
    shelf = Shelf(3, spoil=1)
    packages = Packages(Hub(shelf))
    await packages.serve()
    assert shelf.states() == ["deploying", "failed"]
    assert "m01/file" in shelf.reports[-1]["detail"]
    assert packages.current("data") is None
    assert storage.names("packages") == []


async def test_a_manifest_without_its_hash_is_a_package_that_failed():
    shelf = Shelf(3)
    shelf.package["manifest_sha256"] = "0" * 64
    await Packages(Hub(shelf)).serve()
    assert shelf.states()[-1] == "failed"


async def test_what_the_device_refuses_is_not_switched_to():
    def check(folder):
        raise ValueError("no such sensor")

    shelf = Shelf(2)
    packages = Packages(Hub(shelf))
    packages.on("data", check)
    await packages.serve()
    assert shelf.states()[-1] == "failed"
    assert "no such sensor" in shelf.reports[-1]["detail"]
    assert packages.current("data") is None


async def test_staged_again_it_mends_what_is_damaged_and_fetches_nothing_else():
    shelf = Shelf(5)
    packages = Packages(Hub(shelf))
    await packages.serve()
    write(packages.current("data") + "/m02/file", b"m02/fil?")
    shelf.reports, shelf.fetched = [], 0
    await packages.serve()
    assert shelf.states()[-1] == "deployed"
    assert shelf.fetched == 1
    with open(packages.current("data") + "/m02/file") as file:
        assert file.read() == "m02/file"


async def test_names_that_lead_out_of_the_folder_are_refused():
    for name in ("../x", "/x", "a//b", "a/./b", "a\\b", "C:x", "", "x" * 300):
        shelf = Shelf(1)
        shelf.members[0]["name"] = name
        packages = Packages(Hub(shelf), "packages")
        await packages.serve()
        assert shelf.states() == ["failed"], name
    assert storage.names(".") == ["packages"]


async def test_a_package_that_is_larger_than_the_flash_is_refused_before_it_is_fetched():
    shelf = Shelf(1)
    shelf.package["total_bytes"] = 1 << 60
    await Packages(Hub(shelf)).serve()
    assert shelf.states()[-1] == "failed"
    assert not shelf.fetched


board.run(globals())
