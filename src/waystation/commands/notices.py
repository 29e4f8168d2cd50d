"""What processes tell each other of commands, as soon as it is committed.

`commands.<home>.<device key or batch>` says that something waits: every poll and socket of those devices looks again.
It is a row of the outbox as well (sending.py), for when this process dies first. `command-moved.<home>.<device key>` is
for pages that watch: one of those that is lost costs a look.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

import msgspec

from waystation.commands.events import CommandMoved, CommandQueued
from waystation.kernel.bus import Bus
from waystation.kernel.db import Listener, Tx

QUEUED = "commands.*.*"
MOVED = "command-moved"


class Word(msgspec.Struct):
    """The body of a notice that something waits."""

    device_ids: list[int]


read_word = msgspec.json.Decoder(Word).decode
encode = msgspec.json.Encoder().encode


def on_the_bus(bus: Bus) -> Mapping[type, Listener]:
    """Listeners for a process that has a bus."""

    def queued(tx: Tx, told: CommandQueued, _now: datetime) -> None:
        body = encode(Word(list(told.device_ids)))
        tx.after_commit(partial(bus.publish, f"commands.{told.home_id}.now", body))

    def moved(tx: Tx, told: CommandMoved, _now: datetime) -> None:
        one = told.command
        body = encode({"id": one.uid, "state": one.state, "attempt": one.attempt, "batch": one.batch_uid})
        tx.after_commit(partial(bus.publish, f"{MOVED}.{one.home_id}.{one.device_key}", body))

    return {CommandQueued: queued, CommandMoved: moved}
