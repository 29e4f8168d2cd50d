"""API keys that end soon, and telling their owners in time (TH-11)."""

from waystation.devices.ending.jobs import warn_of_ending_keys
from waystation.devices.ending.model import WARNED_AHEAD, ends_soon

__all__ = ["WARNED_AHEAD", "ends_soon", "warn_of_ending_keys"]
