"""The Smart Home contract's accounts and homes: what its app logs in with and shares."""

from waystation.dialects.smarthome.accounts import api as accounts
from waystation.dialects.smarthome.sharing import api as sharing
from waystation.kernel.feature import Feature

feature = Feature(name="smarthome", routes=(accounts.router, sharing.router))

__all__ = ["feature"]
