"""The Arduino library by itself, on this machine, under the address and undefined-behaviour sanitizers."""

import pytest
from firmware.conformance.arduino import build

pytestmark = pytest.mark.servers  # a compiler


def test_units_and_lives_with_the_power_cut_at_every_byte() -> None:
    build("test")
