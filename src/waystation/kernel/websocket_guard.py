"""WebSockets of our server: uvicorn's, counted at the door."""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from waystation.kernel.door import Watched
from waystation.kernel.edge import Edge


class WebSocketGuard(Watched, WebSocketsSansIOProtocol):
    """A WebSocket: uvicorn's, counted at the door, cut when its client does not read. Pings find the dead ones."""

    def __init__(self, edge: Edge, **given: Any) -> None:
        super().__init__(**given)
        self.edge = edge
        self.limits = edge.limits

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.edge.door.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.edge.door.leave(self)
        super().connection_lost(exc)
