"""Fixtures that every folder's tests may ask for, and what all of them share."""

import os

import pytest
from argon2 import PasswordHasher
from hypothesis import settings

from waystation.identity import service

pytest_plugins = ["tests.servers"]

# No test fails because the machine is busy. The same examples for everybody, so that who breaks nothing sees nothing
# break; `make faults` looks for new ones.
settings.register_profile("waystation", deadline=None, derandomize="WAYSTATION_NEW_EXAMPLES" not in os.environ)
settings.load_profile("waystation")


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> None:
    """The same hash with less work, in this process only: tests sign in thousands of times."""
    service.HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    service.NOBODY = service.HASHER.hash("nobody has this password")
