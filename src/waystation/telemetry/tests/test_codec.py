"""Chunks give back exactly what went in."""

import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waystation.telemetry.codec import CRC, MOST_VALUES, DamagedChunk, Run, decode, encode
from waystation.telemetry.model import Kind

STAMPS = st.integers(-(2**61), 2**61)
SENSIBLE = st.integers(-(10**6), 10**6).map(lambda n: n / 100)
NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1) | st.lists(SENSIBLE, min_size=1)
BOOLEANS = st.lists(st.sampled_from([0.0, 1.0]), min_size=1)
TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)


def run_of(stamps: list[int], values: list[float] | list[str]) -> Run:
    texts = bool(values) and isinstance(values[0], str)
    return Run(np.array(stamps, np.int64), np.array(values, object if texts else np.float64))


def stamps_for(count: int) -> st.SearchStrategy[list[int]]:
    regular = st.builds(lambda first, step: [first + i * step for i in range(count)], STAMPS, st.integers(1, 2**40))
    return regular | st.lists(STAMPS, min_size=count, max_size=count, unique=True).map(sorted)


@given(st.data(), st.sampled_from([(Kind.NUMBER, NUMBERS), (Kind.BOOLEAN, BOOLEANS), (Kind.TEXT, TEXTS)]))
def test_a_chunk_gives_back_every_stamp_and_value(
    data: st.DataObject, kind_and_values: tuple[Kind, st.SearchStrategy]
) -> None:
    kind, strategy = kind_and_values
    values = data.draw(strategy)
    run = run_of(data.draw(stamps_for(len(values))), values)
    back = decode(encode(run, kind))
    assert back.stamps.tolist() == run.stamps.tolist()
    assert back.values.tolist() == run.values.tolist()


@pytest.mark.parametrize(
    "values",
    [
        [-0.0, 0.0, -0.0],
        [5e-324, 1.7976931348623157e308, -1.7976931348623157e308],
        [2.0**53, 2.0**53 - 1, -(2.0**53)],
        [0.1, 0.2, 0.1 + 0.2],
        [21.399999618530273, 1e-9, 123456.789],
        [1e300],
    ],
)
def test_every_bit_of_a_number_survives(values: list[float]) -> None:
    back = decode(encode(run_of(list(range(len(values))), values), Kind.NUMBER)).values.tolist()
    assert [(v, math.copysign(1, v)) for v in back] == [(v, math.copysign(1, v)) for v in values]


@given(st.binary(max_size=200))
def test_foreign_bytes_are_refused(junk: bytes) -> None:
    with pytest.raises(DamagedChunk):
        decode(junk)


@given(st.data())
def test_a_chunk_with_one_changed_byte_is_refused(data: st.DataObject) -> None:
    chunk = bytearray(encode(run_of([1, 5, 9], [1.5, 2.5, 3.5]), Kind.NUMBER))
    chunk[data.draw(st.integers(0, len(chunk) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DamagedChunk):
        decode(bytes(chunk))


def test_a_chunk_of_a_later_version_is_refused_by_name() -> None:
    body = b"\x09" + encode(run_of([1], [1.0]), Kind.NUMBER)[CRC.size + 1 :]
    with pytest.raises(DamagedChunk, match="version 9"):
        decode(CRC.pack(zlib.crc32(body)) + body)


def test_a_full_chunk_of_a_regular_sensor_takes_less_than_a_byte_a_value() -> None:
    noise = np.random.default_rng(1)
    values = np.round(21 + np.cumsum(noise.normal(0, 0.03, MOST_VALUES)), 1)
    stamps = (1_760_000_000_000_000 + np.arange(MOST_VALUES) * 10_000_000) << 8
    assert len(encode(Run(stamps, values), Kind.NUMBER)) < MOST_VALUES
