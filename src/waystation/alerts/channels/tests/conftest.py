import pytest

from waystation.alerts.channels.tests import site
from waystation.alerts.channels.tests.site import Site
from waystation.homes.tests import house
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database


@pytest.fixture
def home(database: Database, tmp_path: object) -> Site:
    """A home whose notices may reach this very machine."""
    return site.build(house.build(database, ManualClock(site.NOON)), tmp_path)  # type: ignore[arg-type]
