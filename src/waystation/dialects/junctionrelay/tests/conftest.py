import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from waystation.dialects.junctionrelay.tests.relay import Relay, relay
from waystation.kernel.db import Database, metadata, sqlite_url

Test = Callable[[Relay], Coroutine[Any, Any, None]]
AtRelay = Callable[..., None]


@pytest.fixture
def at_relay(tmp_path: Path) -> AtRelay:
    """`at_relay(test, **settings)` runs the coroutine function on a fresh home with SQLite."""

    def run(test: Test, **settings: Any) -> None:
        database = Database(sqlite_url(tmp_path / "waystation.db"))
        metadata.create_all(database.engine)
        asyncio.run(_run(test, database, tmp_path, **settings))
        database.close()

    return run


@pytest.fixture
def at_any_relay(database: Database, tmp_path: Path) -> AtRelay:
    """The same on every kind of database, for what is stored and found again."""

    def run(test: Test, **settings: Any) -> None:
        asyncio.run(_run(test, database, tmp_path, **settings))

    return run


async def _run(test: Test, database: Database, folder: Path, **settings: Any) -> None:
    async with relay(database, folder, **settings) as site:
        await test(site)
