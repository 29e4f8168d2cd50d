"""Fixtures that every folder's tests may ask for, and what all of them share."""

import pytest
from argon2 import PasswordHasher
from hypothesis import settings

from waystation.identity import service

pytest_plugins = ["tests.servers"]

settings.register_profile("waystation", deadline=None)  # no test fails because the machine is busy
settings.load_profile("waystation")


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> None:
    """The same hash with less work, in this process only: tests sign in thousands of times."""
    service.HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    service.NOBODY = service.HASHER.hash("nobody has this password")
