"""What a handler's parameters are found from, and who may call; commands load this without the web framework."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from starlette.requests import HTTPConnection, Request

from waystation.kernel import db
from waystation.kernel.parts import Parts

Connection = HTTPConnection  # a request, or a WebSocket that is not accepted yet
READING = frozenset({"GET", "HEAD", "OPTIONS"})


def wants_html(request: Request) -> bool:
    return request.headers.get("accept", "").startswith(("text/html", "application/xhtml"))


@dataclass(frozen=True, slots=True)
class Call:
    """What a parameter may be found from: the request, its transaction and its time."""

    tx: db.Tx
    request: Request
    now: datetime
    only_reads: bool = False

    @property
    def parts(self) -> Parts:
        return self.request.app.state.parts

    @property
    def ip(self) -> str | None:
        return self.request.client.host if self.request.client else None

    @contextmanager
    def writing(self) -> Generator[db.Tx]:
        """This transaction when it may write, else a short one of its own."""
        if not self.only_reads and self.request.method not in READING:
            yield self.tx
            return
        with self.parts.get(db.Database).write() as tx:
            yield tx


@dataclass(frozen=True, slots=True)
class Within:
    """Marks a parameter found inside the request's transaction. `who` says whom it admits, for the access table.

    `find_ahead` finds the same on the event loop, without a transaction of the request, for async handlers.
    """

    find: Callable[[Call], Any]
    who: str | None = None
    find_ahead: Callable[[Connection], Awaitable[Any]] | None = None


Tx = Annotated[db.Tx, Within(lambda call: call.tx)]
Now = Annotated[datetime, Within(lambda call: call.now)]


def part(kind: type[Any]) -> Within:
    """`Annotated[Ingest, part(Ingest)]`: a long-lived part of this process."""
    return Within(lambda call: call.parts.get(kind))
