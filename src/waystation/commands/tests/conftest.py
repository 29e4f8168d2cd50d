import pytest

from waystation.commands.tests.site import Site
from waystation.kernel.db import Database


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)
