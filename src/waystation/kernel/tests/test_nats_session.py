import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from waystation.kernel.nats_session import Line, caught_up, keep_session
from waystation.kernel.tests.nats_site import PATIENCE_SECONDS, embedded

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def overheard(address: str) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port that leads to the address, and the commands that went there."""
    host, port = address.split(":")
    commands: list[bytes] = []

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_connection(host, int(port))
        back = asyncio.create_task(pipe(from_server, writer, []))
        await pipe(reader, to_server, commands)
        await back

    async with await asyncio.start_server(lead, "127.0.0.1", 0) as leading:
        yield leading.sockets[0].getsockname()[1], commands


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lines: list[bytes]) -> None:
    while line := await reader.readline():
        lines.append(line.split()[0])
        writer.write(line)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_who_has_caught_up_has_asked_nothing_that_the_server_has_not_read(tmp_path: Path) -> None:
    server = embedded(tmp_path, 0)
    await server.start()
    where = urlsplit(server.url() or "")
    asked: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()

    async with overheard(f"{where.hostname}:{where.port}") as (port, commands):

        def found() -> str:
            return f"nats://{where.username}:{where.password}@127.0.0.1:{port}"

        async def ask(line: Line) -> None:
            if not asked.done():
                await line.subscribe("a", cb=nothing)
                await caught_up(line)
                asked.set_result(list(commands))

        keeping = asyncio.create_task(keep_session(found, ask, name="test"))
        async with asyncio.timeout(PATIENCE_SECONDS):
            read = await asked
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
    await server.stop()

    assert b"PING" in read[read.index(b"SUB") :]


async def nothing(_message: object) -> None: ...
