"""How a run looks: a live table on a terminal, a line at the end for everybody."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from waystation.operation.simulate.tally import Tally

LOOK_SECONDS = 0.5
PACE_SECONDS = 5.0


class Pace:
    """Acknowledgements a second over the last few seconds."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, int]] = []

    def now(self, count: int) -> float:
        at = time.monotonic()
        self._seen = [(when, seen) for when, seen in self._seen if when > at - PACE_SECONDS] + [(at, count)]
        (first_at, first), (last_at, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_at - first_at) if last_at > first_at else 0.0


@asynccontextmanager
async def shown(tally: Tally, *, live: bool) -> AsyncGenerator[None]:
    """While the block lasts; nothing when nobody looks."""
    if not live or not sys.stderr.isatty():
        yield
        return
    with Live(console=Console(stderr=True), auto_refresh=False) as screen:
        drawing = asyncio.create_task(_draw(screen, tally))
        try:
            yield
        finally:
            drawing.cancel()


async def _draw(screen: Live, tally: Tally) -> None:
    pace = Pace()
    while True:
        screen.update(_table(tally, pace.now(tally.acknowledged)), refresh=True)
        await asyncio.sleep(LOOK_SECONDS)


def _table(tally: Tally, rate: float) -> Group:
    table = Table.grid(padding=(0, 3))
    cells = {
        "online": f"{tally.online:,}/{tally.devices:,}",
        "sent": f"{tally.sent:,}",
        "acknowledged": f"{tally.acknowledged:,}",
        "refused": f"{tally.refused:,}",
        "again": f"{tally.retried:,}",
        "readings/s": f"{rate:,.1f}",
        "p50": _ms(tally.latencies.quantile(0.5)),
        "p99": _ms(tally.latencies.quantile(0.99)),
    }
    for _ in cells:
        table.add_column(justify="right")
    table.add_row(*cells, style="bold")
    table.add_row(*cells.values())
    return Group(table, tally.last_fault[:100])


def facts(tally: Tally, seconds: float) -> dict[str, Any]:
    """For machines."""
    fast, slow = tally.latencies.quantile(0.5), tally.latencies.quantile(0.99)
    return {
        "devices": tally.devices,
        "by_mqtt": tally.by_mqtt,
        "seconds": round(seconds, 2),
        "sent": tally.sent,
        "acknowledged": tally.acknowledged,
        "values": tally.values,
        "refused": tally.refused,
        "retried": tally.retried,
        "late": tally.late,
        "unanswered": tally.unanswered,
        "readings_per_second": round(tally.acknowledged / seconds, 2) if seconds else 0.0,
        "p50_ms": None if fast is None else round(fast * 1000, 2),
        "p99_ms": None if slow is None else round(slow * 1000, 2),
        "last_fault": tally.last_fault,
    }


def summary(tally: Tally, seconds: float) -> str:
    """For people."""
    fast, slow = (_ms(tally.latencies.quantile(share)) for share in (0.5, 0.99))
    lines = [
        f"{tally.acknowledged:,} of {tally.sent:,} readings ({tally.values:,} values) acknowledged",
        f"by {tally.devices:,} devices, {tally.by_mqtt:,} of them by MQTT",
        f"in {seconds:.1f} s: {tally.acknowledged / max(seconds, 0.001):,.1f} a second",
        f"half of them within {fast}, 99 of 100 within {slow}",
    ]
    if tally.refused or tally.retried or tally.late or tally.unanswered:
        lines.append(
            f"{tally.refused:,} refused, {tally.retried:,} sent again, {tally.late:,} left out because the one before "
            f"took too long, {tally.unanswered:,} without an answer at the end"
        )
    if tally.last_fault:
        lines.append(f"last fault: {tally.last_fault}")
    return "\n".join(lines)


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:,.1f} ms"
