"""Runs one service against a hub and prints how many bytes lay on the heap at most.

Memory is collected and counted at every moment in which the service waits, so what is counted is alive. The code's
ROMFS image, which is flash on a board, is not counted. The one argument is JSON: server, key, api_key, now_ms, and
service, the name of a function below without `run_`.
"""

import asyncio
import gc
import json
import os
import sys

from waystation.client import Client
from waystation.clock import Clock

IMAGE_BYTES = os.stat(sys.argv[0])[6]
peaks = [0]


async def count():
    while True:
        gc.collect()
        peaks[0] = max(peaks[0], gc.mem_alloc() - IMAGE_BYTES)
        await asyncio.sleep(0)


async def run_readings(client, wanted):
    from waystation.telemetry import Telemetry

    telemetry = Telemetry(client.clock)
    for number in range(100):
        telemetry.record({"temperature_c": 21.5, "count": number, "mode": "auto"})
    assert await telemetry.send(client) == 100


async def run_messages(client, wanted):
    from waystation.messages import Messages

    messages = Messages(client.clock)
    for number in range(40):
        messages.log("sensor %d does not answer" % number, "warning")
    assert await messages.send(client) == 40


async def run_commands(client, wanted):
    from waystation.commands import Commands

    commands = Commands(client, wait_seconds=5)
    commands.on("note", lambda parameters: {"noted": parameters})
    assert await commands.serve()


async def run_upload(client, wanted):
    from waystation.files import Uploads

    write_trace()
    await Uploads(client).send("trace")


async def run_packages(client, wanted):
    from waystation.packages import Packages

    packages = Packages(client)
    assert await packages.serve()
    assert packages.current("config")


async def run_all(client, wanted):
    """Everything that a node has, at once."""
    from waystation.node import Node

    await client.close()
    node = Node(wanted["server"], wait_seconds=5, package_seconds=1)
    node.identity.adopt(wanted["key"], wanted["api_key"])
    noted = []
    node.commands.on("note", noted.append)
    write_trace()
    uploads, packages = node.uploads, node.packages
    task = asyncio.create_task(node.run())
    for number in range(50):
        node.record({"temperature_c": 21.5, "count": number, "mode": "auto"})
        node.log("sensor %d does not answer" % number)
    await uploads.send("trace")
    while not (noted and packages.current("config") and node.telemetry.is_empty() and node.messages.is_empty()):
        assert not task.done()
        await asyncio.sleep(0.02)
    task.cancel()


def write_trace():
    with open("trace", "wb") as file:
        for _ in range(100):
            file.write(b"0123456789abcdef" * 32)


async def main(wanted):
    client = Client(wanted["server"], "Device %s:%s" % (wanted["key"], wanted["api_key"]), Clock())
    client.clock.learn(wanted["now_ms"])
    counting = asyncio.create_task(count())
    await globals()["run_" + wanted["service"]](client, wanted)
    counting.cancel()
    print(peaks[0])


asyncio.run(main(json.loads(sys.argv[1])))
