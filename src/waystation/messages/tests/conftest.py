import pytest

from waystation.kernel.db import Database
from waystation.messages.tests.house import House


@pytest.fixture
def house(database: Database) -> House:
    return House(database)
