import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from waystation.kernel.feature import Feature
from waystation.telemetry.tests.house import House, house

Test = Callable[[House], Coroutine[Any, Any, None]]
InHouse = Callable[..., None]


@pytest.fixture
def in_house(tmp_path: Path) -> InHouse:
    """`in_house(test)` runs the coroutine function on a fresh House."""

    def run(test: Test, *features: Feature, **settings: Any) -> None:
        async def whole() -> None:
            async with house(tmp_path, *features, **settings) as home:
                await test(home)

        asyncio.run(whole())

    return run
