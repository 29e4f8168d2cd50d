import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.kernel.errors import DomainError, Invalid, TooLarge
from waystation.telemetry.decode import Limits, samples

NOW = 1_767_268_800_000_000  # 2026-01-01T12:00:00Z
DAY_MS = 86_400_000
LIMITS = Limits()


def read(body: object, limits: Limits = LIMITS) -> list[tuple[int | None, dict[str, Any]]]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return [(sample.at, sample.values) for sample in samples(raw, NOW, limits)]


def refusal(body: object, limits: Limits = LIMITS) -> str:
    with pytest.raises(DomainError) as refused:
        read(body, limits)
    return refused.value.sentence


def test_one_reading_without_a_time() -> None:
    assert read({"values": {"temp": 21.5, "on": True, "mode": "AUTO"}}) == [
        (None, {"temp": 21.5, "on": True, "mode": "AUTO"})
    ]


@pytest.mark.parametrize(
    "at",
    [
        "2026-01-01T11:00:00.123456Z",
        "2026-01-01T12:00:00.123456+01:00",
        "2026-01-01T03:00:00.123456-0800",
        1_767_265_200_123.456,
    ],
)
def test_a_time_is_iso_8601_or_epoch_milliseconds_to_the_microsecond(at: object) -> None:
    assert read({"at": at, "values": {"t": 1}}) == [(1_767_265_200_123_456, {"t": 1.0})]


def test_an_array_and_ndjson_say_the_same_as_one_after_the_other() -> None:
    readings = [{"values": {"a": 1}}, {"at": 1_767_268_800_000, "values": {"b": False}}]
    ndjson = b"\r\n\r\n".join(json.dumps(reading).encode() for reading in readings) + b"\n"
    assert read(readings) == read(ndjson) == [(None, {"a": 1.0}), (NOW, {"b": False})]


def test_an_object_over_several_lines_is_one_reading() -> None:
    assert read(json.dumps({"values": {"a": 1}}, indent=2).encode()) == [(None, {"a": 1.0})]


def test_nulls_are_left_out_and_a_reading_of_nulls_says_nothing() -> None:
    assert read([{"values": {"a": None, "b": 2}}, {"values": {"a": None}}]) == [(None, {"b": 2.0})]


def test_a_number_as_text_stays_text() -> None:
    assert read({"values": {"a": "21.5"}}) == [(None, {"a": "21.5"})]


def test_unknown_keys_are_ignored__G_4() -> None:
    assert read({"values": {"a": 1}, "firmware": {"v": [1]}}) == [(None, {"a": 1.0})]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "the body is not JSON"),
        (b"hello", "the body is not JSON"),
        (b"\xff\xfe", "the body is not JSON"),
        (b"null", "reading 1 is not an object with values"),
        (b"[]", "the body holds no reading"),
        (b"[1]", "reading 1 is not an object with values"),
        (b"{}", 'reading 1 has no "values" object'),
        (b'{"values":[1]}', 'reading 1 has no "values" object'),
        (b'{"values":{}}', "reading 1 has no values"),
        (b'[{"values":{"a":1}},{"values":{"temp":NaN}}]', "reading 2: value of 'temp' is not finite"),
        (b'{"values":{"a":1}}\n{"values":{"temp":-Infinity}}', "reading 2: value of 'temp' is not finite"),
        (b'{"values":{"temp":1e999}}', "reading 1: value of 'temp' is not finite"),
        (b'{"values":{"temp":' + b"9" * 400 + b"}}", "reading 1: value of 'temp' is not finite"),
        (b'{"values":{"temp":' + b"9" * 9000 + b"}}", "the body is not"),
        (b'{"values":{"temp":[1]}}', "reading 1: value of 'temp' is nested"),
        (b'{"values":{"temp":{"c":1}}}', "reading 1: value of 'temp' is nested"),
        (b'{"values":{"temp":nan}}', "the body is not JSON"),
        (b'{"values":{"a":"\\ud800"}}', "the body is not JSON"),
        (b'{"values":{"a":"\\u0000"}}', "reading 1: value of 'a' contains a NUL character"),
        ({"values": {"a": "x" * 4097}}, "reading 1: value of 'a' is text of more than 4096 characters"),
        ({"values": {"9lives": 1}}, "reading 1: '9lives' is not a metric's name"),
        ({"values": {"a b": 1}}, "reading 1: 'a b' is not a metric's name"),
        ({"values": {"a" * 65: 1}}, "is not a metric's name"),
        ({"values": {"temp\n": 1}}, r"reading 1: 'temp\n' is not a metric's name"),
        ({"at": True, "values": {"a": 1}}, "reading 1: at is neither ISO 8601 text nor finite epoch milliseconds"),
        (b'{"at":1e400,"values":{"a":1}}', "reading 1: at is neither ISO 8601 text nor finite epoch milliseconds"),
        ({"at": "yesterday", "values": {"a": 1}}, "reading 1: at 'yesterday' is not an ISO 8601 time"),
        (
            {"at": "2025-13-45T00:00:00Z", "values": {"a": 1}},
            "reading 1: at '2025-13-45T00:00:00Z' is not a possible time",
        ),
        (
            {"at": 1_767_268_800, "values": {"a": 1}},
            "at 1970-01-21T10:54:28.800000Z (1767268800) is more than 3650 days ago",
        ),
        ({"at": "2026-01-02T12:00:01Z", "values": {"a": 1}}, "is more than 86400 s ahead"),
        ({"at": 10**300, "values": {"a": 1}}, "is more than 86400 s ahead"),
        (b'{"values":{"a":1},"x":' + b"[" * 100_000 + b"}", "the body is nested too deeply"),
    ],
)
def test_what_is_wrong_is_named(body: object, sentence: str) -> None:
    assert sentence in refusal(body)


def test_more_values_than_one_call_may_carry_are_refused() -> None:
    with pytest.raises(TooLarge, match="carries 10001 values; at most 10000"):
        read([{"values": {"a": 1, "b": 2, "c": 3}}] * 3333 + [{"values": {"a": 1, "b": 2}}])


def test_one_bad_reading_refuses_all() -> None:
    with pytest.raises(Invalid):
        read([{"values": {"a": 1}}] * 100 + [{"values": {"a": []}}])


METRICS = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.:-]{0,63}\Z")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50)
VALUES = st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | TEXT
TIMES = st.none() | st.integers(NOW // 1000 - 3649 * DAY_MS, NOW // 1000 + DAY_MS)
READINGS = st.builds(
    lambda at, values: {"at": at, "values": values}, TIMES, st.dictionaries(METRICS, VALUES, min_size=1)
)


@given(st.lists(READINGS, min_size=1, max_size=8), st.sampled_from(["array", "ndjson"]))
def test_every_good_body_comes_back_as_it_was_sent(readings: list[dict], form: str) -> None:
    sent = json.dumps(readings) if form == "array" else "\n".join(json.dumps(reading) for reading in readings)
    expected = [(at if (at := r["at"]) is None else at * 1000, r["values"]) for r in readings]
    taken = samples(sent.encode(), NOW, LIMITS)
    assert [(sample.at, sample.values) for sample in taken] == expected
    kinds = [[type(v) for v in sample.values.values()] for sample in taken]
    assert kinds == [[type(v) for v in r["values"].values()] for r in readings]


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
)


@given(
    st.binary()
    | JUNK.map(lambda thing: json.dumps(thing).encode())
    | JUNK.map(lambda x: json.dumps({"values": x}).encode())
)
def test_no_input_is_answered_but_by_samples_or_a_sentence__TH_7(body: bytes) -> None:
    try:
        taken = samples(body, NOW, LIMITS)
    except DomainError as refused:
        refused.sentence.encode()  # always printable, whatever was sent
        return
    assert all(isinstance(value, float | bool | str) for sample in taken for value in sample.values.values())
