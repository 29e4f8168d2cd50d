"""The power is cut at every byte that is written, on a real LittleFS; whatever is found afterwards keeps its promise.

Each case does something on a flash, is cut after n bytes, starts again from what the flash holds, and is asked what
became of it; for every n until it is not cut any more. WAYSTATION_CUT_STEP is the step from n to n.
"""

import asyncio
import hashlib
import json
import os

import board
import vfs
from board import Flash, Hub, Lines
from waystation.clock import Clock
from waystation.errors import WaystationError
from waystation.hashes import hexadecimal
from waystation.journal import Journal
from waystation.packages import Packages

from waystation import storage
from waystation.commands import Commands
from waystation.identity import Identity
from waystation.telemetry import Telemetry

TIMES = iter(range(1795953600000, 1 << 60, 10000))
BLOCKS = 64
STEP = int(os.getenv("WAYSTATION_CUT_STEP") or "37")


class Power:
    """A flash in one state; `during` runs a case on it once for every cut."""

    def __init__(self):
        self.flash = Flash(BLOCKS)
        vfs.VfsLfs2.mkfs(self.flash)
        self.cuts = 0

    def on(self, function, left=None):
        """Runs it with the flash in place; whether it was not cut."""
        vfs.mount(vfs.VfsLfs2(self.flash), "/flash")
        self.flash.left = left
        try:
            ran = function()
            if hasattr(ran, "send"):
                asyncio.run(ran)
        except (OSError, WaystationError):
            if self.flash.left:
                raise
            return False
        finally:
            vfs.umount("/flash")
        return True

    def hub(self, answer):
        """Without power nobody says anything to a hub."""

        def answer_if_on(*words):
            return OSError(5) if self.flash.left == 0 else answer(*words)

        return Hub(answer_if_on)

    def during(self, case):
        """For every number of bytes: `case()` gives what is cut, and what is asked afterwards, on this flash."""
        image = bytes(self.flash.image)
        left, is_whole = 1, False
        while not is_whole:
            self.flash = Flash(BLOCKS, image)
            cut, afterwards = case()
            is_whole = self.on(cut, left)
            self.flash = Flash(BLOCKS, self.flash.image)
            assert self.on(afterwards)
            left += STEP
            self.cuts += 1
        assert self.cuts > 5


def knowing(clock=None):
    """A clock that was told the time; later than any before."""
    clock = clock or Clock()
    clock.learn(next(TIMES))
    return clock


def test_a_claim_is_never_stranded():
    power = Power()

    def case():
        keys = []

        def answer(method, path, body):
            keys.append(json.loads(body)["api_key"])
            return {"key": "k1", "serial": "s1"}

        async def claim():
            identity = Identity("/flash/identity")
            if not identity.is_claimed():
                await identity.claim(power.hub(answer), "ABCD")

        async def afterwards():
            await claim()
            kept = Identity("/flash/identity")
            assert kept.key == "k1"
            assert all(key == kept.api_key for key in keys), "the hub knows another key"

        return claim, afterwards

    power.during(case)


def test_a_new_credential_strands_nobody():
    power = Power()
    power.on(lambda: Identity("/flash/identity").adopt("k1", "old key"))

    def case():
        heard = []

        def answer(method, path, body):
            heard.append(json.loads(body))
            return {"key": "k1", "serial": "s1"}

        async def claim():
            identity = Identity("/flash/identity")
            if identity.is_other("EFGH"):
                await identity.claim(power.hub(answer), "EFGH")

        async def afterwards():
            assert Identity("/flash/identity").api_key in ["old key"] + [one["api_key"] for one in heard]
            await claim()
            assert all(one["api_key"] == Identity("/flash/identity").api_key for one in heard)

        return claim, afterwards

    power.during(case)


def test_a_reading_that_was_noted_is_never_lost_nor_doubled():
    power = Power()
    power.on(lambda: Telemetry(knowing(), "/flash/readings").record({"n": 0}))

    def case():
        kept, lines = [0], Lines()

        async def work():
            telemetry = Telemetry(knowing(), "/flash/readings", segment_bytes=120)
            for number in range(1, 8):
                telemetry.record({"n": number})
                kept.append(number)
                if number % 3 == 0:
                    await telemetry.send(power.hub(lines))

        async def afterwards():
            await Telemetry(knowing(), "/flash/readings").send(power.hub(lines))
            taken = sorted(reading["values"]["n"] for reading in lines.taken.values())
            assert taken in (kept, kept + [len(kept)]), (taken, kept)

        return work, afterwards

    power.during(case)


def test_a_reading_without_a_time_is_never_lost_nor_doubled():
    power = Power()
    power.on(lambda: Telemetry(Clock(), "/flash/readings").record({"n": 0}))

    def case():
        kept, lines = [0], Lines()
        lines.lose_answer = 1

        async def work():
            clock = Clock()
            telemetry = Telemetry(clock, "/flash/readings", segment_bytes=120)
            for number in range(1, 5):
                telemetry.record({"n": number})
                kept.append(number)
            knowing(clock)
            telemetry.record({"n": 5})
            kept.append(5)
            for _ in range(2):
                try:
                    await telemetry.send(power.hub(lines))
                except OSError:
                    if power.flash.left == 0:
                        raise

        async def afterwards():
            lines.lose_answer = 0
            await Telemetry(knowing(), "/flash/readings").send(power.hub(lines))
            taken = sorted(reading["values"]["n"] for reading in lines.taken.values())
            assert taken in (kept, kept + [len(kept)]), (taken, kept)

        return work, afterwards

    power.during(case)


class Desk:
    """A hub with one command: handed out until it has an outcome."""

    def __init__(self, name, *, once=False):
        self.name = name
        self.once = once
        self.states = []
        self.given = 0

    def __call__(self, method, path, body):
        if path.startswith("/api/commands/next"):
            if self.states or (self.once and self.given):
                return {"command": None}
            self.given += 1
            command = {"id": "c1", "name": self.name, "parameters": None, "attempt": self.given, "once": self.once}
            command["lease_seconds"] = 60
            return {"command": command}
        self.states.append(json.loads(body)["state"])
        return {"id": "c1", "state": self.states[-1]}


def test_a_command_is_done_once_and_done_is_the_truth():
    power = Power()

    def case():
        desk, ran = Desk("blink"), []

        async def serve():
            commands = Commands(power.hub(desk), None, "/flash/commands", wait_seconds=0)
            commands.on("blink", lambda parameters: ran.append(1))
            for _ in range(2):
                await commands.serve()

        async def afterwards():
            await serve()
            assert len(ran) <= 1, "it was done twice"
            assert len(set(desk.states)) == 1, desk.states
            assert desk.states[0] in (("done", "failed") if ran else ("failed",)), "done is not the truth"

        return serve, afterwards

    power.during(case)


def test_a_command_that_may_be_done_again_is_done_in_the_end():
    power = Power()

    def case():
        desk, ran = Desk("blink"), []

        async def serve():
            commands = Commands(power.hub(desk), None, "/flash/commands", wait_seconds=0)
            commands.on("blink", lambda parameters: ran.append(1), again=True)
            for _ in range(2):
                await commands.serve()

        async def afterwards():
            await serve()
            assert ran
            assert set(desk.states) == {"done"}

        return serve, afterwards

    power.during(case)


def test_a_reboot_is_done_when_the_device_is_back_and_only_then():
    power = Power()

    def case():
        desk, resets = Desk("reboot", once=True), []

        def reset():
            resets.append(1)
            raise OSError(5)

        async def serve():
            await Commands(power.hub(desk), reset, "/flash/commands", wait_seconds=0).serve()

        async def work():
            try:
                await serve()
            except OSError:
                if not resets:
                    raise

        async def afterwards():
            assert not desk.states
            await serve()
            assert len(resets) <= 1
            # A power cut between note and reset is a restart as well.
            assert desk.states == (["done"] if resets else desk.states[:1])

        return work, afterwards

    power.during(case)


def test_a_journal_that_is_written_anew_forgets_nothing_that_is_untold():
    power = Power()

    def fill():
        journal = Journal("/flash/commands")
        journal.end("first", "done", "x" * 100)
        number = 0
        while journal._bytes < 4000:
            number += 1
            journal.begin("c%d" % number, "blink")
            journal.end("c%d" % number, "done", "x" * 100)
            journal.told("c%d" % number)

    power.on(fill)

    def case():
        def work():
            journal = Journal("/flash/commands")
            for number in range(4):
                journal.begin("new%d" % number, "blink")

        def afterwards():
            journal = Journal("/flash/commands")
            assert journal.first_untold()["id"] == "first"
            assert journal.find("c12")["told"]

        return work, afterwards

    power.during(case)


class Shelf:
    """A hub with one staged package. `states` are what it was told."""

    def __init__(self, version, files):
        self.files = {_sha(content): content for content in files.values()}
        members = [
            {"name": name, "size_bytes": len(files[name]), "sha256": _sha(files[name])} for name in sorted(files)
        ]
        lines = "".join(["%s %d %s\n" % (one["sha256"], one["size_bytes"], one["name"]) for one in members])
        self.package = {"id": "p%d" % version, "name": "site", "type": "config", "version": str(version), "from": 0}
        self.package.update(count=len(members), members=members, manifest_sha256=_sha(lines.encode()))
        self.package["total_bytes"] = sum(one["size_bytes"] for one in members)
        self.states = []
        self.is_used = lambda: True

    def __call__(self, method, path, body):
        if path.startswith("/api/blobs/"):
            return self.files[path[11:]]
        if path.startswith("/api/packages/next"):
            is_over = "deployed" in self.states or "failed" in self.states
            return {"package": None if is_over else self.package}
        state = json.loads(body)["state"]
        assert state != "deployed" or self.is_used(), "deployed is not the truth"
        self.states.append(state)
        return {"id": self.package["id"], "state": state}


def _sha(content):
    return hexadecimal(hashlib.sha256(content))


OLD = {"a.txt": b"old a" * 20, "sub/b.txt": b"old b" * 30}
NEW = {"a.txt": b"new a" * 20, "sub/c.txt": b"new c" * 60}


def holds(folder, files):
    for name in files:
        with open(folder + "/" + name, "rb") as file:
            if file.read() != files[name]:
                return False
    return True


def test_the_package_in_use_is_always_whole_and_the_new_one_is_reached():
    power = Power()
    power.on(lambda: Packages(power.hub(Shelf(1, OLD)), "/flash/packages").serve())

    def case():
        shelf = Shelf(2, NEW)
        shelf.is_used = lambda: Packages(power.hub(shelf), "/flash/packages").current("config").endswith("p2")

        async def serve():
            await Packages(power.hub(shelf), "/flash/packages").serve()

        async def afterwards():
            packages = Packages(power.hub(shelf), "/flash/packages")
            now = packages.current("config")
            assert holds(now, OLD if now.endswith("p1") else NEW)
            await packages.serve()
            assert packages.current("config").endswith("p2")
            assert holds(packages.current("config"), NEW)
            assert shelf.states[-1] == "deployed"
            assert "failed" not in shelf.states
            found = storage.names("/flash/packages")
            assert found == ["current-config", "p2"], found

        return serve, afterwards

    power.during(case)


board.run(globals())
