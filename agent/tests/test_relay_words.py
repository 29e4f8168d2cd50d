"""What JunctionRelay devices read and write: times, keys, lines, reports, the Python client's file."""

import base64
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from waystation_agent.errors import BadInput
from waystation_agent.junctionrelay import old_config, times
from waystation_agent.junctionrelay.account import Account, Token
from waystation_agent.junctionrelay.curve import in_whole, parse_public_key
from waystation_agent.junctionrelay.line import parse_line
from waystation_agent.junctionrelay.report import Form, check, in_their_words, measurements
from waystation_agent.junctionrelay.sealing import open_sealed
from waystation_agent.junctionrelay.wire import words
from waystation_agent.link import Answer, Server
from waystation_agent.spool import Sample

OWNER = ec.derive_private_key(20_261_121, ec.SECP256R1())
OWNER_PEM = OWNER.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public(form: PublicFormat, key: ec.EllipticCurvePrivateKey = OWNER) -> str:
    return base64.b64encode(key.public_key().public_bytes(Encoding.X962, form)).decode()


SHORT, LONG = public(PublicFormat.CompressedPoint), public(PublicFormat.UncompressedPoint)


def account(**more: object) -> Account:
    return Account(Server("https://relay.example"), "02:FC:00:00:00:01", "Porch Pi", **more)  # type: ignore[arg-type]


@pytest.fixture(params=["UTC", "America/Chicago", "Asia/Tokyo"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


# Times


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-21T07:19:06Z",
        "2026-11-21T07:19:06+00:00",
        "2026-11-21T08:49:06+0130",
        "2026-11-21T07:19:06",
        "2026-11-21T07:19:06.1234567Z",
        "2026-11-21T07:19:06.123456789+00:00",
        " 2026-11-21 07:19:06.1Z ",
    ],
)
def test_times_are_read_in_every_form_that_servers_write__JR_A2(text: str) -> None:
    assert int(times.parse(text) or 0) == 1_795_245_546


@pytest.mark.parametrize("text", ["", "soon", None, 7, [], "2026-13-01T00:00:00Z", "99999999999"])
def test_what_is_no_time_is_none(text: object) -> None:
    assert times.parse(text) is None
    assert times.parse_false_z(text) is None


def test_a_false_z_is_local_time_both_ways(zone: str) -> None:
    assert times.parse_false_z(times.false_z(1_795_245_546)) == 1_795_245_546


# Keys


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2**255))
def test_every_key_of_the_curve_is_accepted_in_both_forms__JR_A11(secret: int) -> None:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    short, long = (public(form, key) for form in (PublicFormat.CompressedPoint, PublicFormat.UncompressedPoint))
    assert len(parse_public_key(short)) == 33
    assert len(parse_public_key(f" {long[:40]}\r\n {long[40:]}")) == 65
    assert in_whole(short) == in_whole(long) == long


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_what_the_library_refuses_is_refused(x: bytes, y: bytes) -> None:
    for point in (b"\x02" + x, b"\x03" + x, b"\x04" + x + y):
        try:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:
            with pytest.raises(BadInput, match="no point on the curve"):
                parse_public_key(base64.b64encode(point).decode())
        else:
            assert parse_public_key(base64.b64encode(point).decode()) == point


@pytest.mark.parametrize("text", ["", "A/Y6", "not base64!", base64.b64encode(bytes(33)).decode(), "ä"])
def test_what_is_no_key_is_one_sentence__JR_A11(text: str) -> None:
    with pytest.raises(BadInput, match="publicKey"):
        parse_public_key(text)


# Lines


def test_a_line_is_read_with_or_without_a_key() -> None:
    fields = {"deviceName": "Greenhouse Pi", "publicKey": SHORT, "token": "reg-xyz", "else": 7}
    line = parse_line(fields, "https://relay.example/")
    assert (line.server, line.name, line.token, line.public_key) == (
        "https://relay.example",
        "Greenhouse Pi",
        "reg-xyz",
        SHORT,
    )
    del fields["publicKey"]
    assert parse_line(fields | {"server": "https://b.example"}, None).server == "https://b.example"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"deviceName": "Pi"}, "lacks token"),
        ({"token": "reg"}, "lacks deviceName"),
        ({"publicKey": SHORT}, "lacks deviceName and token"),
        ({"deviceName": 7, "token": None}, "lacks deviceName and token"),
        ({"deviceName": "Pi", "token": "reg", "publicKey": "AAAA"}, "no point"),
        ({"deviceName": "Pi", "token": "reg" * 1_000}, "too long"),
    ],
)
def test_a_line_that_is_not_whole_says_what_is_missing__JR_A11(fields: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse_line(fields, "https://relay.example")


def test_a_line_without_a_server_goes_nowhere() -> None:
    with pytest.raises(BadInput, match="--server"):
        parse_line({"deviceName": "Pi", "token": "reg"}, None)


# Answers


def test_answers_are_read_in_any_key_case() -> None:
    assert words(Answer(200, b'{"Success":true,"DEVICEJWT":"j"}')) == {"success": True, "devicejwt": "j"}
    assert words(Answer(200, b" ")) == {}
    assert words(Answer(200, b"<html>Sign in to the Wi-Fi</html>")) is None
    assert words(Answer(200, b"[1]")) is None


# Reports

SAMPLE = Sample(
    1,
    1_795_245_546_000_000,
    {
        "uptime_seconds": 3_600.7,
        "memory_available_bytes": 1_073_741_824,
        "memory_total_bytes": 4_294_967_296,
        "memory_percent": 25.5,
        "cpu_percent": 15.2,
        "cpu_temperature_c": 45.3,
        "temperature": 23.5,
        "humidity": 65.0,
        "door_open": True,
        "custom_sensor": "some_value",
    },
)
THEIRS = {
    "uptime": 3600,
    "freeHeap": 1073741824,
    "totalMemory": 4294967296,
    "memoryUsage": 25.5,
    "cpuUsage": 15.2,
    "cpuTemp": 45.3,
    "temperature": "23.5",
    "humidity": "65",
    "door_open": "true",
    "custom_sensor": "some_value",
}


def test_a_report_is_the_object_of_the_contract() -> None:
    assert measurements(Form.OBJECT, account(), SAMPLE) == THEIRS
    assert json.loads(str(measurements(Form.TEXT, account(), SAMPLE))) == THEIRS
    assert in_their_words({}) == {}


@pytest.mark.parametrize("key", [SHORT, LONG])
def test_sealed_reports_are_opened_by_the_owner_alone__JR_A21(key: str) -> None:
    held = account(public_key=key)
    for form, counter in ((Form.SEALED_V1, None), (Form.SEALED_V2, SAMPLE.at_us)):
        text = str(measurements(form, held, SAMPLE))
        message = base64.b64decode(text)
        assert len(message) >= 61
        assert message[0] in {2, 3}
        plain, found = open_sealed(text, OWNER_PEM, held.device_id)
        assert (json.loads(plain), found) == (THEIRS, counter)
        assert measurements(form, held, SAMPLE) != text
        damaged = base64.b64encode(message[:-1] + bytes([message[-1] ^ 1])).decode()
        with pytest.raises(BadInput):
            open_sealed(damaged, OWNER_PEM, held.device_id)


def test_a_sealed_v2_report_belongs_to_one_device() -> None:
    text = str(measurements(Form.SEALED_V2, account(public_key=SHORT), SAMPLE))
    with pytest.raises(BadInput, match="not sealed for this key and device"):
        open_sealed(text, OWNER_PEM, "02:FC:00:00:00:02")


def test_sealing_without_key_or_library_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    check(Form.OBJECT, account())
    check(Form.SEALED_V2, account(public_key=SHORT))
    with pytest.raises(BadInput, match="publicKey"):
        check(Form.SEALED_V1, account())
    monkeypatch.setattr("waystation_agent.junctionrelay.report.find_spec", lambda _name: None)
    with pytest.raises(BadInput, match=r"waystation-agent\[encrypted\]"):
        check(Form.SEALED_V2, account(public_key=SHORT))


# The Python client's file


def _old(folder: Path, **more: object) -> Path:
    fields = {
        "jwt": "old-jwt",
        "refresh_token": "old-refresh",
        "device_id": "02:FC:00:00:00:01",
        "jwt_expires_at": "2026-11-20T23:25:06Z",
        "refresh_token_expires_at": "2026-11-27T15:19:06Z",
        "last_token_refresh": 1795216746.66,
    }
    path = folder / old_config.NAME
    path.write_text(json.dumps(fields | more))
    return path


def test_an_old_file_is_found_and_its_device_id_kept__JR_A13(tmp_path: Path) -> None:
    assert old_config.find([tmp_path]) is None
    path = _old(tmp_path)
    assert old_config.find([tmp_path / "nowhere", tmp_path]) == path
    found = old_config.take_over(path, Server("https://relay.example"), "other", name="Pi")
    assert (found.device_id, found.jwt.text, found.refresh.text) == ("02:FC:00:00:00:01", "old-jwt", "old-refresh")
    assert found.jwt.lifetime_seconds is found.refresh.lifetime_seconds is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"jwt": ""}', '{"jwt": 7, "refresh_token": null}'])
def test_an_old_file_without_tokens_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / old_config.NAME).write_text(content)
    assert old_config.find([tmp_path]) is None


@pytest.mark.parametrize("end", ["", 0, "2026-11-27T15:19:06.1234567Z", "tomorrow", None])
def test_ends_that_the_old_client_could_not_read_do_not_drop_tokens__JR_A2(tmp_path: Path, end: object) -> None:
    path = _old(tmp_path, jwt_expires_at=end, refresh_token_expires_at=end)
    assert old_config.take_over(path, Server("https://relay.example"), "x", name="Pi").refresh.text == "old-refresh"


def test_the_old_file_follows_in_its_old_form(tmp_path: Path, zone: str) -> None:
    path = _old(tmp_path, public_key_b64=SHORT)
    taken = old_config.take_over(path, Server("https://relay.example"), "x", name="Pi")
    renewed = taken.with_pair(Token("j2", 1_795_245_546, 60), Token("r2", 1_795_850_346, 60), at=1_795_216_746.5)
    old_config.follow(renewed)
    fields = json.loads(path.read_text())
    assert (fields["jwt"], fields["refresh_token"], fields["public_key_b64"]) == ("j2", "r2", LONG)
    assert fields["last_token_refresh"] == 1_795_216_746.5
    read_by_python_client = time.mktime(time.strptime(fields["jwt_expires_at"], "%Y-%m-%dT%H:%M:%SZ"))
    assert read_by_python_client == 1_795_245_546
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    old_config.wipe(renewed)
    wiped = json.loads(path.read_text())
    assert (wiped["jwt"], wiped["device_id"], wiped["public_key_b64"]) == ("", "", LONG)
    assert old_config.find([tmp_path]) is None


def test_tokens_that_the_python_client_renewed_meanwhile_are_taken(tmp_path: Path) -> None:
    path = _old(tmp_path)
    ours = old_config.take_over(path, Server("https://relay.example"), "x", name="Pi")
    assert old_config.catch_up(ours) is ours
    _old(tmp_path, refresh_token="theirs")
    caught = old_config.catch_up(ours)
    assert (caught.refresh.text, caught.previous and caught.previous.text) == ("theirs", "old-refresh")
    _old(tmp_path)
    assert old_config.catch_up(caught) is caught
    path.unlink()
    assert old_config.catch_up(caught) is caught


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root to give files away")
def test_a_file_of_another_user_stays_that_users(tmp_path: Path) -> None:
    path = _old(tmp_path)
    os.chown(path, 12_345, 12_345)
    old_config.follow(old_config.take_over(path, Server("https://relay.example"), "x", name="Pi"))
    assert path.stat().st_uid == 12_345
