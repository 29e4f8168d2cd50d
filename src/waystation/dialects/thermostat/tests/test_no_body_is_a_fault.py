"""Whatever a client sends is answered below 500, in JSON of this dialect (TH-7, TH-21)."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from waystation.dialects import thermostat
from waystation.dialects.thermostat import oddities, wire
from waystation.dialects.thermostat.accounts import model
from waystation.dialects.thermostat.history import table
from waystation.kernel.errors import Invalid
from waystation.telemetry.model import Sample, rows_of
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import House, as_device

NAMES = st.sampled_from([*wire.NUMBERS, *wire.TEXTS, "timestamp", "device_ip", "device_id", "other"])
ODD = st.sampled_from(
    [
        "yesterday",
        "2025-13-45T00:00:00Z",
        "9999-12-31T23:59:59-1400",
        "0001-01-01T00:00:00+1400",
        "::1%eth0",
        "",
        "\x00",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | ODD
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3))
BODIES = st.binary(max_size=200) | st.builds(
    lambda fields: json.dumps(fields).encode(errors="replace"), st.dictionaries(NAMES, VALUES, max_size=9) | VALUES
)
GOOD = {"mode": "AUTO", "temp_inside_c": 20.0, "setpoint_c": 21.0}
NEARLY_GOOD = st.dictionaries(NAMES, VALUES, max_size=6).map(lambda odd: json.dumps({**GOOD, **odd}).encode())
TEXTS = st.text(max_size=60) | ODD | st.sampled_from(["1e9", "-1", "24h", "9999999d", ".5h", "1.5.h", "٣h"])


@given(body=BODIES | NEARLY_GOOD)
@settings(max_examples=400, deadline=None)
def test_a_body_is_refused_in_a_sentence_or_has_values_that_can_be_stored_and_shown__TH_7(body: bytes) -> None:
    try:
        found = wire.payload(body)
    except Invalid:
        return
    oddities.own_address(found.device_ip)
    assert rows_of(Sample(None, found.values), 0)
    assert "\x00" not in json.dumps(list(found.fields))
    shown = msgspec.json.decode(msgspec.json.encode(wire.row("SN", 1_770_000_000_000_000, found.raw)))
    assert set(shown) >= {"mode", "temp_inside_c", "device_ts"}


@given(username=st.text(max_size=200), email=VALUES, password=st.text(max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_names_and_passwords_are_refused_in_a_sentence_or_good__TH_7__TH_16(
    username: str, email: Any, password: str
) -> None:
    try:
        address, name = model.check_names(username, email)
    except Invalid:
        return
    assert ("@" in address) or address == name
    try:
        model.check_password(password, username, address)
    except Invalid:
        return
    assert len(password) >= 10
    assert not password.isdigit()


@given(texts=st.lists(TEXTS, min_size=4, max_size=4))
@settings(max_examples=300, deadline=None)
def test_what_is_asked_of_history_is_refused_in_a_sentence_or_understood__TH_7(texts: list[str]) -> None:
    span, limit, start, zone = texts
    for read in (
        lambda: wire.hours(span),
        lambda: wire.number_of_rows(limit, default=1, most=9),
        lambda: wire.boundary("x", start),
    ):
        with suppress(Invalid):
            read()
    assert table.zone(zone) is not None


def test_a_thousand_odd_posts_are_answered_below_500_in_json__TH_7__TH_21(in_house: InHouse) -> None:
    drawn: list[bytes] = []

    @given(body=BODIES | NEARLY_GOOD)
    @settings(max_examples=200, deadline=None, database=None)
    def draw(body: bytes) -> None:
        drawn.append(body)

    draw()
    odd = [b'{"mode":"A","temp_inside_c":%s,"setpoint_c":2}' % number for number in NUMBERS] + [b"[" * 16_000]

    async def test(house: House) -> None:
        who = as_device(house.add_device())
        for body in (*drawn, *odd):
            answer = await house.client.post("/api/telemetry/ingest/", content=body, headers=who)
            assert answer.status_code in (200, 400), (body, answer.text)
            assert "detail" in answer.json() or answer.json()["status"] == "ok"
        found = await asyncio.gather(
            *(house.client.get(f"/api/telemetry/{path}/", headers=house.owner) for path in ("query", "recent"))
        )
        assert {answer.status_code for answer in found} <= {200, 404}

    in_house(test, thermostat.feature)


NUMBERS = (
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"nan",
    b"0x10",
    b"01",
    b"1" * 5000,
    b"-0",
)
