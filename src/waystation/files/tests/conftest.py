"""A whole site with one home, for tests of files and packages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.site import standing_site

from waystation.files.tests.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with standing_site(tmp_path) as site:
        yield Shelf.at(site, tmp_path)
