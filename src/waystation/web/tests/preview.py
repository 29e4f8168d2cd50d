"""Every page with believable data behind its real content security policy: `python -m waystation.web.tests.preview`."""

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from waystation.web import CONTENT_SECURITY_POLICY, STATIC, STATIC_MOUNT, environment
from waystation.web.tests.samples import PAGES

FEATURES = Path(__file__).parent.parent.parent
MINUTE = 60_000
SILENCE = (20 * MINUTE, 28 * MINUTE)  # the curve has a gap there, counted back from now
LEVELS = {"cpu_percent": 12.0, "memory_percent": 42.0, "disk_percent": 61.0, "cpu_temperature_c": 48.0, "load_1m": 0.4}


class Preview:
    """The pages, a history API and an event stream that a test feeds, cuts and breaks."""

    def __init__(self) -> None:
        self.environment = environment({name: FEATURES / name / "templates" for name in ("dashboard", "identity")})
        self.streams: set[asyncio.Queue[str | None]] = set()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.readings_status = 200
        self.no_readings = False
        self.posted: list[tuple[str, dict[str, str]]] = []
        pages = [Route(path, self.page, methods=["GET"]) for path in PAGES]
        api = [Route("/api/live", self.live), Route("/api/history", self.history)]
        posts = Route("/{path:path}", self.post, methods=["POST"])
        self.app = Starlette(routes=[*pages, *api, Mount(STATIC_MOUNT, StaticFiles(directory=STATIC)), posts])

    async def page(self, request: Request) -> Response:
        template, context = PAGES[request.url.path]
        text = self.environment.get_template(template).render(context())
        return HTMLResponse(
            text, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-store"}
        )

    async def post(self, request: Request) -> Response:
        form = await request.form()
        self.posted.append((request.url.path, {name: str(value) for name, value in form.items()}))
        return HTMLResponse("<!doctype html><html lang=en><title>posted</title><h1>posted</h1>")

    async def history(self, request: Request) -> Response:
        if self.readings_status != 200:
            return JSONResponse({"detail": "broken on purpose"}, self.readings_status)
        series = [self.curve(*name.split(":", 1)) for name in request.query_params.getlist("series")]
        return JSONResponse({"series": series, "bucket": None, "next": None})

    def curve(self, device: str, metric: str) -> dict[str, Any]:
        points = [] if self.no_readings else curve(metric, time.time() * 1000, 60 * MINUTE)
        at, value = [at for at, _ in points], [value for _, value in points]
        named = {"device": device, "metric": metric, "kind": "number", "unit": None, "shift": 0.0}
        return {**named, "at": at, "value": value}

    async def live(self, _request: Request) -> Response:
        self.loop = asyncio.get_running_loop()
        return StreamingResponse(self.events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def events(self) -> AsyncIterator[str]:
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.streams.add(queue)
        try:
            yield "event: beat\ndata: 15\n\n"
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self.streams.discard(queue)

    def push(self, event: str, data: Any) -> None:
        """To every open page, from any thread."""
        self._put(f"event: {event}\ndata: {json.dumps(data)}\n\n")

    def cut(self) -> None:
        """End every stream, as a restart of the hub does."""
        self._put(None)

    def _put(self, event: str | None) -> None:
        if self.loop:
            self.loop.call_soon_threadsafe(self._give, event)

    def _give(self, event: str | None) -> None:
        for queue in self.streams:
            queue.put_nowait(event)


def curve(metric: str, until: float, lasting: float, step: float = 10_000) -> list[tuple[float, float]]:
    level = LEVELS.get(metric, 5000.0)
    ages = (lasting - step * i for i in range(int(lasting / step)))
    return [(until - age, wave(level, until - age)) for age in ages if not SILENCE[0] < age < SILENCE[1]]


def wave(level: float, at: float) -> float:
    return round(level * (1 + 0.2 * math.sin(at / 300_000) + 0.05 * math.sin(at / 17_000)), 2)


async def move(preview: Preview, wait: Callable[[float], Any] = asyncio.sleep) -> None:
    while True:
        at = time.time() * 1000
        values = {metric: wave(level, at) for metric, level in LEVELS.items()}
        preview.push("readings", {"device": "k3x7qa2m", "name": "Workshop", "at": at, "values": values})
        await wait(1)


async def main() -> None:
    preview = Preview()
    server = uvicorn.Server(uvicorn.Config(preview.app, port=8765, ws="none", timeout_graceful_shutdown=1))
    moving = asyncio.create_task(move(preview))
    await server.serve()
    moving.cancel()


if __name__ == "__main__":
    asyncio.run(main())
