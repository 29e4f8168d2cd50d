"""Telling a device something, and knowing when nobody listened."""

from nats.aio.msg import Msg

from waystation.kernel.nats_session import Line, caught_up

NO_RESPONDERS = "503"


class Reach:
    """Of one session. The server says at once when a message that asks for an answer has no subscriber anywhere (ADR-4,
    "no responders"); a device that does subscribe never answers on that subject, so silence is success.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._inbox = line.new_inbox()
        self._told = 0
        self._under_way: dict[str, bool] = {}

    async def open(self) -> None:
        await self._line.subscribe(f"{self._inbox}.*", cb=self._answered)

    async def tell(self, subject: str, body: bytes) -> bool:
        """False when it is certain that nobody has it."""
        self._told += 1
        name = str(self._told)
        self._under_way[name] = True
        try:
            await self._line.publish(subject, body, reply=f"{self._inbox}.{name}")
            await caught_up(self._line)  # by then the server has said that there was nobody, if there was nobody
            return self._under_way[name]
        finally:
            del self._under_way[name]

    async def _answered(self, message: Msg) -> None:
        name = message.subject.rpartition(".")[2]
        if name in self._under_way and (message.headers or {}).get("Status") == NO_RESPONDERS:
            self._under_way[name] = False
