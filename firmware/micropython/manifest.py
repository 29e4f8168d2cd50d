"""Freezes the client into a firmware image: `make BOARD=… FROZEN_MANIFEST=…/firmware/micropython/manifest.py`."""

include("$(PORT_DIR)/boards/manifest.py")  # noqa: F821  the names that MicroPython's build gives to a manifest
package("waystation")  # noqa: F821
