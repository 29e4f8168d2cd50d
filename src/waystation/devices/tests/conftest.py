from collections.abc import Iterator
from pathlib import Path

import pytest

from waystation.devices.tests.registry import Registry, registry
from waystation.kernel.db import Database


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Iterator[Registry]:
    with registry(database, tmp_path) as made:
        yield made
