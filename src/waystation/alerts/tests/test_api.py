"""Rules and incidents over the API: viewers see, users acknowledge, admins manage; bad input gets one sentence."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from waystation import alerts
from waystation.alerts.evaluator import Evaluator
from waystation.identity import new_token
from waystation.kernel.clock import micros
from waystation.kernel.db import Database
from waystation.kernel.feature import Feature
from waystation.telemetry.tests.house import OWNER, House, as_device, house

RULE: dict[str, Any] = {"name": "Too hot", "metric": "temp", "when": {"kind": "above", "threshold": 30, "clear": 28}}
FEATURE = Feature(name="alerts", routes=alerts.feature.routes[:1])
Journey = Callable[[House], Coroutine[Any, Any, None]]


def in_house(test: Journey, database: Database, folder: Path) -> None:
    async def whole() -> None:
        async with house(database, folder, FEATURE) as home:
            await test(home)

    asyncio.run(whole())


def token(home: House, role: str) -> dict[str, str]:
    with home.database.write() as tx:
        made = new_token(tx, OWNER, home.clock.now(), name=role, role=role)
    return {"authorization": f"Bearer {made}"}


def test_a_rule_is_made_fires_is_acknowledged_and_exported(database: Database, tmp_path: Path) -> None:
    async def journey(home: House) -> None:
        viewer, user = token(home, "viewer"), token(home, "user")
        assert (await home.client.post("/api/alerts/rules", json=RULE, headers=user)).status_code == 403
        made = await home.client.post("/api/alerts/rules", json=RULE, headers=home.owner)
        assert (made.status_code, made.json()["text"]) == (201, "temp at or above 30 (until below 28)")
        device = home.add_device()
        evaluator = Evaluator(home.database, home.clock)
        reading = [{"at": micros(home.clock.now()) / 1000 + 1000, "values": {"temp": 31}}]
        sent = await home.client.post("/api/readings", json=reading, headers=as_device(device))
        assert sent.status_code == 200, sent.text
        home.clock.turn(1)
        evaluator.step()
        (found,) = (await home.client.get("/api/alerts/incidents?state=open", headers=viewer)).json()["incidents"]
        assert (found["value"], found["threshold"], found["evidence"][0]["value"]) == ("31", "30", 31.0)
        ack = f"/api/alerts/incidents/{found['uid']}/ack"
        assert (await home.client.post(ack, json={"note": "hi"}, headers=viewer)).status_code == 403
        assert (await home.client.post(ack, json={"note": "hi"}, headers=user)).json()["note"] == "hi"
        text = (await home.client.get("/api/alerts/incidents/export", headers=viewer)).text
        assert text.splitlines()[1].startswith(f"{found['uid']},Too hot,")
        lines = (await home.client.get("/api/alerts/incidents/export?format=ndjson", headers=viewer)).text
        assert lines.count("\n") == 1
        one = f"/api/alerts/rules/{made.json()['uid']}"
        changed = await home.client.patch(one, json={"is_enabled": False}, headers=home.owner)
        assert changed.json()["is_enabled"] is False
        until = await home.client.patch(one, json={"muted_until": "2026-01-02T00:00:00Z"}, headers=home.owner)
        assert until.json()["muted_until"] == "2026-01-02T00:00:00Z"
        tried = {"rule": RULE, "days": 1}
        would = await home.client.post("/api/alerts/rules/test", json=tried, headers=user)
        assert would.json()["readings"] == 1, would.text
        assert (await home.client.delete(one, headers=home.owner)).status_code == 200
        assert (await home.client.get(one, headers=viewer)).status_code == 404
        assert (await home.client.get(one, headers=home.stranger)).status_code == 401

    in_house(journey, database, tmp_path)


def test_incidents_come_in_pages(database: Database, tmp_path: Path) -> None:
    async def journey(home: House) -> None:
        await home.client.post("/api/alerts/rules", json={**RULE, "cooldown_seconds": 0}, headers=home.owner)
        device = home.add_device()
        evaluator = Evaluator(home.database, home.clock)
        for value in (31, 20, 31, 20, 31):
            home.clock.turn(60)
            reading = [{"at": micros(home.clock.now()) / 1000, "values": {"temp": value}}]
            await home.client.post("/api/readings", json=reading, headers=as_device(device))
            evaluator.step()
        first = (await home.client.get("/api/alerts/incidents?limit=2", headers=home.owner)).json()
        rest = f"/api/alerts/incidents?limit=2&before={first['next']}"
        second = (await home.client.get(rest, headers=home.owner)).json()
        opened = [one["opened_at"] for page in (first, second) for one in page["incidents"]]
        assert len(opened) == 3
        assert opened == sorted(opened, reverse=True)
        assert second["next"] is None

    in_house(journey, database, tmp_path)


WRONG: tuple[dict[str, Any], ...] = (
    {},
    {"name": ""},
    {"name": "x" * 1_000_000},
    {"metric": ""},
    {"metric": "a\x00b"},
    {"when": {"kind": "above"}},
    {"when": {"kind": "sideways", "threshold": 1}},
    {"when": {"kind": "above", "threshold": "NaN"}},
    {"when": {"kind": "above", "threshold": 30, "clear": 31}},
    {"when": {"kind": "below", "threshold": 30, "clear": 29}},
    {"when": {"kind": "above", "threshold": 1, "times": 3, "of": 2}},
    {"when": {"kind": "above", "threshold": 1, "times": 1, "of": 2, "for_seconds": 5}},
    {"when": {"kind": "rises", "threshold": 0, "window_seconds": 60}},
    {"when": {"kind": "silent", "seconds": 1}},
    {"when": {"kind": "silent", "seconds": 1e300}},
    {"when": {"kind": "text", "text": ""}},
    {"when": {"kind": "above", "threshold": 1, "unknown": 1}},
    {"scope": "device"},
    {"scope": "device", "target": "nobody12"},
    {"scope": "home", "target": "x"},
    {"subject": "{device.__class__}"},
    {"subject": "a\r\nBcc: x@example.org"},
    {"schedule": {"zone": "Nowhere/City"}},
    {"schedule": {"windows": [{"days": [7], "start": "08:00", "end": "09:00"}]}},
    {"schedule": {"windows": [{"days": [1], "start": "25:00", "end": "09:00"}]}},
    {"cooldown_seconds": -1},
    {"channels": [10**30]},
    {"severity": 7},
)


def test_bad_rules_are_refused_with_a_sentence_and_nothing_is_stored(database: Database, tmp_path: Path) -> None:
    async def journey(home: House) -> None:
        for wrong in WRONG:
            body = {**RULE, **wrong} if wrong else {}
            answer = await home.client.post("/api/alerts/rules", json=body, headers=home.owner)
            assert 400 <= answer.status_code < 500, (str(wrong)[:80], answer.status_code)
            assert answer.json()["detail"], wrong
        many = await home.client.get("/api/alerts/incidents?before=99999999999999999999", headers=home.owner)
        assert many.status_code == 404
        assert (await home.client.get("/api/alerts/rules", headers=home.owner)).json() == {"rules": []}

    in_house(journey, database, tmp_path)


@pytest.mark.parametrize("uid", ["nobody", "%00", "x" * 5000])
def test_what_is_not_ones_own_does_not_exist(database: Database, tmp_path: Path, uid: str) -> None:
    async def journey(home: House) -> None:
        for path in (f"/api/alerts/rules/{uid}", f"/api/alerts/incidents/{uid}"):
            assert (await home.client.get(path, headers=home.owner)).status_code in (400, 404)

    in_house(journey, database, tmp_path)
