import pytest

from waystation.homes.tests import house as model_house
from waystation.homes.tests.house import House
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database


@pytest.fixture
def house(database: Database) -> House:
    return model_house.build(database, ManualClock())
