"""A stand-in for the hub's single-reading path: the real edge and writer over one SQLite table, nothing else."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from fastapi import FastAPI

from waystation.kernel import faults
from waystation.kernel.clock import now_micros
from waystation.kernel.db import Database, Tx, metadata, sqlite_url
from waystation.kernel.door import Limits
from waystation.kernel.errors import Unauthenticated
from waystation.kernel.feature import HotAnswer, HotRequest, HotRoute
from waystation.kernel.hot import Hot
from waystation.kernel.parts import Parts
from waystation.kernel.server import serve_here
from waystation.kernel.sockets import listen
from waystation.kernel.writer import Writer

KEY = b"Device bench:secret"
TAIL = sa.Table(
    "bench_tail",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("series", sa.Integer, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("value", sa.Float, nullable=False),
)
INSERT = "insert into bench_tail (series, at, value) values (?, ?, ?)"


class Body(msgspec.Struct):
    values: dict[str, float]
    at: int | None = None


DECODER = msgspec.json.Decoder(Body)


def store(tx: Tx, rows: Sequence[Any]) -> None:
    tx.connection.exec_driver_sql(INSERT, [row for group in rows for row in group])


async def ingest(request: HotRequest) -> HotAnswer:
    if request.headers.get(b"authorization") != KEY:
        raise Unauthenticated("Missing or invalid Authorization header")
    body = DECODER.decode(request.body)
    at = body.at or now_micros()
    rows = [(1, at, value) for value in body.values.values()]
    await request.parts.get(Writer).put(rows, len(rows))
    return HotAnswer(200, b'{"stored": %d}' % len(rows))


def build(folder: Path) -> Hot:
    database = Database(sqlite_url(folder / "bench.db"))
    metadata.create_all(database.engine, tables=[TAIL])
    writer = Writer(database, store)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        writer.start()
        yield
        await asyncio.to_thread(writer.close)
        database.close()

    app = FastAPI(lifespan=lifespan)
    faults.install(app)

    @app.get("/count")
    def count() -> dict[str, int]:
        with database.read() as tx:
            return {"count": tx.scalar(sa.select(sa.func.count()).select_from(TAIL))}

    return Hot(app, [HotRoute("POST", "/api/readings", ingest, "device")], Parts(writer), 1_048_576)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        sockets = listen("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0)
        announce = f"listening {sockets[0].getsockname()[1]}"
        sys.exit(serve_here(build(Path(folder)), Limits(), sockets, on_ready=lambda: print(announce, flush=True)))
