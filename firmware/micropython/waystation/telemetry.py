"""Readings: noted in flash first, sent when there is a hub, kept in the order of their times.

`record` returns when the reading is in flash; from then on it reaches the hub once, whatever happens to power and
link, unless the spool is full: then the oldest give way and are counted in `dropped`.
"""

import json

from .spool import Spool

_PATH = "/api/readings"


class Telemetry(Spool):
    """As the spool, in a folder of its own; `values` are numbers, booleans and texts by metric."""

    def __init__(self, clock, folder="readings", **bounds):
        super().__init__(folder, clock, **bounds)

    def record(self, values):
        """Numbers that are none (NaN, infinite) and None are left out; a reading without values is no reading."""
        sound = {metric: value for metric, value in values.items() if _is_value(value)}
        if sound:
            self.append('"values":' + json.dumps(sound))

    async def send(self, client):
        """All that waits; returns how many readings the hub took."""
        return await self.deliver(client, _PATH)


def _is_value(value):
    return value is not None and not (isinstance(value, float) and value - value != 0.0)
