import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from waystation.kernel.db import Database, metadata, sqlite_url
from waystation.kernel.feature import Feature
from waystation.telemetry.tests.house import House, house

Test = Callable[[House], Coroutine[Any, Any, None]]
InHouse = Callable[..., None]


@pytest.fixture
def in_house(tmp_path: Path) -> InHouse:
    """`in_house(test, *features, **settings)` runs the coroutine function on a fresh House with SQLite."""

    def run(test: Test, *features: Feature, **settings: Any) -> None:
        database = Database(sqlite_url(tmp_path / "waystation.db"))
        metadata.create_all(database.engine)
        _run(test, database, tmp_path, *features, **settings)
        database.close()

    return run


@pytest.fixture
def in_any_house(database: Database, tmp_path: Path) -> InHouse:
    """The same on every kind of database, for tests of what is stored and found again."""

    def run(test: Test, *features: Feature, **settings: Any) -> None:
        _run(test, database, tmp_path, *features, **settings)

    return run


def _run(test: Test, database: Database, folder: Path, *features: Feature, **settings: Any) -> None:
    async def whole() -> None:
        async with house(database, folder, *features, **settings) as home:
            await test(home)

    asyncio.run(whole())
