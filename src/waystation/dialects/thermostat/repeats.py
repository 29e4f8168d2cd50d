"""Posts that a sender may send again without storing them twice, by an `Idempotency-Key` of its own (TH-12).

The key's first post is given its arrival before it is stored, in a row of its own. Whoever repeats it stores the sample
under that arrival once more, and of equal stamps the first stays: so neither a crash between the two nor two repeats at
once make a second sample, and every answer is the first one's.
"""

import asyncio
from datetime import datetime, timedelta

from waystation.devices import CallingDevice
from waystation.dialects.thermostat import store
from waystation.kernel.clock import Clock, micros
from waystation.kernel.db import Database, Tx
from waystation.kernel.errors import Conflict, Invalid
from waystation.kernel.feature import HotRequest
from waystation.kernel.secrets import digest
from waystation.telemetry import Queued

HEADER = b"idempotency-key"
LONGEST = 128
KEPT_FOR = timedelta(days=2)


async def place(request: HotRequest, device: CallingDevice) -> Queued | None:
    """Where the post belongs for good; None for one without a key, which is a post of its own whatever it says."""
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not key or len(key) > LONGEST:
        raise Invalid(f"an Idempotency-Key has 1 to {LONGEST} characters")
    return await asyncio.to_thread(_kept, request, device, key)


def _kept(request: HotRequest, device: CallingDevice, key: bytes) -> Queued:
    proof, body = digest(key), digest(request.body)
    now = micros(request.parts.get(Clock).now())
    with request.parts.get(Database).write() as tx:
        kept = store.keep_post(tx, device.id, proof, body, now=now)
    if kept.body != body:
        raise Conflict("this Idempotency-Key was used for another body; make a new one for every sample")
    return Queued(kept.at, proof[0])


def forget_posts(tx: Tx, now: datetime) -> int:
    return store.forget_posts(tx, micros(now - KEPT_FOR))
