"""Short ways: the framework's own answers, whether a question is well-formed or not."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from tests.site import lay_down_database

from waystation import app, homes, identity
from waystation.kernel import settings, short
from waystation.kernel.audit import COMMAND_LINE
from waystation.kernel.clock import ManualClock
from waystation.kernel.db import Database
from waystation.kernel.hot import Hot

NOON = datetime(2026, 10, 20, 12, tzinfo=UTC)
QUESTIONS = (
    "/api/history",
    "/api/history?series=aaaaaaaa:t",
    "/api/history?series=aaaaaaaa:t&points=0",
    "/api/history?series=aaaaaaaa:t&points=many&from=-1h",
    "/api/history?device=aaaaaaaa&empty=perhaps",
    "/api/history?device=&from=",
    "/api/history?from=-1x&series=nothing",
    "/api/last-values",
    "/api/last-values/?device=aaaaaaaa&device=b",
    "/api/last-values?unheard=of",
)


@pytest.fixture
def hot(tmp_path: Path) -> Hot:
    chosen, _ = settings.load({"data": tmp_path, "mqtt_port": 0}, {})
    lay_down_database(tmp_path)
    return app.build(chosen, ManualClock(NOON))


async def asked(wanted: Any, question: str, headers: dict[str, str]) -> tuple[int, str | None, bytes]:
    async with AsyncClient(transport=ASGITransport(app=wanted), base_url="http://hub") as client:
        answer = await client.get(question, headers=headers)
    return answer.status_code, answer.headers.get("location", answer.headers.get("content-type")), answer.content


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_short_way_says_what_the_framework_says(hot: Hot, question: str) -> None:
    with hot.parts.get(Database).write() as tx:
        homes.the_home(tx, NOON)
        token = identity.new_token(tx, COMMAND_LINE, NOON, name="me", role="viewer")

    async def compare() -> None:
        for headers in ({"authorization": f"Bearer {token}"}, {}, {"accept": "text/html"}):
            assert await asked(hot, question, headers) == await asked(hot.app, question, headers)

    asyncio.run(compare())


def test_well_formed_questions_take_the_short_way(hot: Hot) -> None:
    ways = [hot.find(b"GET", path) for path in (b"/api/history", b"/api/last-values/")]
    assert all(isinstance(way, short.ShortWay) for way in ways)
    assert hot.find(b"POST", b"/api/history") is None
