"""Whether this machine's clock has been set by the network, and the bounded wait for it before a service starts."""

import time
from pathlib import Path
from shutil import which

from waystation_agent.sensors import Unreadable
from waystation_agent.sensors.program import run

TIMESYNCD = Path("/run/systemd/timesync/synchronized")
ASK = ("timedatectl", "show", "--property=NTPSynchronized", "--value")
ASK_SECONDS = 5.0
LOOK_SECONDS = 2.0


def is_synchronized() -> bool | None:
    """Return None where nobody can tell, such as in a container."""
    if TIMESYNCD.exists():
        return True
    if which(ASK[0]) is None:
        return None
    try:
        _, said, _ = run(ASK, ASK_SECONDS)
    except Unreadable:
        return None
    return {"yes": True, "no": False}.get(said.strip())


def wait(most_seconds: float) -> bool | None:
    """Wait until the clock is set, where that can be told, and no longer than this (JR-A22)."""
    give_up_at = time.monotonic() + most_seconds
    while (found := is_synchronized()) is False and time.monotonic() < give_up_at:
        time.sleep(min(LOOK_SECONDS, max(0.0, give_up_at - time.monotonic())))
    return found
