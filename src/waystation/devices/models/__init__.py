"""Kinds of hardware, and what each can be asked to do."""

from waystation.devices.models.model import DeviceModel
from waystation.devices.models.service import check, find, forget, put
from waystation.devices.models.store import all_of, of_model

__all__ = ["DeviceModel", "all_of", "check", "find", "forget", "of_model", "put"]
