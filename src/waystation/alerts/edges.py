"""What runs as long as the process does: the evaluator, woken by every commit of readings."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from waystation.alerts.evaluator import Evaluator
from waystation.devices import CallingDevice
from waystation.kernel.bus import Bus
from waystation.kernel.clock import Clock
from waystation.kernel.db import Database
from waystation.kernel.jobs import Sweeper
from waystation.kernel.parts import Parts
from waystation.telemetry import Ingest

REFUSED = "alerts.refused"


@asynccontextmanager
async def watch_readings(parts: Parts) -> AsyncGenerator[None]:
    """One process of a site evaluates: the one that owns the sweeps, if any does. All tell it of refused bodies."""
    bus, sweeper = parts.get(Bus), parts.get(Sweeper) if parts.has(Sweeper) else None
    evaluator = Evaluator(parts.get(Database), parts.get(Clock), may_run=lambda: sweeper is None or sweeper.owns)

    def on_refusal(device: CallingDevice) -> None:
        bus.publish(REFUSED, str(device.id).encode())

    ingest = parts.get(Ingest)
    ingest.after_commit.append(evaluator.nudge)
    ingest.after_refusal.append(on_refusal)
    unsubscribe = bus.subscribe(REFUSED, lambda _subject, body: evaluator.refused(int(body)))
    evaluator.start()
    try:
        yield
    finally:
        unsubscribe()
        ingest.after_commit.remove(evaluator.nudge)
        ingest.after_refusal.remove(on_refusal)
        await asyncio.to_thread(evaluator.close)
