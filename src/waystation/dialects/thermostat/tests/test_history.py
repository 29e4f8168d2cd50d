"""Export, the device's own times, and samples that say a moment twice."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx2 import Response
from tests.site import Site, standing_site

from waystation.dialects import thermostat
from waystation.dialects.thermostat.history import table
from waystation.telemetry import seal
from waystation.telemetry.tests.conftest import InHouse
from waystation.telemetry.tests.house import House, as_device

SERIAL = "SN-ESP32-THERMO-001"
HEADER = (
    "server_ts_utc,server_ts_local,device_ts_utc,device_ts_local,temp_inside_c,temp_outside_c,setpoint_c,hysteresis_c,"
    "humidity_percent,mode,output"
)
BODY = {"mode": "AUTO", "temp_inside_c": 25.5, "setpoint_c": 22.0}
G3 = {**BODY, "temp_outside_c": 25.0, "hysteresis_c": 0.5, "output": "COOL_ON", "timestamp": "2025-11-20T22:34:00-0800"}


async def export(house: House, **asked: Any) -> Response:
    asked = {"device_id": SERIAL, **asked}
    return await house.client.get("/api/telemetry/export/", params=asked, headers=house.owner)


async def query(house: House, **asked: Any) -> list[dict[str, Any]]:
    answer = await house.client.get("/api/telemetry/query/", params=asked, headers=house.owner)
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


class Thermostat:
    def __init__(self, house: House, serial: str = SERIAL) -> None:
        self.house = house
        self.who = as_device(house.add_device(serial=serial))

    async def post(self, **more: Any) -> int:
        self.house.clock.turn(15)
        answer = await self.house.client.post("/api/telemetry/ingest/", json={**BODY, **more}, headers=self.who)
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]


def rows(answer: Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_an_export_has_exactly_the_contracts_columns_and_forms__TH_14(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        device = Thermostat(house)
        await device.post(**G3)
        await device.post(mode="HEAT")
        answer = await export(house, tz="America/Vancouver")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/csv")
        assert answer.headers["content-disposition"] == f'attachment; filename="{SERIAL}_telemetry.csv"'
        lines = answer.text.splitlines()
        assert lines[0] == HEADER
        stamp = lines[1].split(",")[0]
        assert lines[1] == (
            f"{stamp},2026-01-01 04:00:15,2025-11-21T06:34:00+00:00,2025-11-20 22:34:00,25.5,25.0,22.0,0.5,,AUTO"
            ",COOL_ON"
        )
        assert stamp.startswith("2026-01-01T12:00:15.0")
        assert stamp.endswith("+00:00")
        assert lines[2].split(",")[2:] == ["", "", "25.5", "", "22.0", "", "", "HEAT", ""]
        assert len(lines) == 3

    in_any_house(test, thermostat.feature)


@pytest.mark.parametrize("zone", ["Nowhere/City", "../../etc/passwd", "America", "", "\x00", "x" * 5000])
def test_a_zone_that_there_is_not_is_utc__TH_14(in_house: InHouse, zone: str) -> None:
    async def test(house: House) -> None:
        await Thermostat(house).post()
        (row,) = rows(await export(house, tz=zone))
        assert row["server_ts_local"] == "2026-01-01 12:00:15"

    in_house(test, thermostat.feature)


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        ("2026-03-08T09:59:59Z", "2026-03-08 01:59:59"),
        ("2026-03-08T10:00:00Z", "2026-03-08 03:00:00"),
        ("2026-11-01T08:30:00Z", "2026-11-01 01:30:00"),
        ("2026-11-01T09:30:00Z", "2026-11-01 01:30:00"),
    ],
)
def test_local_times_are_right_over_a_change_of_the_clocks__TH_14(in_house: InHouse, utc: str, local: str) -> None:
    async def test(house: House) -> None:
        await Thermostat(house).post(timestamp=utc)
        (row,) = rows(await export(house, tz="America/Vancouver"))
        assert row["device_ts_local"] == local

    in_house(test, thermostat.feature)


def test_an_export_is_of_the_last_day_or_of_the_range_asked_for__TH_14(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        device = Thermostat(house)
        await device.post(temp_inside_c=1)
        house.clock.turn(86_400)
        await device.post(temp_inside_c=2)
        assert [row["temp_inside_c"] for row in rows(await export(house))] == ["2.0"]
        everything = await export(house, start="2026-01-01T00:00:00")
        assert [row["temp_inside_c"] for row in rows(everything)] == ["1.0", "2.0"]
        first = await export(house, start="2026-01-01T00:00:00Z", end="2026-01-01T13:00:00Z")
        assert [row["temp_inside_c"] for row in rows(first)] == ["1.0"]
        assert rows(await export(house, end="0001-01-01T00:00:00Z")) == []
        assert await query(house, end="0001-01-01T00:00:00Z") == []
        assert len(await query(house, start="0001-01-01T00:00:00Z", end="9999-12-31T00:00:00Z")) == 2

    in_house(test, thermostat.feature)


def test_cells_that_a_spreadsheet_would_run_are_led_by_an_apostrophe__TH_14(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        device = Thermostat(house)
        for number, text in enumerate(("=1+1", "+CMD", "-2+3", "@SUM(A1)")):
            await device.post(mode=text, output=text, temp_outside_c=-number - 0.5)
        found = rows(await export(house))
        assert [row["mode"] for row in found] == ["'=1+1", "'+CMD", "'-2+3", "'@SUM(A1)"]
        assert [row["output"][0] for row in found] == ["'"] * 4
        assert [row["temp_outside_c"] for row in found] == ["-0.5", "-1.5", "-2.5", "-3.5"]

    in_house(test, thermostat.feature)


def test_sealed_and_fresh_samples_are_one_export_in_pieces__TH_14(
    in_any_house: InHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal, "ENOUGH_ROWS", 1)
    monkeypatch.setattr(table, "LINES_AT_ONCE", 3)

    async def test(house: House) -> None:
        device = Thermostat(house)
        for number in range(10):
            await device.post(temp_inside_c=number)
        assert seal.seal(house.database, house.clock.now()) > 0
        for number in range(10, 20):
            await device.post(temp_inside_c=number)
        assert [float(row["temp_inside_c"]) for row in rows(await export(house))] == list(range(20))

    in_any_house(test, thermostat.feature)


def test_a_long_export_comes_in_pieces_as_they_are_read__TH_14() -> None:
    read = []

    def samples() -> Iterator[tuple[int, dict[str, Any]]]:
        for number in range(100_000):
            read.append(number)
            yield (1_770_000_000_000_000 + number) << 8, {"mode": "AUTO", "setpoint_c": 22.0, "temp_inside_c": 20.0}

    pieces = table.lines(samples(), table.zone(None))
    next(pieces)
    assert read == []
    assert next(pieces).count(b"\n") == table.LINES_AT_ONCE
    assert len(read) == table.LINES_AT_ONCE


def test_an_export_without_a_device_or_of_an_unknown_one_is_refused__TH_19(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        nothing = await house.client.get("/api/telemetry/export/", headers=house.owner)
        assert (nothing.status_code, nothing.json()["detail"]) == (400, "Missing device_id")
        for asked, status in (({"device_id": "SN-9"}, 404), ({"device_id": SERIAL, "start": "soon"}, 400)):
            await Thermostat(house, f"S{status}").post()
            answer = await export(house, **asked) if status == 404 else await export(house, **asked, tz="UTC")
            assert answer.status_code in (status, 404)

    in_house(test, thermostat.feature)


def test_a_sample_that_says_a_moment_again_is_flagged_and_can_be_left_out__TH_12(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        device, other = Thermostat(house), Thermostat(house, "SN-2")
        made = [await device.post(timestamp=f"2026-01-01T00:0{minute}:00Z") for minute in (1, 1, 2, 2, 2, 3)]
        await other.post(timestamp="2026-01-01T00:01:00Z")
        found = await query(house, device_id=SERIAL)
        assert [row["id"] for row in found] == made
        assert [row.get("duplicate", False) for row in found] == [False, True, False, True, True, False]
        kept = await query(house, device_id=SERIAL, collapse=1)
        assert [row["id"] for row in kept] == [made[0], made[2], made[5]]
        assert [row.get("duplicate") for row in await query(house, device_id=SERIAL, limit=2)] == [True, None]
        assert not any(row.get("duplicate") for row in await query(house, device_id="SN-2"))

    in_any_house(test, thermostat.feature)


def test_samples_without_a_time_are_no_duplicates__TH_12(in_house: InHouse) -> None:
    async def test(house: House) -> None:
        device = Thermostat(house)
        made = [await device.post() for _ in range(3)]
        assert [row["id"] for row in await query(house, collapse=1)] == made

    in_house(test, thermostat.feature)


def test_posts_are_found_by_the_devices_own_time__TH_12(in_any_house: InHouse) -> None:
    async def test(house: House) -> None:
        device = Thermostat(house)
        hours = {hour: await device.post(timestamp=f"2025-06-01T{hour:02}:00:00+0200") for hour in (5, 3, 4, 9, 8)}
        await device.post()
        asked = {"device_id": SERIAL, "time": "device"}
        everything = await query(house, **asked)
        assert [row["id"] for row in everything] == [hours[hour] for hour in (3, 4, 5, 8, 9)]
        between = await query(house, **asked, start="2025-06-01T04:00:00+02:00", end="2025-06-01T08:00:00+02:00")
        assert [row["id"] for row in between] == [hours[hour] for hour in (4, 5, 8)]
        assert [row["id"] for row in await query(house, **asked, limit=2)] == [hours[8], hours[9]]
        assert [row["id"] for row in await query(house, **asked, latest=1)] == [hours[9]]
        assert all(row["server_ts"].startswith("2026-01-01T12:0") for row in everything)

    in_any_house(test, thermostat.feature)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with standing_site(tmp_path) as made:
        yield made


@pytest.mark.parametrize("path", ["query/", "query", "", "recent/", "export/"])
def test_a_browser_that_is_not_signed_in_is_led_to_the_sign_in_page_and_a_program_is_not(site: Site, path: str) -> None:
    page = site.ask("GET", f"/api/telemetry/{path}?device_id=SN", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert page.status == 302
    assert page.headers["location"] == f"/accounts/login/?next=/api/telemetry/{path}%3Fdevice_id%3DSN"
    for accept in ("*/*", "application/json", "application/json, text/html"):
        answer = site.ask("GET", f"/api/telemetry/{path}", accept=accept)
        assert (answer.status, answer.json) == (401, {"detail": "Authentication required"})


@pytest.mark.parametrize("path", ["query/", "recent/", "export/"])
def test_another_method_is_405_in_json__TH_21(site: Site, path: str) -> None:
    answer = site.ask("POST", f"/api/telemetry/{path}", body={})
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]
    assert "detail" in answer.json


def test_the_session_of_another_person_reads_nothing__TH_19(site: Site) -> None:
    ann, bob = site.somebody(site.home("One")), site.somebody(site.home("Two"))
    made = site.ask("POST", "/api/devices/register/", body={"serial_number": SERIAL}, **ann.browser).json
    site.ask("POST", "/api/telemetry/ingest/", f"Device {SERIAL}:{made['api_key']}", BODY)
    for path, status in (("query", 400), ("recent", 404), ("export", 404)):
        known, unknown = (
            site.ask("GET", f"/api/telemetry/{path}/?device_id={serial}", **bob.browser) for serial in (SERIAL, "SN-9")
        )
        assert known.status == unknown.status == status
        assert known.json == unknown.json == {"detail": "Device not found or not owned"}
    assert site.ask("GET", "/api/telemetry/query/", **bob.browser).json["count"] == 0
    mine = site.ask("GET", f"/api/telemetry/query/?device_id={SERIAL}", **ann.browser)
    assert mine.json["count"] == 1


def test_ping_and_both_paths_of_health_say_that_the_site_lives__TH_1(site: Site) -> None:
    assert site.ask("GET", "/api/ping/").json == {"status": "ok", "message": "api app wired"}
    for path in ("/health/", "/api/health/", "/health", "/api/health"):
        assert site.ask("GET", path).json.items() >= {"status": "ok", "message": "backend alive"}.items()
