from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.site import Site, standing_site

from waystation.dashboard.boards.tests.lookers import Lookers


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as standing:
        yield standing


@pytest.fixture
def at(site: Site) -> Lookers:
    return Lookers.of(site)
