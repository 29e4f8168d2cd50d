"""All services as one task: what a main.py needs.

    node = Node("http://192.168.1.10:8420", code="ABCD-1234")
    node.commands.on("blink", blink)
    node.record({"temperature_c": 21.5})
    asyncio.run(node.run())

A service costs memory only once it is named: `node.messages`, `node.commands`, `node.uploads` and `node.packages`
come into being when they are first used. Every service has a loop of its own that ends with no error: what goes
wrong is `node.fault`, and is tried again after a pause that grows to a minute.
"""

import asyncio
import random

from . import storage
from .client import Client
from .clock import Clock
from .errors import Denied, Problem, Refused, WaystationError
from .identity import Identity
from .telemetry import Telemetry

_TELLS_THE_TIME = "/health/readyz"  # as every answer does; this one is asked of anybody and costs nothing
_LONGEST_PAUSE_MS = 60000
_FIRST_PAUSE_MS = 500
_DENIED_PAUSE_MS = 5000


class Node:
    """`folder` in flash holds all that is kept. `wait_seconds=0`: it polls every `poll_seconds` over one connection."""

    def __init__(
        self, url, folder="waystation", *, code=None, name="", model="", tls=None, reboot=None, wait_seconds=50,
        poll_seconds=5, package_seconds=60, timeout_seconds=15,
    ):  # fmt: skip
        storage.make_folders(folder)
        self.folder = folder
        self.fault = None
        self.clock = Clock()
        self.identity = Identity(folder + "/identity")
        self._url = url
        self._tls = tls
        self._claim = (code, name, model)
        self._timeout_seconds = timeout_seconds
        self._wait_seconds = wait_seconds
        self._poll_seconds = poll_seconds
        self._package_seconds = package_seconds
        self._reboot = reboot
        self._news = asyncio.Event()
        self._services = {}
        self._turn = asyncio.Lock()  # an upload and a package at once would take the memory of both
        self.client = self._new_client()
        self.telemetry = Telemetry(self.clock, folder + "/readings")

    def record(self, values):
        """Notes a reading in flash; it goes out as soon as there is a hub."""
        self.telemetry.record(values)
        self._news.set()

    def log(self, content, severity="info"):
        self.messages.log(content, severity)
        self._news.set()

    @property
    def messages(self):
        return self._service("messages", self._new_messages)

    @property
    def commands(self):
        return self._service("commands", self._new_commands)

    @property
    def uploads(self):
        return self._service("uploads", self._new_uploads)

    @property
    def packages(self):
        return self._service("packages", self._new_packages)

    async def run(self):
        """Claims the device, if it has no credential yet, then serves for ever."""
        await self._until_claimed()
        self.client.authorization = self.identity.authorization()
        loops = [self._keep(self._send, self._until_news)]
        if "commands" in self._services:
            self._poller.authorization = self.identity.authorization()
            loops.append(self._keep(self.commands.serve, self._until_next_poll))
        if "uploads" in self._services:
            loops.append(self._keep(self.uploads.resume, self._until_next_package))
        if "packages" in self._services:
            loops.append(self._keep(self.packages.serve, self._until_next_package))
        await asyncio.gather(*loops)

    async def _until_claimed(self):
        pause = Pause()
        code, name, model = self._claim
        while self.identity.is_other(code) or not self.identity.is_claimed():
            try:
                await self.identity.claim(self.client, code, name, model)
            except WaystationError as fault:
                self.fault = fault
                if isinstance(fault, Refused) and self.identity.is_claimed():
                    return  # what it has may still be good
                await pause.after(fault)

    async def _keep(self, step, idle):
        """For ever: a step; when it found nothing, what is waited for; after a fault, a pause."""
        pause = Pause()
        while True:
            try:
                if not await step():
                    await idle()
                pause.forget()
            except (WaystationError, OSError, ValueError, KeyError, MemoryError) as fault:
                self.fault = fault
                await pause.after(fault)

    async def _send(self):
        """Clears first: what is noted while this sends is news again. Without a time nothing can go out."""
        self._news.clear()
        if self.clock.started_at() is None:
            await self.client.request("GET", _TELLS_THE_TIME)
        await self.telemetry.send(self.client)
        if "messages" in self._services:
            await self.messages.send(self.client)

    async def _until_news(self):
        await self._news.wait()

    async def _until_next_poll(self):
        await asyncio.sleep(0 if self._wait_seconds else self._poll_seconds)

    async def _until_next_package(self):
        await asyncio.sleep(self._package_seconds)

    def _service(self, name, make):
        if name not in self._services:
            self._services[name] = make()
        return self._services[name]

    def _new_client(self):
        return Client(self._url, None, self.clock, timeout_seconds=self._timeout_seconds, tls=self._tls)

    def _new_messages(self):
        from .messages import Messages

        return Messages(self.clock, self.folder + "/messages")

    def _new_commands(self):
        from .commands import Commands

        self._poller = self._new_client() if self._wait_seconds else self.client
        return Commands(self._poller, self._reboot, self.folder + "/commands", wait_seconds=self._wait_seconds)

    def _new_uploads(self):
        from .files import Uploads

        return Uploads(self.client, self.folder + "/upload", self._turn)

    def _new_packages(self):
        from .packages import Packages

        return Packages(self.client, self.folder + "/packages", self._turn)


class Pause:
    """Longer after every fault in a row, and never the same for two devices."""

    def __init__(self):
        self._ms = _FIRST_PAUSE_MS

    def forget(self):
        self._ms = _FIRST_PAUSE_MS

    async def after(self, fault):
        ms = self._ms
        self._ms = min(ms * 2, _LONGEST_PAUSE_MS)
        if isinstance(fault, Denied):
            ms = max(ms, _DENIED_PAUSE_MS)  # somebody must mend it; asking more often helps nobody
        if isinstance(fault, Problem):
            ms = max(ms, fault.retry_seconds * 1000)
        ms = ms // 2 + ms * random.getrandbits(8) // 256
        while ms > 0:  # in steps: a long sleep must not outlive the ticks of a board
            await asyncio.sleep(min(ms, 10000) / 1000)
            ms -= 10000
