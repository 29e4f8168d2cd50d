"""Log lines: noted in flash first, like readings, and folded by the hub where they repeat.

What is less than `least` is not noted at all. A line is cut after 512 characters: flash is small.
"""

import json

from .spool import Spool

SEVERITIES = ("debug", "info", "warning", "error", "critical")
_PATH = "/api/messages"
_MOST_CHARACTERS = 512


class Messages(Spool):
    """As the spool, in a folder of its own."""

    def __init__(self, clock, folder="messages", *, least="info", most_bytes=8192, **bounds):
        super().__init__(folder, clock, most_bytes=most_bytes, **bounds)
        self._least = SEVERITIES.index(least)

    def log(self, content, severity="info", type="log"):
        if SEVERITIES.index(severity) < self._least:
            return
        line = {"severity": severity, "type": type, "content": content[:_MOST_CHARACTERS]}
        self.append(json.dumps(line)[1:-1])

    async def send(self, client):
        """All that waits; returns how many lines the hub took."""
        return await self.deliver(client, _PATH)
