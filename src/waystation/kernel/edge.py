"""What all connections of one process share: the hot routes, the door, and how an answer is written."""

from waystation.kernel.door import Door, Limits, Traffic
from waystation.kernel.feature import HotAnswer
from waystation.kernel.hot import STATUS_LINES, Hot, headers_of


class Edge:
    def __init__(self, hot: Hot, limits: Limits) -> None:
        self.hot = hot
        self.limits = limits
        self.traffic = Traffic()
        self.door = Door(limits, self.traffic)
        self.date_line = b""
        self.stopping = False

    def render(self, answer: HotAnswer, *, keep_alive: bool) -> bytes:
        lines = [STATUS_LINES[answer.status], self.date_line]
        for name, value in headers_of(answer):
            lines += (name, b": ", value, b"\r\n")
        if not keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"content-length: %d\r\n\r\n" % len(answer.body), answer.body)
        return b"".join(lines)
