import json
from typing import Any

import pytest

from waystation.devices import Gate
from waystation.kernel.errors import Unavailable
from waystation.kernel.mqtt import MqttMessage
from waystation.telemetry import Throttle
from waystation.telemetry.mqtt import Readings, SlowDown
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import NOON_MS, House


def message(key: str, body: Any, sequence: int | None = 1, at: int = NOON_MS * 1000) -> MqttMessage:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return MqttMessage(key, f"d.{key}.up.telemetry", payload, at if sequence else None, sequence)


def readings(house: House, slow_down: SlowDown | None = None) -> Readings:
    return Readings(house.parts.get(Gate), house.ingest, house.parts.get(Throttle), slow_down)


async def settle(house: House, *messages: MqttMessage) -> list[bool]:
    return list(await readings(house).settle(messages))


async def points(house: House, key: str) -> list[Any]:
    asked = {"device": key, "resolution": "raw", "to": "2026-01-02T00:00Z"}
    answer = await house.client.get("/api/readings", params=asked, headers=house.owner)
    return [point for one in answer.json()["series"] for point in one["points"]]


def test_a_message_is_settled_when_it_is_stored(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        one, other = house.add_device("Kitchen"), house.add_device("Hall")
        sent = [
            message(one.key, {"values": {"t": 1}}),
            message(other.key, [{"values": {"t": 2}}, {"values": {"t": 3}}], 2),
        ]
        assert await settle(house, *sent) == [True, True]
        assert sorted(value for _, value in house.rows()) == [1.0, 2.0, 3.0]
        assert house.device(one).last_seen_at is not None

    in_any_house(test)


def test_a_message_that_comes_again_is_the_same_reading(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        sent = message(made.key, [{"values": {"t": 1}}, {"values": {"t": 2}}], 77)
        for _ in range(3):
            house.clock.turn(30)
            assert await settle(house, sent) == [True]
        assert [value for _, value in await points(house, made.key)] == [1.0, 2.0]

    in_any_house(test)


def test_messages_of_one_microsecond_stay_apart(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        await settle(house, *(message(made.key, {"values": {"t": n}}, n) for n in range(1, 101)))
        assert len(await points(house, made.key)) == 100

    in_any_house(test)


def test_at_qos_0_every_message_is_a_reading_of_its_own(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        await settle(house, *(message(made.key, {"values": {"t": 1}}, None) for _ in range(5)))
        assert len(await points(house, made.key)) == 5

    in_house(test)


@pytest.mark.parametrize("body", [b"", b"nonsense", b'{"values":{"t":NaN}}', b'{"values":{}}'])
def test_a_bad_body_is_settled_and_shown_on_its_senders_page(in_house: InHouse, body: bytes) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        assert await settle(house, message(made.key, body), message(made.key, {"values": {"t": 1}}, 2)) == [True, True]
        assert house.rows() == [("t", 1.0)]
        assert house.ingest.faults[made.key].word == "invalid"

    in_house(test)


def test_what_cannot_be_stored_now_comes_again(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        made = house.add_device()
        sent = message(made.key, {"values": {"t": 1}})
        house.ingest.space._min_free_bytes = 1 << 62
        assert await settle(house, sent) == [False]
        house.ingest.space._min_free_bytes = 0
        whole = house.ingest.put

        async def away(*_: Any, **__: Any) -> None:
            raise Unavailable("the database is away")

        house.ingest.put = away  # type: ignore[method-assign,assignment]
        assert await settle(house, sent) == [False]
        house.ingest.put = whole  # type: ignore[method-assign]
        assert await settle(house, sent) == [True]
        assert house.rows() == [("t", 1.0)]

    in_house(test)


def test_a_message_of_a_deleted_device_is_dropped(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        assert await settle(house, message("aaaaaaaa", {"values": {"t": 1}})) == [True]
        assert house.rows() == []

    in_house(test)
