"""The HTTP protocol of our server: uvicorn's, with deadlines and caps for clients and hot routes answered at once."""

import asyncio
from collections import deque
from enum import Enum, auto
from functools import partial
from math import inf
from typing import Any, Self

import httptools
import structlog
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from waystation.kernel.door import HeadersTooLarge, TooSlow, Watched
from waystation.kernel.edge import Edge
from waystation.kernel.errors import DomainError, Invalid, TooMany
from waystation.kernel.feature import HotAnswer, HotEndpoint, HotRequest
from waystation.kernel.hot import check_length, refusal, too_large
from waystation.kernel.websocket_guard import WebSocketGuard
from waystation.kernel.zero_copy import FileOnWire, with_files

log = structlog.get_logger(__name__)

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FREE_CHUNK_BYTES = 65_536
CHUNK_BYTES_PER_BODY_BYTE = 8
FIRST_WORD_SECONDS = 1.0


class Phase(Enum):
    """What we expect from the client of a connection."""

    IDLE = auto()  # a request, some time
    HEAD = auto()  # the rest of a request's headers
    BODY = auto()  # the rest of a request's body
    HEARD = auto()  # nothing: the request is whole and not yet answered
    DEAF = auto()  # nothing at all: what still comes is thrown away


class HotExchange:
    """One request on a hot path, from its headers to its answer; or the last answer to a client that is refused."""

    __slots__ = (
        "answer",
        "body",
        "endpoint",
        "expects_continue",
        "guard",
        "headers",
        "is_whole",
        "keep_alive",
        "method",
        "path",
        "query",
    )

    def __init__(self, guard: "HttpGuard", endpoint: HotEndpoint | None, *, keep_alive: bool) -> None:
        self.guard = guard
        self.endpoint = endpoint
        self.keep_alive = keep_alive
        self.method = b""
        self.path = b""
        self.query = b""
        self.headers: dict[bytes, bytes] = {}
        self.body: bytes | bytearray = b""
        self.expects_continue = False
        self.is_whole = False
        self.answer: HotAnswer | None = None

    @classmethod
    def refused(cls, guard: "HttpGuard", fault: DomainError) -> Self:
        exchange = cls(guard, None, keep_alive=False)
        exchange.refuse(fault)
        return exchange

    def refuse(self, fault: DomainError) -> None:
        self.answer, self.is_whole, self.keep_alive = refusal(fault), True, False

    def add(self, part: bytes) -> None:
        if not self.body:
            self.body = part
        elif isinstance(self.body, bytearray):
            self.body += part
        else:
            self.body = bytearray(self.body) + part

    def proceed(self) -> None:
        """Call when it is this exchange's turn, and again when its body is whole."""
        if self.answer is not None:
            self.guard.send_last(self.answer)
        elif self.is_whole and self.endpoint is not None:
            self._ask(self.endpoint)
        elif self.expects_continue:
            self.guard.transport.write(CONTINUE)

    def _ask(self, endpoint: HotEndpoint) -> None:
        guard = self.guard
        request = HotRequest(
            self.method,
            self.path,
            self.headers,
            bytes(self.body),
            self._client_ip(),
            guard.edge.hot.parts,
            is_https=self._is_https(),
            query=self.query,
            is_gone=guard.transport.is_closing,
        )
        task = guard.loop.create_task(guard.edge.hot.answer(endpoint, request))
        guard.hot_tasks.add(task)
        task.add_done_callback(self._answered)

    def _answered(self, task: "asyncio.Task[HotAnswer]") -> None:
        self.guard.hot_tasks.discard(task)
        if task.cancelled():
            self.guard.transport.close()
        else:
            self.guard.send(task.result(), keep_alive=self.keep_alive)

    def _client_ip(self) -> str:
        """The peer, or whom a trusted proxy names last."""
        peer, trusted = self.guard.address, self.guard.limits.trusted_proxies
        if peer not in trusted:
            return peer
        named = [hop.strip() for hop in self.headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")]
        return next((hop for hop in reversed(named) if hop and hop not in trusted), peer)

    def _is_https(self) -> bool:
        """Between the client and a trusted proxy; nobody else's word counts."""
        told = self.headers.get(b"x-forwarded-proto", b"").strip()
        return told == b"https" and self.guard.address in self.guard.limits.trusted_proxies


Exchange = RequestResponseCycle | HotExchange


class HttpGuard(Watched, HttpToolsProtocol):
    """One connection. Requests that come before the last is answered wait for their turn, so answers leave in order.

    `exchange` is being answered now, `waiting` come next, `receiving` is the one whose body still arrives.
    """

    parser: httptools.HttpRequestParser

    def __init__(self, edge: Edge, **given: Any) -> None:
        super().__init__(**given)
        self.edge = edge
        self.limits = edge.limits
        self.hot_tasks: set[asyncio.Task[Any]] = self.tasks
        self.phase = Phase.IDLE
        self.is_fresh = True
        self.exchange: Exchange | None = None
        self.waiting: deque[tuple[Exchange, ASGIApp | None]] = deque()
        self.receiving: Exchange | None = None
        self.sending: FileOnWire | None = None
        self.read_bytes = 0
        self.head_bytes = 0
        self.body_bytes = 0
        self.body_cap = 0
        self.wire_bytes = 0

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    @property
    def write_timeout_seconds(self) -> float:
        return self.limits.write_timeout_seconds

    # The connection.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.due = self.loop.time() + self.limits.header_timeout_seconds
        refused = self.edge.door.enter(self)
        if refused is not None:
            self.phase = Phase.DEAF
            transport.write(self.edge.render(refusal(refused), keep_alive=False))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.edge.door.leave(self)
        self.waiting.clear()
        if isinstance(self.exchange, RequestResponseCycle):
            _disconnect(self.exchange)
        if self.sending is not None:
            self.sending.cut()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.DEAF:
            return
        self.read_bytes = len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except httptools.HttpParserError as fault:
            self._refuse(_reason(fault))
        else:
            self._weigh(len(data))

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client that only sends, then closes its side, still gets its answer on the hot path."""
        hears_on = isinstance(self.exchange, HotExchange) and self.phase is Phase.HEARD and not self.waiting
        if hears_on and self.exchange is not None:
            self.exchange.keep_alive = False
        return hears_on

    def overdue(self, now: float) -> None:
        if self.phase is Phase.BODY and self.flow.read_paused:
            self.due = now + self.limits.body_timeout_seconds  # it is we who do not read
            return
        self.edge.traffic.timed_out += self.phase in (Phase.HEAD, Phase.BODY)
        if self.phase is Phase.HEAD:
            self._refuse(TooSlow("the headers of this request did not come in time"))
        elif self.phase is Phase.BODY:
            self._refuse(TooSlow("the body of this request did not come in time"))
        else:
            self.transport.close()
            self.close_due = now

    def shutdown(self) -> None:
        """The server stops: what was asked is answered, live streams end (browsers open them again by themselves).

        Who has only just connected may have asked already, in bytes that we have not read yet.
        """
        last = self.receiving or (self.waiting[-1][0] if self.waiting else self.exchange)
        if last is None and (self.is_fresh or self.phase is Phase.HEAD):
            self.due = min(self.due, self.loop.time() + FIRST_WORD_SECONDS)
        elif last is None or _is_live_stream(last):
            self.transport.close()
        else:
            last.keep_alive = False

    # The parser's calls.

    def on_message_begin(self) -> None:
        if not self.is_fresh:  # else the time runs since the connection was made
            self.due = self.loop.time() + self.limits.header_timeout_seconds
        self.phase = Phase.HEAD
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self.head_bytes = self.body_bytes = self.wire_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.phase is Phase.HEAD:  # afterwards it is a trailer, which nobody here reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._check_head()
        self.is_fresh = False
        self.phase = Phase.BODY
        self.due = self.loop.time() + self.limits.body_timeout_seconds
        path, _, query = self.url.partition(b"?")
        endpoint = self.edge.hot.find(self.parser.get_method(), path)
        if endpoint is None:
            self._begin_framework_exchange(path)
        else:
            self._begin_hot_exchange(endpoint, path, query)

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if self.body_bytes > self.body_cap:
            raise too_large(self.body_cap)
        now, limits = self.loop.time(), self.limits
        self.due = min(self.due + len(body) / limits.least_body_bytes_per_second, now + limits.body_timeout_seconds)
        if isinstance(self.receiving, HotExchange):
            self.receiving.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        exchange, self.receiving = self.receiving, None
        self.due = inf
        self.phase = Phase.HEARD
        if isinstance(exchange, HotExchange):
            exchange.is_whole = True
            if exchange is self.exchange:
                exchange.proceed()
        elif exchange is not None:
            super().on_message_complete()
            self._rest_when_done()

    # Exchanges.

    def _begin_hot_exchange(self, endpoint: HotEndpoint, path: bytes, query: bytes) -> None:
        keep_alive = self._may_keep_alive() and self.parser.get_http_version() == "1.1"
        exchange = HotExchange(self, endpoint, keep_alive=keep_alive)
        exchange.method, exchange.headers = self.parser.get_method(), dict(self.headers)
        exchange.path, exchange.query = path, query
        exchange.expects_continue = self.expect_100_continue
        self.body_cap = self.edge.hot.max_body_bytes
        check_length(exchange.headers, self.body_cap)
        self._take_turn(exchange)  # refused, it is not what we receive
        self.receiving = exchange

    def _begin_framework_exchange(self, path: bytes) -> None:
        self.body_cap = self.limits.body_bytes(path)
        check_length(dict(self.headers), self.body_cap)
        url, headers, expects_continue = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope, which a hot request never needs
        self.url, self.expect_100_continue = url, expects_continue
        self.headers.extend(headers)
        self.cycle = None  # type: ignore[assignment]  # so that uvicorn leaves the waiting to us
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGIApp) -> None:  # type: ignore[override]
        """Called by uvicorn when it has made the cycle of a request."""
        cycle.keep_alive = cycle.keep_alive and self._may_keep_alive()
        self.receiving = cycle
        self._take_turn(cycle, app)

    def _take_turn(self, exchange: Exchange, app: ASGIApp | None = None) -> None:
        if self.exchange is None:
            self._start(exchange, app)
            return
        if len(self.waiting) >= self.limits.max_pipelined:
            raise TooMany("too many requests at once on one connection; wait for answers")
        self.flow.pause_reading()
        self.waiting.append((exchange, app))

    def _start(self, exchange: Exchange, app: ASGIApp | None) -> None:
        self.exchange = exchange
        if isinstance(exchange, HotExchange):
            exchange.proceed()
        elif app is not None:
            super()._start_asgi_task(exchange, with_files(self, exchange, app))  # type: ignore[arg-type]

    def send(self, answer: HotAnswer, *, keep_alive: bool) -> None:
        """The whole answer of the exchange whose turn it is."""
        if self.transport.is_closing():
            return
        self.edge.traffic.hot_answers += 1
        self.transport.write(self.edge.render(answer, keep_alive=keep_alive))
        if not keep_alive:
            self.transport.close()
        self.on_response_complete()

    def send_last(self, answer: HotAnswer) -> None:
        """Answers a client that may still be sending: closing at once would reset the connection under the answer."""
        if self.transport.is_closing():
            return
        self.transport.write(self.edge.render(answer, keep_alive=False))
        self.transport.write_eof()
        self.due = self.loop.time() + self.limits.linger_seconds

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.edge.traffic.answers += 1
        self.exchange = None
        if self.transport.is_closing():
            return
        if not self.flow.write_paused:
            self.flow.resume_reading()
        if self.waiting:
            self._start(*self.waiting.popleft())
        else:
            self._rest_when_done()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.waiting and not self.transport.is_closing():
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Who does not read answers may not ask more."""
        super().pause_writing()
        self.flow.pause_reading()

    def _rest_when_done(self) -> None:
        if self.phase is Phase.HEARD and self.exchange is None:
            self.phase = Phase.IDLE
            self.due = self.loop.time() + self.limits.idle_timeout_seconds

    def _may_keep_alive(self) -> bool:
        """Not after an upgrade that we did not take: what follows may be of another protocol."""
        return self.parser.should_keep_alive() and not self.parser.should_upgrade() and not self.edge.stopping

    # What goes wrong.

    def _check_head(self) -> None:
        limits = self.limits
        if len(self.headers) > limits.max_headers:
            raise HeadersTooLarge(f"more than {limits.max_headers} headers")
        if self.head_bytes + self.read_bytes <= limits.max_header_bytes:
            return  # whatever part of it was headers
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > limits.max_header_bytes:
            raise HeadersTooLarge(f"the headers are larger than {limits.max_header_bytes:,} bytes")

    def _weigh(self, read_bytes: int) -> None:
        """Counts what was read in the phase that it ended in."""
        if self.phase is Phase.HEAD:
            self.head_bytes += read_bytes
            if self.head_bytes > self.limits.max_header_bytes:
                self._refuse(HeadersTooLarge(f"the headers are larger than {self.limits.max_header_bytes:,} bytes"))
        elif self.phase is Phase.BODY:
            self.wire_bytes += read_bytes
            if self.wire_bytes > FREE_CHUNK_BYTES + CHUNK_BYTES_PER_BODY_BYTE * self.body_bytes:
                self._refuse(Invalid("this body has far more chunk headers than content"))

    def _refuse(self, fault: DomainError) -> None:
        """Says why, after what is still being answered, and hears nothing more from this client."""
        broken, self.receiving = self.receiving, None
        self.phase, self.due = Phase.DEAF, inf
        self.edge.traffic.malformed += isinstance(fault, Invalid)
        if isinstance(broken, HotExchange):
            broken.refuse(fault)
            if broken is self.exchange:
                broken.proceed()
        elif broken is None or self._withdraw(broken):
            self._answer_last(HotExchange.refused(self, fault))

    def _answer_last(self, exchange: HotExchange) -> None:
        if self.exchange is None:
            self._start(exchange, None)
        else:
            self.waiting.append((exchange, None))

    def _withdraw(self, cycle: RequestResponseCycle) -> bool:
        """Ends the app's part in a request that stays a fragment; cuts the client, False, when its answer has begun."""
        if cycle.response_started:
            self.transport.abort()
            return False
        _disconnect(cycle)
        if cycle is self.exchange:
            self.exchange = None
        else:
            self.waiting = deque(entry for entry in self.waiting if entry[0] is not cycle)
        return True

    def _upgrade(self) -> None:
        if not self._should_upgrade():
            if self.phase is not Phase.DEAF:
                self.phase, self.due = Phase.DEAF, inf
        elif self.exchange is not None:
            self._refuse(Invalid("a WebSocket cannot begin before the last answer"))
        else:
            self.edge.door.leave(self)
            self.handle_websocket_upgrade()


def protocols(edge: Edge) -> tuple[Any, Any]:
    """What uvicorn's config takes as `http` and `ws`."""
    return partial(HttpGuard, edge), partial(WebSocketGuard, edge)


def _reason(fault: httptools.HttpParserError) -> DomainError:
    """Our own reason when one of our callbacks raised it, else that the request is not HTTP."""
    if isinstance(fault.__context__, DomainError):
        return fault.__context__
    if isinstance(fault, httptools.HttpParserCallbackError):
        log.info("request not understood", fault=repr(fault.__context__))
    return Invalid("this is not a valid HTTP/1.1 request")


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = True
    cycle.message_event.set()


def _is_live_stream(exchange: Exchange) -> bool:
    """EventSource always asks for its type."""
    if isinstance(exchange, HotExchange):
        return False
    return any(
        name == b"accept" and value.startswith(b"text/event-stream") for name, value in exchange.scope["headers"]
    )
