"""Takes a sample and puts it on disk, with a time if one is known."""

import math

from waystation_agent.logs import LOG, facts
from waystation_agent.sensors import Source, Value, Values
from waystation_agent.spool import Spool
from waystation_agent.timekeeper import Timekeeper


class Sampler:
    def __init__(self, source: Source, spool: Spool, timekeeper: Timekeeper) -> None:
        self._source = source
        self._spool = spool
        self._timekeeper = timekeeper

    def take(self) -> None:
        values = finite(self._source()) | {"spool_dropped_total": self._spool.count("dropped_total")}
        ticks = self._timekeeper.ticks
        monotonic_us = ticks.monotonic_us()
        clock = self._timekeeper.observe(self._spool.newest_us())
        if clock.offset_us is None:
            self._spool.hold(values, ticks.boot, monotonic_us)
            LOG.debug("sample held until the time is known")
            return
        if self._spool.has_held():
            dated, lost = self._spool.date_held(clock, ticks.boot)
            LOG.info("held samples dated %s", facts(samples=dated, given_up=lost))
        self._spool.append(values, clock, monotonic_us)


def finite(values: Values) -> dict[str, Value]:
    """Leave out what is no number: JSON has no word for it, and a hub refuses it."""
    return {metric: value for metric, value in values.items() if isinstance(value, str) or math.isfinite(value)}
