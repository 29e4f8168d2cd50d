"""What a tag may be."""

import re
import unicodedata

from waystation.kernel.errors import Invalid

TAG = re.compile(r"[\w.-]{1,32}")
MOST_TAGS = 32


def check_tag(tag: str) -> str:
    """As it is stored: one word in lower case, whatever the alphabet."""
    tag = unicodedata.normalize("NFC", tag.strip().casefold())
    if not TAG.fullmatch(tag):
        raise Invalid("a tag is one word of at most 32 letters, digits, _ . -")
    return tag
