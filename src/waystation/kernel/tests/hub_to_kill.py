"""A hub's MQTT side as a process of its own, for `kill -9`: it keeps stamps and payloads in a file, fsynced."""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from waystation.kernel.mqtt import MqttMessage
from waystation.kernel.tests.nats_site import embedded, linked


class FileStore:
    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    async def settle(self, messages: Sequence[MqttMessage]) -> Sequence[bool]:
        self._file.writelines(b"%d %d %s\n" % (one.at or 0, one.sequence or 0, one.payload) for one in messages)
        self._file.flush()
        await asyncio.to_thread(os.fsync, self._file.fileno())
        return [True] * len(messages)


async def main(folder: Path, port: int) -> None:
    server = embedded(folder, port)
    await server.start()
    async with linked(server, FileStore(folder / "stored")):  # type: ignore[arg-type]
        sys.stdout.write(f"{server.state().pid}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
