"""Buckets follow the clock on the wall."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from waystation.kernel.clock import from_micros, micros
from waystation.kernel.errors import Invalid
from waystation.telemetry.history.calendar import Buckets, fitting, zone


def edges(word: str, tz: str, first: datetime, last: datetime) -> list[str]:
    found = Buckets(word, zone(tz)).edges(micros(first), micros(last), 1000)
    return [from_micros(edge).astimezone(zone(tz)).isoformat() for edge in found.tolist()]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours_long(word: str, tz: str, first: str, last: str) -> list[float]:
    found = Buckets(word, zone(tz)).edges(micros(at(first)), micros(at(last)), 1000)
    return (np.diff(found) / 3.6e9).tolist()


def test_a_day_has_23_or_25_hours_when_the_clock_is_changed() -> None:
    assert hours_long("day", "Europe/Berlin", "2026-03-28T12:00", "2026-03-30T12:00") == [24, 23, 24]
    assert hours_long("day", "Europe/Berlin", "2026-10-24T12:00", "2026-10-26T12:00") == [24, 25, 24]
    assert len(edges("hour", "Europe/Berlin", at("2026-10-24T22:00"), at("2026-10-25T22:59"))) == 25 + 1


def test_hours_of_a_zone_with_half_hours_begin_at_its_own_full_hour() -> None:
    assert edges("hour", "Asia/Kolkata", at("2026-10-24T12:10"), at("2026-10-24T13:10")) == [
        "2026-10-24T17:00:00+05:30",
        "2026-10-24T18:00:00+05:30",
        "2026-10-24T19:00:00+05:30",
    ]
    assert hours_long("hour", "Australia/Lord_Howe", "2026-04-04T13:30", "2026-04-04T16:29") == [1, 1.5, 1]


def test_a_day_that_begins_late_or_never_came() -> None:
    late = edges("day", "America/Sao_Paulo", at("2018-11-03T12:00"), at("2018-11-04T12:00"))
    assert late == ["2018-11-03T00:00:00-03:00", "2018-11-04T01:00:00-02:00", "2018-11-05T00:00:00-02:00"]
    left_out = edges("day", "Pacific/Apia", at("2011-12-29T12:00"), at("2011-12-31T09:00"))
    assert [day[:10] for day in left_out] == ["2011-12-29", "2011-12-31", "2012-01-01"]


def test_weeks_begin_on_monday_and_months_and_years_on_their_first() -> None:
    assert [day[:10] for day in edges("week", "UTC", at("2026-11-22T12:00"), at("2026-11-23T00:00"))] == [
        "2026-11-16",
        "2026-11-23",
        "2026-11-30",
    ]
    months = edges("month", "America/New_York", at("2026-01-01T04:59"), at("2026-02-01T05:00"))
    assert [day[:10] for day in months] == ["2025-12-01", "2026-01-01", "2026-02-01", "2026-03-01"]
    assert [day[:4] for day in edges("year", "UTC", at("2024-02-29T00:00"), at("2025-01-01T00:00"))] == [
        "2024",
        "2025",
        "2026",
    ]


def test_buckets_before_1970_and_at_the_ends_of_time() -> None:
    assert Buckets("3600").edges(-1, 0, 10).tolist() == [-3_600_000_000, 0, 3_600_000_000]
    for word in ("hour", "day", "week", "month", "year", "60"):
        far = Buckets(word, zone("Europe/Berlin")).edges(-(2**55), 2**55 - 1, 4)
        assert len(far) == 5
        assert (np.diff(far) > 0).all()
        last = Buckets(word, zone("Europe/Berlin")).edges(2**55 - 1, 2**55 - 1, 4)
        assert last[0] <= 2**55 - 1 < last[-1]


def test_a_day_earlier_is_the_same_time_of_the_clock() -> None:
    berlin = Buckets("day", zone("Europe/Berlin"))
    before = berlin.moved(micros(at("2026-03-29T10:00")), timedelta(days=-1))  # noon in summer
    assert from_micros(before) == at("2026-03-28T11:00")
    assert from_micros(berlin.moved(micros(at("2026-03-29T10:00")), timedelta(hours=-12))) == at("2026-03-28T22:00")


@pytest.mark.parametrize(
    ("hours", "word"), [(0, "1"), (1, "5"), (24, "120"), (24 * 30, "3600"), (24 * 365, "43200"), (24 * 2000, "week")]
)
def test_buckets_that_fit_a_picture(hours: int, word: str) -> None:
    assert fitting(0, hours * 3_600_000_000, 1000, zone("UTC")).word == word


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "\0", "Europe", "x" * 500])
def test_another_name_is_no_time_zone(name: str) -> None:
    with pytest.raises(Invalid, match="no time zone"):
        zone(name)
