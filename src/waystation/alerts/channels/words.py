"""A notice as text: the same words in mails, on phones and in logs."""

from waystation.alerts.channels.model import Sending
from waystation.alerts.notice import Line, Notice
from waystation.web.format import unit

DOTS = {"recovered": "🟢", "digest": "🟠", "away": "🟠", "test": "⚪"}
FIRED = {"info": "🔵", "warning": "🟠", "critical": "🔴"}
MOST_LINES = 50


def dot(notice: Notice) -> str:
    """The colour at a glance, in front of a subject."""
    return FIRED.get(notice.severity, "🟠") if notice.kind == "fired" else DOTS[notice.kind]


def line_text(line: Line) -> str:
    """`Kitchen: temperature is 31.2 °C, above 30`; of a value that is missing nothing is said."""
    what = " ".join(part for part in (line.metric, line.word) if part)
    measured = f"{line.value} {line.unit or unit(line.metric)}".strip()
    value = f" ({measured})" if line.value else ""
    return f"{line.device_name or 'The hub'}: {what}{value}, {line.at:%Y-%m-%d %H:%M} UTC"


def text(sending: Sending) -> str:
    notice = sending.notice
    lines = [line_text(line) for line in notice.lines[:MOST_LINES]]
    left_out = notice.more + max(0, len(notice.lines) - MOST_LINES)
    if left_out:
        lines.append(f"… and {left_out} more.")
    return "\n".join([notice.subject, "", *lines, "", sending.link, ""])
