import asyncio
import json
from typing import Any

import pytest
from httpx2 import Response

from waystation.devices import Gate, Guesses
from waystation.devices.guesses import GUESSES
from waystation.dialects import thermostat
from waystation.kernel.mqtt import Later, MqttMessage
from waystation.kernel.mqtt_waiting import MOST_WAITING
from waystation.telemetry import Throttle, keeping
from waystation.telemetry.keeping.model import Plan
from waystation.telemetry.mqtt import Readings, SlowDown
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import NOON_MS, House, as_device

THERMOSTAT = "/api/telemetry/ingest/"
SAMPLE = {"mode": "AUTO", "temp_inside_c": 25.5, "setpoint_c": 22.0}
WRONG = {"authorization": "Device nobody:guess"}


async def post(house: House, who: dict[str, str], body: Any = None, path: str = "/api/readings") -> Response:
    return await house.client.post(path, json=body or {"values": {"a": 1}}, headers=who)


async def statuses(house: House, who: dict[str, str], count: int) -> list[int]:
    return [(await post(house, who)).status_code for _ in range(count)]


def test_a_call_too_many_is_429_with_the_time_to_wait_and_stores_nothing__G_16(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        busy, calm = as_device(house.add_device()), as_device(house.add_device("Hall"))
        assert await statuses(house, busy, 3) == [200] * 3
        refused = await post(house, busy)
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["retry-after"] == "20"
        assert refused.headers["ratelimit-policy"] == '"device";q=3;w=60'
        assert refused.headers["ratelimit"] == '"device";r=0;t=20'
        assert refused.json()["code"] == "too_many"
        assert "3 times a minute" in refused.json()["detail"]
        assert len(house.rows()) == 3
        assert await statuses(house, calm, 1) == [200]
        house.clock.turn(20)
        assert await statuses(house, busy, 2) == [200, 429]

    in_any_house(test, ingest_per_minute=3)


def test_an_answer_says_what_the_bucket_still_holds_whatever_it_answers(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        good, bad = await post(house, who), await post(house, who, {"values": {"a": {}}})
        assert (good.status_code, bad.status_code) == (200, 400)
        assert good.headers["ratelimit"] == '"device";r=29;t=1'
        assert bad.headers["ratelimit"] == '"device";r=28;t=1'
        assert good.headers["ratelimit-policy"] == bad.headers["ratelimit-policy"] == '"device";q=30;w=30'

    in_house(test, ingest_per_minute=60, ingest_burst=30)


def test_without_a_limit_nothing_is_counted_and_nothing_said_of_it(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        answers = [await post(house, who) for _ in range(70)]
        assert {answer.status_code for answer in answers} == {200}
        assert not any("ratelimit" in name for name in answers[0].headers)

    in_house(test)


def test_a_backlog_of_10_000_readings_drains_in_batches_without_a_429(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        for first in range(0, 10_000, 500):
            batch = [{"at": NOON_MS - 1000 * n, "values": {"a": n}} for n in range(first, first + 500)]
            assert (await post(house, who, batch)).status_code == 200
        assert len(house.rows()) == 10_000

    in_house(test, ingest_per_minute=60)


def test_fifteen_devices_at_15_s_behind_one_address_all_pass__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        devices = [as_device(house.add_device(f"Room {n}")) for n in range(15)]
        for _ in range(40):  # ten minutes
            answers = await asyncio.gather(*(post(house, who, SAMPLE, THERMOSTAT) for who in devices))
            assert [answer.status_code for answer in answers] == [200] * 15
            house.clock.turn(15)

    in_house(test, thermostat.feature, ingest_per_minute=60)


def test_one_device_at_2_a_second_is_held_back_whatever_it_says_it_is__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who, passed = as_device(house.add_device()), 0
        for number in range(200):  # a hundred seconds
            invented = {"x-forwarded-for": f"10.0.{number // 250}.{number % 250}", "x-device-key": f"k{number}"}
            passed += (await post(house, {**who, **invented}, SAMPLE, THERMOSTAT)).status_code == 200
            house.clock.turn(0.5)
        assert passed == 10 + 99

    in_house(test, thermostat.feature, ingest_per_minute=60, ingest_burst=10)


def test_all_edges_draw_from_one_bucket_and_the_dialect_answers_in_its_own_words__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        who = as_device(made)
        assert (await post(house, who, SAMPLE, THERMOSTAT)).status_code == 200
        assert await settle(house, message(made.key)) == [True]
        assert await statuses(house, who, 2) == [200, 429]
        refused = await post(house, who, SAMPLE, THERMOSTAT)
        assert refused.status_code == 429
        assert refused.json()["error"] == "rate_limit_exceeded"
        assert refused.headers["retry-after"] == "20"
        assert "ratelimit" not in refused.headers

    in_house(test, thermostat.feature, ingest_per_minute=3)


def test_a_plan_says_how_often_and_where_it_leaves_that_open_the_settings_do(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device())
        assert await statuses(house, who, 5) == [200] * 4 + [429]
        give_plan(house, ingest_per_minute=2)
        house.clock.turn(60)
        assert await statuses(house, who, 3) == [200] * 2 + [429]
        give_plan(house, ingest_per_minute=None)
        house.clock.turn(60)
        assert await statuses(house, who, 5) == [200] * 4 + [429]

    in_any_house(test, ingest_per_minute=4, default_plan="small")


def give_plan(house: House, ingest_per_minute: int | None) -> None:
    with house.database.write() as tx:
        keeping.store.save_plan(tx, Plan("small", ingest_per_minute=ingest_per_minute))
    house.ingest.quota.refresh()


# Strangers


def test_guesses_of_an_address_are_slowed_and_its_own_devices_are_not(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        house.parts.put(Guesses, Guesses(house.parts.get(Throttle)._limiter, wait_seconds=0))
        made = house.add_device(serial="SN-1")
        invented = [{**WRONG, "x-forwarded-for": f"10.0.0.{n}"} for n in range(GUESSES.burst + 1)]
        answers = [await post(house, who) for who in invented]
        assert [answer.status_code for answer in answers] == [403] * GUESSES.burst + [429]
        assert answers[-1].headers["retry-after"] == "2"
        assert (await post(house, {})).status_code == 429
        assert (await post(house, as_device(made))).status_code == 200
        house.clock.turn(2)
        assert [(await post(house, WRONG)).status_code for _ in range(2)] == [403, 429]

    in_house(test)


def test_right_credentials_are_never_counted_as_guesses_nor_wrong_ones_as_calls__TH_5(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        who = as_device(house.add_device(serial="SN-1"))
        wrong = {"authorization": "Device SN-1:wrong"}
        assert await statuses(house, wrong, 10) == [403] * 10
        assert await statuses(house, who, GUESSES.burst + 1) == [200] * (GUESSES.burst + 1)
        assert await statuses(house, wrong, GUESSES.burst - 10) == [403] * (GUESSES.burst - 10)

    in_house(test, ingest_per_minute=GUESSES.burst + 1)


def test_who_guesses_on_waits_and_not_too_many_wait_at_once(in_house: InHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(house: House) -> None:
        monkeypatch.setattr("waystation.devices.guesses.MOST_GUESSING", 3)
        guesses = Guesses(house.parts.get(Throttle)._limiter, wait_seconds=3600)
        for _ in range(GUESSES.burst):
            await guesses.count("2001:db8::1")
        waiting = [asyncio.create_task(guesses.count(f"2001:db8::{n}")) for n in range(5)]  # one client's network
        done, pending = await asyncio.wait(waiting, return_when=asyncio.ALL_COMPLETED, timeout=0.05)
        assert (len(done), len(pending)) == (2, 3)
        for task in pending:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert guesses._guessing == 0

    in_house(test)


# MQTT


def message(key: str, number: int = 1, *, qos: int = 1) -> MqttMessage:
    body = json.dumps({"values": {"n": number}}).encode()
    place = (NOON_MS * 1000 + number, number) if qos else (None, None)
    return MqttMessage(key, f"d.{key}.up.telemetry", body, *place)


def readings(house: House, slow_down: SlowDown | None = None) -> Readings:
    return Readings(house.parts.get(Gate), house.ingest, house.parts.get(Throttle), slow_down)


async def settle(house: House, *messages: MqttMessage, slow_down: SlowDown | None = None) -> list[bool]:
    return [done is True for done in await readings(house, slow_down).settle(messages)]


def test_messages_beyond_the_rate_wait_and_none_is_lost(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        waiting = [message(made.key, number) for number in range(1, 101)]
        for rounds in range(20):
            settled = await settle(house, *waiting)
            assert sum(settled) == (60 if rounds == 0 else 10 if waiting else 0)
            waiting = [sent for sent, done in zip(waiting, settled, strict=True) if not done]
            if not waiting:
                break
            assert house.ingest.faults[made.key].word == "too_many"
            assert house.parts.get(Throttle).waiting.count(made.key) == len(waiting)
            house.clock.turn(10)
        assert sorted(value for _, value in house.rows()) == list(range(1, 101))
        assert house.parts.get(Throttle).waiting.count(made.key) == 0

    in_any_house(test, ingest_per_minute=60)


def test_at_qos_0_what_comes_too_fast_is_dropped_and_its_sender_told(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        assert await settle(house, *(message(made.key, n, qos=0) for n in range(5))) == [True] * 5
        assert len(house.rows()) == 3
        assert house.ingest.faults[made.key].word == "too_many"

    in_house(test, ingest_per_minute=3)


def test_when_too_many_wait_they_are_stored_and_their_sender_is_sent_away(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made, other, ended = house.add_device(), house.add_device("Hall"), list[str]()
        sent = [message(made.key, number) for number in range(1, MOST_WAITING + 11)]
        settled = await settle(house, *sent, slow_down=ended.append)
        assert settled.count(False) == MOST_WAITING
        assert ended == [made.key] * 7
        assert await settle(house, message(other.key, 1000), slow_down=ended.append) == [True]
        assert len(house.rows()) == 3 + 7 + 1

    in_house(test, ingest_per_minute=3)


def test_no_crowd_of_devices_fills_what_the_stream_hands_out(
    in_house: InHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(house: House) -> None:
        monkeypatch.setattr("waystation.kernel.mqtt_waiting.MOST_WAITING_OF_ALL", 50)
        made = [house.add_device(f"Room {n}") for n in range(10)]
        sent = [message(one.key, 100 * place + n) for place, one in enumerate(made) for n in range(10)]
        assert (await settle(house, *sent)).count(False) == 50

    in_house(test, ingest_per_minute=1)


def test_what_another_process_has_settled_makes_room_again(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        waiting, now = house.parts.get(Throttle).waiting, [0.0]
        waiting._now = lambda: now[0]
        assert all(waiting.put("kitchen2", n) for n in range(MOST_WAITING))
        assert not waiting.put("kitchen2", MOST_WAITING)
        assert waiting.put("kitchen2", 0)  # it has its place
        now[0] = 121
        assert waiting.put("kitchen2", MOST_WAITING)
        assert waiting.count("kitchen2") == 1

    in_house(test)


def test_messages_that_wait_take_turns_as_the_bucket_fills(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        house.parts.get(Throttle).waiting._now = lambda: house.clock.now().timestamp()
        settled = await readings(house).settle([message(made.key, number) for number in range(1, 51)])
        turns = sorted(later.seconds for later in settled if isinstance(later, Later))
        assert turns == pytest.approx([min(2 * n, 30) for n in range(1, 49)])

    in_house(test, ingest_per_minute=30, ingest_burst=2)
