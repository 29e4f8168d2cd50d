"""What the hub asks of the device, each done once.

`serve` holds a long poll open, finds the function of the command's name, and runs it. A function takes the
parameters (a dict or None), is plain or async, and returns what goes back as the result; raising `Failed` or any
other error is the outcome `failed`. While it runs for long, the hub is told `running`, so that its lease is
renewed.

The journal has the id before the function begins and the outcome before the hub hears it. So a command that is
handed out again is answered from the journal, and an outcome that was not heard is said again. After a cut in the
middle of a function nobody knows how far it got: the outcome is `failed`, unless the function was added with
`again=True` (it may be done twice). `reboot` is the other way round: the next start *is* its success.
"""

import asyncio
import json

from .errors import Refused, WaystationError
from .journal import Journal

_MOST_RESULT_BYTES = 1024
_MOST_COMMAND_BYTES = 8192
_NOBODY = (None, False)


class Failed(Exception):
    """A function's own word that it did not work; its argument is the result."""


class Commands:
    """Handlers by name. `reboot` is a function that does not return, such as `machine.reset`."""

    def __init__(self, client, reboot=None, path="commands", *, wait_seconds=50):
        self._client = client
        self._journal = Journal(path)
        self._by_name = {}
        self._reboot = reboot
        self._wait_seconds = wait_seconds
        self._has_settled = False

    def on(self, name, function, *, again=False):
        """`again`: it does no harm to carry it out twice."""
        self._by_name[name] = (function, again)

    async def serve(self):
        """One round: say what is unsaid, take the next command and carry it out. True when there was one."""
        await self.settle()
        path = "/api/commands/next?wait=%d" % self._wait_seconds
        seconds = self._wait_seconds + self._client.timeout_seconds
        answer = await self._client.call("GET", path, most_bytes=_MOST_COMMAND_BYTES, timeout_seconds=seconds)
        if answer["command"] is None:
            return False
        await self._carry_out(answer["command"])
        await self.settle()
        return True

    async def settle(self):
        """Tells the hub every outcome that it has not heard."""
        if not self._has_settled:
            self._settle_cut()
        entry = self._journal.first_untold()
        while entry is not None:
            await self._tell(entry["id"], entry["state"], entry["result"])
            self._journal.told(entry["id"])
            entry = self._journal.first_untold()

    def _settle_cut(self):
        """Once per start: what was begun and has no outcome was cut by the restart."""
        self._has_settled = True
        for entry in self._journal.cut():
            if entry["begun"] == "reboot":
                self._journal.end(entry["id"], "done", None)
            elif self._by_name.get(entry["begun"], _NOBODY)[1]:
                self._journal.told(entry["id"])  # the hub will hand it out again
            else:
                self._journal.end(entry["id"], "failed", "the device restarted while it ran")

    async def _carry_out(self, command):
        name = command["name"]
        entry = self._journal.find(command["id"])
        if entry is not None and "state" in entry:
            await self._tell(entry["id"], entry["state"], entry["result"])  # handed out again: it was not heard
        elif name == "reboot" and self._reboot is not None:
            self._journal.begin(command["id"], name)
            self._reboot()
            self._journal.end(command["id"], "failed", "the device did not restart")
        elif name not in self._by_name:
            await self._tell(command["id"], "rejected", "this device does not know %s" % name)
        else:
            self._journal.begin(command["id"], name)
            state, result = await self._run(command, self._by_name[name][0])
            if len(json.dumps(result)) > _MOST_RESULT_BYTES:
                result = "the result is longer than %d bytes" % _MOST_RESULT_BYTES
            self._journal.end(command["id"], state, result)

    async def _run(self, command, function):
        """State and result; the lease is renewed while it takes."""
        outcome, ended = [], asyncio.Event()
        task = asyncio.create_task(_into(outcome, ended, function, command["parameters"]))
        try:
            while not outcome:
                try:
                    await asyncio.wait_for(ended.wait(), command["lease_seconds"] // 2 or 1)
                except asyncio.TimeoutError:
                    await self._renew(command["id"])
        finally:
            task.cancel()
        return outcome

    async def _renew(self, id):
        try:
            await self._tell(id, "running", None)
        except WaystationError:
            pass  # the next one, or the outcome itself, says it as well

    async def _tell(self, id, state, result):
        outcome = {"id": id, "state": state}
        if result is not None:
            outcome["result"] = result
        try:
            await self._client.call("POST", "/api/commands/outcome", outcome)
        except Refused:
            pass  # it expired or was cancelled meanwhile; what came late is kept by the hub


async def _into(outcome, ended, function, parameters):
    try:
        result = function(parameters)
        if hasattr(result, "send"):
            result = await result
        outcome.extend(("done", result))
    except Failed as fault:
        outcome.extend(("failed", fault.args[0] if fault.args else None))
    except Exception as fault:  # noqa: BLE001  whatever a function does wrong is its outcome
        outcome.extend(("failed", repr(fault)[:200]))
    ended.set()
