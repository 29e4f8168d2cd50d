"""Lines from the outbox to the hub: there once, in their order and with the time they were said."""

import json

from waystation_agent.caller import Caller, Later
from waystation_agent.clock import SANE_FROM_US
from waystation_agent.delivery import ON_WITH_IT, UNPAIRED, Pause
from waystation_agent.logs import LOG, STAYS_HERE, facts
from waystation_agent.messages.outbox import Dated, Outbox, Said
from waystation_agent.timekeeper import Timekeeper

LOOK_SECONDS = 2.0
"""How often the agent looks for what others have said."""
MOST_LINES = 200
OK = range(200, 300)


class Sending:
    def __init__(self, outbox: Outbox, caller: Caller, timekeeper: Timekeeper) -> None:
        self._outbox = outbox
        self._caller = caller
        self._timekeeper = timekeeper
        self._most = MOST_LINES

    def close(self) -> None:
        self._caller.close()
        self._outbox.close()

    def step(self) -> Pause:
        """Send some, and return what to wait for before the next step."""
        if not self._caller.is_native:
            return UNPAIRED
        if not self._timekeeper.is_known or not self._outbox.waiting():
            return Pause(LOOK_SECONDS)
        try:
            return self._send(self._outbox.oldest(self._most, self._time_us))
        except Later as later:
            return self._caller.pause(later)

    def _send(self, lines: list[Dated]) -> Pause:
        body = json.dumps([line.wire() for line in lines], separators=(",", ":")).encode()
        answer = self._caller.call("POST", "/api/messages", body, {"Content-Type": "application/json"})
        if answer.status not in OK and len(lines) > 1:
            self._most = 1  # the hub refuses all for the sake of one
            return ON_WITH_IT
        if answer.status not in OK:
            LOG.warning("hub refused a message %s", facts(reason=answer.problem()), extra=STAYS_HERE)
        self._outbox.delivered(lines)
        self._most = min(MOST_LINES, self._most * 2)
        return ON_WITH_IT

    def _time_us(self, said: Said) -> int:
        """When that was. Of an earlier boot only the wall clock can tell, which may never have been set in it."""
        now_us = self._timekeeper.now_us()
        if said.boot == self._timekeeper.ticks.boot:
            return self._timekeeper.time_us(said.monotonic_us)
        return min(said.wall_us, now_us) if said.wall_us >= SANE_FROM_US else now_us
