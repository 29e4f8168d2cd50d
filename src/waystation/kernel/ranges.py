"""Which part of what is kept a client asks for: Range, If-Range and If-None-Match (RFC 9110, 13 and 14)."""

import re
from typing import NamedTuple

ONE_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*")


class Span(NamedTuple):
    """So many bytes from `start` on."""

    start: int
    length: int


def span(asked: str, size: int) -> Span | None:
    """None when all of it is meant: no range, several (which a server may answer so), or what we do not understand.
    A length of 0 when there is nothing there: 416.
    """
    match = ONE_RANGE.fullmatch(asked.strip().lower())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        length = min(int(suffix), size)
        return Span(size - length, length)
    start, end = int(first), size - 1 if last is None else min(int(last), size - 1)
    if last is not None and int(last) < start:
        return None  # not a range at all (14.1.1)
    return Span(start, max(0, end - start + 1))


def is_named(if_none_match: str, etag: str) -> bool:
    """Whether one of the tags is this one; a weak comparison, as for caches."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return if_none_match.strip() == "*" or etag in tags


def still_holds(if_range: str, etag: str) -> bool:
    """Whether Range counts. A date never does: what we keep is known by its content."""
    return not if_range.strip() or if_range.strip() == etag
