"""The JSON data source's own requests, as version 0.6 and 0.7 of the plugin send them, and what they are answered."""

import asyncio
import json
from typing import Any

import pytest
import sqlalchemy as sa
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waystation.homes import store as home_rows
from waystation.identity import new_token
from waystation.kernel.db import Database, metadata, sqlite_url
from waystation.telemetry import seal
from waystation.telemetry.grafana import api
from waystation.telemetry.tests.conftest import InHouse, in_any_house, in_house
from waystation.telemetry.tests.house import NOON_MS, OWNER, House, as_device, house

__all__ = ["in_any_house", "in_house"]

HOUR_MS = 3_600_000


def panel(*targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a panel of a dashboard sends, with what it does not need to say."""
    return {
        "app": "dashboard",
        "requestId": "Q102",
        "timezone": "browser",
        "panelId": 2,
        "dashboardUID": "a7f3",
        "range": {
            "from": "2026-01-01T06:00:00.000Z",
            "to": "2026-01-01T11:59:59.999Z",
            "raw": {"from": "now-6h", "to": "now"},
        },
        "interval": "20s",
        "intervalMs": 20000,
        "targets": [{"datasource": {"type": "simpod-json-datasource", "uid": "P1"}, **target} for target in targets],
        "maxDataPoints": 1074,
        "scopedVars": {
            "__interval": {"text": "20s", "value": "20s"},
            "__interval_ms": {"text": "20000", "value": 20000},
        },
        "startTime": 1767268800000,
        "rangeRaw": {"from": "now-6h", "to": "now"},
        "adhocFilters": [],
        **more,
    }


def target(name: str, ref_id: str = "A", **more: Any) -> dict[str, Any]:
    return {"refId": ref_id, "editorMode": "builder", "target": name, "payload": {}, **more}


async def ask(house: House, path: str, body: Any = None) -> Response:
    return await house.client.post(f"/api/grafana/{path}", json=body, headers=house.owner)


async def asked(house: House, path: str, body: Any = None) -> Any:
    answer = await ask(house, path, body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def fill(house: House, name: str = "Kitchen") -> str:
    """A day by the quarter of an hour, up to noon; half of it sealed."""
    made = house.add_device(name)
    readings = [
        {"at": NOON_MS - n * HOUR_MS // 4, "values": {"t": n % 4, "on": n % 8 == 0, "mode": "heat" if n % 8 else "off"}}
        for n in range(96)
    ]
    for some in (readings[:48], readings[48:]):
        assert (await house.client.post("/api/readings", json=some, headers=as_device(made))).status_code == 200
        if some[0] is readings[0]:
            seal.seal(house.database, house.clock.now())
    return made.key


def test_the_connection_is_tested_with_the_token(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        for path in ("/api/grafana", "/api/grafana/"):
            assert (await house.client.get(path, headers=house.owner)).json()["status"] == "ok"
            assert (await house.client.get(path, headers=house.stranger)).status_code == 401
            assert (await house.client.get(path)).status_code == 401

    in_house(test)


def test_a_token_that_may_only_read_may_ask_everything(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        with house.database.write() as tx:
            token = new_token(tx, OWNER, house.clock.now(), name="grafana", role="viewer")
        headers = {"authorization": f"Bearer {token}"}
        bodies: dict[str, Any] = {
            "metrics": {},
            "metric-payload-options": {"metric": f"{key}:t", "payload": {}, "name": "aggregate"},
            "query": panel(target(f"{key}:t")),
            "variable": {"payload": {"target": "devices"}},
            "tag-keys": {},
            "tag-values": {"key": "device"},
        }
        for path, body in bodies.items():
            answer = await house.client.post(f"/api/grafana/{path}", json=body, headers=headers)
            assert (answer.status_code, bool(answer.json())) == (200, True), path

    in_house(test)


def test_every_series_is_offered_with_what_can_be_set(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        house.add_device("Attic")
        offered = await asked(house, "metrics", {"metric": "", "payload": {}})
        assert [(one["label"], one["value"]) for one in offered] == [
            (f"Kitchen · {metric}", f"{key}:{metric}") for metric in ("mode", "on", "t")
        ]
        assert [field["name"] for field in offered[0]["payloads"]] == ["aggregate", "bucket", "tz"]
        assert (await ask(house, "metrics")).json() == offered

    in_any_house(test)


def test_the_aggregates_offered_are_those_that_the_series_has(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)

        async def words(name: str, metric: str) -> list[str]:
            body = {"metric": metric, "payload": {}, "name": name}
            return [one["value"] for one in await asked(house, "metric-payload-options", body)]

        assert "states" not in await words("aggregate", f"{key}:t")
        assert await words("aggregate", f"{key}:mode") == ["count", "first", "last", "states"]
        assert len(await words("aggregate", "$device:t")) == len(api.AGGREGATES)
        assert "hour" in await words("bucket", f"{key}:t")
        assert await words("colour", f"{key}:t") == []

    in_house(test)


def test_a_panel_shows_numbers_as_series_and_texts_as_tables(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        body = panel(target(f"{key}:t"), target(f"{key}:on", "B"), target(f"{key}:mode", "C"), target("", "D"))
        number, boolean, text = await asked(house, "query", body)
        assert (number["target"], number["refId"]) == ("Kitchen t", "A")
        assert number["tags"] == {"device": "Kitchen", "key": key, "model": "", "metric": "t", "kind": "number"}
        assert number["datapoints"] == [[n % 4, NOON_MS - n * HOUR_MS / 4] for n in range(24, 0, -1)]
        assert boolean["columns"] == [{"text": "Time", "type": "time"}, {"text": "Kitchen on", "type": "boolean"}]
        assert text["columns"][1] == {"text": "Kitchen mode", "type": "string"}
        assert (text["type"], text["refId"]) == ("table", "C")
        assert [word for _, word in text["rows"]][:2] == ["off", "heat"]

    in_any_house(test)


def test_buckets_have_one_series_for_each_aggregate(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        payload = {"aggregate": ["max", "count"], "bucket": "hour"}
        found = {one["target"]: one for one in await asked(house, "query", panel(target(f"{key}:t", payload=payload)))}
        assert sorted(found) == ["Kitchen t count", "Kitchen t max"]
        assert found["Kitchen t max"]["datapoints"][0] == [3, NOON_MS - 6 * HOUR_MS]
        assert [count for count, _ in found["Kitchen t count"]["datapoints"]] == [4] * 6

    in_any_house(test)


def test_a_bucket_alone_shows_the_mean_and_of_texts_the_last(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        t, mode = (target(f"{key}:{metric}", payload={"bucket": "hour"}) for metric in ("t", "mode"))
        number, text = await asked(house, "query", panel(t, mode))
        assert (number["target"], {mean for mean, _ in number["datapoints"]}) == ("Kitchen t", {1.5})
        assert [word for _, word in text["rows"]] == ["heat"] * 6

    in_house(test)


def test_an_aggregate_alone_gets_buckets_that_fit_the_panel(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        body = panel(target(f"{key}:t", payload={"aggregate": "max"}), maxDataPoints=6)
        [found] = await asked(house, "query", body)
        assert 3 <= len(found["datapoints"]) <= 7

    in_house(test)


def test_how_long_each_state_lasted_is_a_series_of_seconds(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        payload = {"aggregate": "states", "bucket": "6h", "empty": "null"}
        found = await asked(house, "query", panel(target(f"{key}:mode", payload=payload)))
        seconds = {one["target"]: one["datapoints"][0][0] for one in found}
        assert seconds == {
            "Kitchen mode heat": pytest.approx(18900, abs=1),
            "Kitchen mode off": pytest.approx(2700, abs=1),
        }

    in_house(test)


def test_no_more_points_come_than_the_panel_is_wide(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        [found] = await asked(house, "query", panel(target(f"{key}:t"), maxDataPoints=10))
        assert 4 <= len(found["datapoints"]) <= 10

    in_any_house(test)


def test_variables_of_several_values_name_several_series(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        kitchen, attic = await fill(house), await fill(house, "Attic")
        for name in (f"({kitchen}|{attic}):t", f"({kitchen}:t|{attic}:t)", f"({kitchen}|{attic}):(t|on)"):
            found = await asked(house, "query", panel(target(name)))
            assert [one["target"] for one in found if "target" in one] == ["Kitchen t", "Attic t"]

    in_house(test)


def test_a_dot_that_grafana_has_escaped_is_a_dot(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        reading = {"at": NOON_MS - 1000, "values": {"room.t": 1}}
        await house.client.post("/api/readings", json=reading, headers=as_device(made))
        [found] = await asked(house, "query", panel(target(rf"{made.key}:room\.t")))
        assert found["datapoints"] == [[1, NOON_MS - 1000]]

    in_house(test)


def test_variables_list_devices_metrics_and_series(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        kitchen, attic = await fill(house), await fill(house, "Attic")

        async def listed(query: Any) -> list[tuple[str, str]]:
            found = await asked(house, "variable", {"payload": query, "range": panel()["range"]})
            return [(one["__text"], one["__value"]) for one in found]

        assert await listed({"target": "devices"}) == [("Attic", attic), ("Kitchen", kitchen)]
        assert await listed({"target": "metrics"}) == [(metric, metric) for metric in ("mode", "on", "t")]
        assert ("Attic · t", f"{attic}:t") in await listed("series")
        assert {value[:8] for _, value in await listed({"target": f"series ({kitchen}|unheard)"})} == {kitchen}
        assert (await ask(house, "variable", {"payload": {"target": "rooms"}})).status_code == 400

    in_any_house(test)


def test_ad_hoc_filters_leave_series_out(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        kitchen, attic = await fill(house), await fill(house, "Attic")
        assert "device" in [one["text"] for one in await asked(house, "tag-keys")]
        assert await asked(house, "tag-values", {"key": "device"}) == [{"text": "Attic"}, {"text": "Kitchen"}]
        assert await asked(house, "tag-values", {"key": "colour"}) == []

        async def shown(**narrowed: Any) -> list[str]:
            return [
                one["target"]
                for one in await asked(house, "query", panel(target(f"({kitchen}|{attic}):t"), **narrowed))
            ]

        assert await shown(adhocFilters=[{"key": "device", "operator": "=", "value": "Attic"}]) == ["Attic t"]
        assert await shown(filters=[{"key": "device", "operator": "!=", "value": "Attic"}]) == ["Kitchen t"]
        assert await shown(filters=[{"key": "key", "operator": "=|", "value": "", "values": [kitchen, attic]}]) == [
            "Kitchen t",
            "Attic t",
        ]

    in_house(test)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (panel(target("kitchen")), "KEY:metric"),
        (panel(target("aaaaaaaa:t")), "aaaaaaaa"),
        (panel(target("x", payload=[1])), "KEY:metric"),
        (panel(target("(" + "|".join("a" * 2 for _ in range(40)) + "):(" + "|".join("b" * 40) + ")")), "1000"),
        ({**panel(), "range": {"from": "yesterday", "to": "now"}}, "from"),
        ({**panel(), "range": {"from": "now", "to": "-1h"}}, "from"),
        ({**panel(), "range": None}, "range"),
        ({}, "range"),
        ({"range": {"from": "-1h", "to": "now"}}, "targets"),
        (panel(maxDataPoints="wide"), "maxDataPoints"),
        (panel(filters=[{"key": "colour", "operator": "=", "value": "red"}]), "colour"),
        (panel(filters=[{"key": "device", "operator": "=~", "value": "(a+)+"}]), "operator"),
        ([], "dictionary"),
    ],
)
def test_a_question_that_is_wrong_gets_a_sentence(in_house: InHouse, wrong: Any, word: str) -> None:
    async def test(house: House) -> None:
        answer = await ask(house, "query", wrong)
        assert answer.status_code in {400, 404, 422}
        assert answer.headers["content-type"] == "application/problem+json"
        assert word in answer.json()["detail"]

    in_house(test)


@pytest.mark.parametrize(
    ("payload", "word"),
    [
        ({"aggregate": "median"}, "median"),
        ({"aggregate": 3}, "aggregate"),
        ({"aggregate": [["max"]]}, "aggregate"),
        ({"bucket": "fortnight"}, "bucket"),
        ({"bucket": True}, "bucket"),
        ({"bucket": "1s"}, "bucket"),
        ({"bucket": "day", "tz": "Mars/Olympus"}, "tz"),
        ({"bucket": "day", "hold": "0"}, "hold"),
        ("max", "payload"),
        ([1], "payload"),
    ],
)
def test_a_payload_that_is_wrong_gets_a_sentence(in_house: InHouse, payload: Any, word: str) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        answer = await ask(house, "query", panel(target(f"{key}:t", payload=payload)))
        assert answer.status_code == 400
        assert word in answer.json()["detail"]

    in_house(test)


def test_other_homes_series_do_not_exist(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        key = await fill(house)
        with house.database.write() as tx:
            other = home_rows.add_home(tx, "Town house", house.clock.now())
            tx.execute(sa.text("update device set home_id = :id"), {"id": other.id})
        assert (await ask(house, "query", panel(target(f"{key}:t")))).status_code == 404
        assert await asked(house, "metrics", {}) == []
        assert await asked(house, "variable", {"payload": {"target": "series"}}) == []

    in_house(test)


SCRAPS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["-1h", "now"])
)
ANYTHING = st.recursive(
    SCRAPS, lambda some: st.lists(some, max_size=4) | st.dictionaries(st.text(max_size=6), some), max_leaves=8
)
NAMES = st.sampled_from(["KEY:t", "(KEY|KEY):(t|on)", "((", "|", ")(", ":", "KEY:mode", "\\"]) | st.text(max_size=12)
PAYLOADS = ANYTHING | st.fixed_dictionaries(
    {},
    optional={
        "aggregate": st.sampled_from(["max", "states,rate", ["last"]]) | SCRAPS,
        "bucket": st.sampled_from(["auto", "1h", "month", "7ms", "0"]) | SCRAPS,
        "tz": st.sampled_from(["Asia/Kolkata", "../../etc/passwd"]) | SCRAPS,
        "hold": SCRAPS,
        "empty": SCRAPS,
    },
)
TARGETS = st.fixed_dictionaries(
    {}, optional={"target": NAMES | SCRAPS, "payload": PAYLOADS, "refId": SCRAPS, "hide": SCRAPS}
)
TIMES = st.sampled_from(["2026-01-01T06:00:00.000Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-7d", "now", ""])
QUERIES = ANYTHING | st.fixed_dictionaries(
    {
        "range": st.fixed_dictionaries({"from": TIMES, "to": TIMES}) | ANYTHING,
        "targets": st.lists(TARGETS, max_size=3) | ANYTHING,
    },
    optional={
        "maxDataPoints": SCRAPS,
        "timezone": st.sampled_from(["browser", "Europe/Berlin", "/"]) | SCRAPS,
        "filters": st.lists(
            st.fixed_dictionaries({"key": st.sampled_from(api.TAGS), "value": SCRAPS}, optional={"operator": SCRAPS})
        ),
    },
)
BODIES = st.one_of(
    st.tuples(st.just("query"), QUERIES),
    st.tuples(
        st.just("variable"), st.fixed_dictionaries({"payload": ANYTHING | st.fixed_dictionaries({"target": NAMES})})
    ),
    st.tuples(st.just("metric-payload-options"), st.fixed_dictionaries({"name": SCRAPS, "metric": NAMES | SCRAPS})),
    st.tuples(st.sampled_from(["metrics", "tag-keys", "tag-values", "variable", "metric-payload-options"]), ANYTHING),
)


def test_no_body_is_a_fault_of_ours(tmp_path: Any) -> None:
    database = Database(sqlite_url(tmp_path / "waystation.db"))
    metadata.create_all(database.engine)

    async def many() -> None:
        async with house(database, tmp_path) as home:
            key = await fill(home)

            @settings(max_examples=120, suppress_health_check=list(HealthCheck))
            @given(BODIES)
            def one(asked: tuple[str, Any]) -> None:
                path, body = asked
                answers.append(asyncio.run_coroutine_threadsafe(send(home, path, body, key), loop).result())
                assert answers[-1].status_code < 500
                if answers[-1].status_code != 200:
                    assert answers[-1].json()["detail"]

            loop = asyncio.get_running_loop()
            answers: list[Response] = []
            await asyncio.to_thread(one)
            assert {200, 400, 422} <= {answer.status_code for answer in answers}

    asyncio.run(many())
    database.close()


async def send(home: House, path: str, body: Any, key: str) -> Response:
    content = json.dumps(body).replace("KEY", key).encode()
    headers = {**home.owner, "content-type": "application/json"}
    return await home.client.post(f"/api/grafana/{path}", content=content, headers=headers)
