"""Everything a device can do, in one main: what the conformance scenarios run, and a place to begin from.

Its one argument is JSON: server, code, name, period_ms, now_ms (0: unknown), wait_seconds (0: poll), poll_seconds.
"""

import asyncio
import json
import sys

from waystation.errors import Busy, Damaged, LinkError
from waystation.node import Node

from waystation import storage

REBOOT = 75  # exit code of a program that wants to be started again


class Counting:
    """The metric `count`: 1, 2, 3 …, never the same number twice. `kept.txt` has what was taken for delivery."""

    def __init__(self, node, period_ms):
        self._node = node
        self._period_ms = period_ms

    async def sample(self):
        while True:
            number = (storage.load("last") or 0) + 1
            storage.save("last", number)
            self._node.record({"count": number})
            note("kept.txt", str(number))
            await asyncio.sleep(self._period_ms / 1000)


def note(path, line):
    """A line that is in flash when this returns."""
    with open(path, "a") as file:
        file.write(line + "\n")
        file.flush()


def commands_of(node):
    def on_note(parameters):
        note("notes.txt", parameters["text"])
        with open("notes.txt") as file:
            return {"noted": sum(1 for _ in file)}

    def on_say(parameters):
        node.log(parameters["content"], parameters["severity"])

    async def on_upload(parameters):
        while True:
            try:
                return await node.uploads.send(parameters["file"])
            except (LinkError, Busy, Damaged):
                await asyncio.sleep(0.5)  # it goes on where the hub is

    node.commands.on("note", on_note)
    node.commands.on("say", on_say)
    node.commands.on("upload", on_upload)


def main(wanted):
    node = Node(
        wanted["server"],
        "state",
        code=wanted["code"],
        name=wanted["name"],
        reboot=lambda: sys.exit(REBOOT),
        wait_seconds=wanted["wait_seconds"],
        poll_seconds=wanted["poll_seconds"],
        package_seconds=wanted["poll_seconds"],
        timeout_seconds=5,
    )
    if wanted["now_ms"]:
        node.clock.learn(wanted["now_ms"])
    commands_of(node)
    node.packages  # noqa: B018  names the service, so that it runs
    node.uploads  # noqa: B018

    async def everything():
        await asyncio.gather(node.run(), Counting(node, wanted["period_ms"]).sample())

    asyncio.run(everything())


main(json.loads(sys.argv[1]))
