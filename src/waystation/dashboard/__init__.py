"""Pages that read several features: devices with their values, one device, the system."""

from waystation.dashboard import actions, pages
from waystation.kernel.feature import Feature

feature = Feature(name="dashboard", routes=(pages.router, actions.router))

__all__ = ["feature"]
