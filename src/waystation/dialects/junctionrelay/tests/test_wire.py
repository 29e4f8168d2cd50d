import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import binary, dictionaries, floats, integers, none, recursive, text

from waystation.dialects.junctionrelay import wire
from waystation.dialects.junctionrelay.wire import RAW, SEALED
from waystation.kernel.errors import Invalid
from waystation.telemetry.decode import METRIC

SEED = {
    "uptime": 3600,
    "freeHeap": 1073741824,
    "totalMemory": 4294967296,
    "memoryUsage": 25.5,
    "cpuUsage": 15.2,
    "cpuTemp": 45.3,
    "temperature": "23.5",
    "humidity": "65",
    "custom_sensor": "some_value",
}
STORED = SEED | {"temperature": 23.5, "humidity": 65.0}
SEALED_61 = base64.b64encode(b"\x02" + bytes(60)).decode()
SEALED_LONG = base64.b64encode(b"\x03" + bytes(range(256))).decode()
TOO_SHORT = base64.b64encode(b"\x02" + bytes(59)).decode()
UNCOMPRESSED = base64.b64encode(b"\x04" + bytes(90)).decode()


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (SEED, STORED),
        ({}, {}),
        ("", {}),
        (None, {}),
        (json.dumps(SEED, separators=(",", ":")), STORED),
        ("{}", {}),
        (SEALED_61, {SEALED: SEALED_61}),
        (SEALED_LONG, {SEALED: SEALED_LONG}),
        (TOO_SHORT, {RAW: TOO_SHORT}),
        (UNCOMPRESSED, {RAW: UNCOMPRESSED}),
        (" " + SEALED_61, {RAW: " " + SEALED_61}),
        ('{"broken": ', {RAW: '{"broken": '}),
        ("{" * 20_000, {RAW: "{" * 20_000}),
        ("[1,2]", {RAW: "[1,2]"}),
        ("hello", {RAW: "hello"}),
        (7, {RAW: "7"}),
        (7.5, {RAW: "7.5"}),
        (False, {RAW: "false"}),
        ([1, "two", None], {RAW: '[1,"two",null]'}),
        ("a\x00b\ud800", {RAW: "a\ufffdb?"}),
    ],
)
def test_sensor_data_is_decoded_in_the_contracts_order__JR_17(sent: Any, stored: dict[str, Any]) -> None:
    assert wire.sensed(sent)[0] == stored


@pytest.mark.parametrize(
    ("key", "sent", "stored"),
    [
        ("t", "23.5", {"t": 23.5}),
        ("t", "65", {"t": 65.0}),
        ("t", "-0.5", {"t": -0.5}),
        ("t", "023.50", {"t": 23.5, "t_text": "023.50"}),
        ("t", " 7 ", {"t": 7.0, "t_text": " 7 "}),
        ("t", "+5", {"t": 5.0, "t_text": "+5"}),
        ("t", "1e3", {"t": 1000.0, "t_text": "1e3"}),
        ("t", "1e999", {"t": "1e999"}),
        ("t", "NaN", {"t": "NaN"}),
        ("t", "inf", {"t": "inf"}),
        ("t", "1_000", {"t": "1_000"}),
        ("t", "٣", {"t": "٣"}),
        ("t", "21 °C", {"t": "21 °C"}),
        ("t", "", {"t": ""}),
        ("t", None, {}),
        ("t", True, {"t": True}),
        ("t", 10**400, {"t": str(10**400)}),
        ("t", float("nan"), {"t": "NaN"}),
        ("t", {"deep": [1]}, {"t": '{"deep":[1]}'}),
        ("uptime", 3600, {"uptime": 3600.0}),
        ("uptime", 1_700_000_000.5, {"device_clock": 1_700_000_000.5}),
        ("uptime", "1700000000", {"device_clock": 1_700_000_000.0}),
        ("CPU temp °C", 45, {"CPU_temp_C": 45.0}),
        ("2nd", 1, {"_2nd": 1.0}),
        ("", 1, {"value": 1.0}),
        ("a" * 100, 1, {"a" * 64: 1.0}),
    ],
)
def test_values_become_readings_and_a_texts_own_words_are_kept__JR_17(
    key: str, sent: Any, stored: dict[str, Any]
) -> None:
    assert wire.readings({key: sent}) == stored


def test_keys_that_are_one_when_cleaned_stay_two__JR_17() -> None:
    assert wire.readings({"cpu temp": 1, "cpu_temp": 2, "cpu/temp": 3}) == {
        "cpu_temp": 1.0,
        "cpu_temp_2": 2.0,
        "cpu_temp_3": 3.0,
    }


def test_an_object_of_very_many_values_is_kept_as_one_text() -> None:
    many = {f"m{number}": number for number in range(wire.MOST_VALUES + 1)}
    assert wire.readings(many) == {RAW: json.dumps(many, separators=(",", ":"))}


json_values = recursive(
    none() | floats() | integers() | text(), lambda inner: dictionaries(text(), inner, max_size=4), max_leaves=12
)


@given(dictionaries(text(), json_values, max_size=8))
def test_whatever_object_comes_its_metrics_and_values_can_be_stored__JR_16(sent: dict[str, Any]) -> None:
    for metric, value in wire.readings(sent).items():
        assert METRIC.fullmatch(metric)
        assert isinstance(value, bool | float | int | str)
        if isinstance(value, str):
            assert "\x00" not in value
            value.encode()


@given(binary(max_size=200))
def test_whatever_bytes_come_they_are_a_report_or_invalid__JR_16(body: bytes) -> None:
    try:
        report = wire.report(body)
    except Invalid:
        return
    assert wire.STATUS in report.about


@given(binary(min_size=60, max_size=120))
def test_ciphertext_is_told_by_length_and_first_byte_and_kept_unchanged__JR_18(message: bytes) -> None:
    sent = base64.b64encode(b"\x02" + message).decode()
    assert wire.sensed(sent) == ({SEALED: sent}, sent)
