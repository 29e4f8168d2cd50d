"""Words that people give devices, to speak of many at once."""

from waystation.devices.tags.model import check_tag
from waystation.devices.tags.service import by_tag, put, tag, untag
from waystation.devices.tags.store import tags_of, tags_of_home

__all__ = ["by_tag", "check_tag", "put", "tag", "tags_of", "tags_of_home", "untag"]
