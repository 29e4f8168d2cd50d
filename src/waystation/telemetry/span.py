"""A range of time as people and programs write it."""

import re

from waystation.kernel.clock import micros, parse_iso
from waystation.kernel.errors import Invalid
from waystation.telemetry.model import EARLIEST, LATEST, at_of, first_from, last_until

AGO = re.compile(r"-(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d|w)")
MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def span(first: str, last: str, now: int) -> tuple[int, int]:
    """The range as stamps, both included; `first` and `last` are ISO 8601, epoch milliseconds, or as `-90m` or `now`.

    Nothing for `first` is the beginning of everything.
    """
    start = _time(first, now, "from") if first else at_of(EARLIEST)
    end = _time(last, now, "to")
    if start > end:
        raise Invalid("`from` is later than `to`")
    return first_from(start), last_until(end)


def _time(text: str, now: int, name: str) -> int:
    if text == "now":
        return now
    if (ago := AGO.fullmatch(text)) is not None:
        at = now - round(float(ago[1]) * MILLISECONDS[ago[2]] * 1000)
    elif re.fullmatch(r"-?\d{1,15}(\.\d{1,6})?", text):
        at = round(float(text) * 1000)
    else:
        at = _iso(text, name)
    return max(at_of(EARLIEST), min(at_of(LATEST), at))


def _iso(text: str, name: str) -> int:
    try:
        return micros(
            parse_iso(text.replace(" ", "+") if "T" in text else text)
        )  # a `+` nobody encoded arrives as a blank
    except Invalid as fault:
        raise Invalid(f"`{name}`: {fault.sentence}; epoch milliseconds and -1h are understood too") from fault
