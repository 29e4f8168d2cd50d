"""Lines wait in flash, have a time, go out in order, and give way when there are too many."""

import json

import board
from board import Hub, Lines
from waystation.clock import Clock
from waystation.errors import Busy, Refused, WaystationError

from waystation import storage
from waystation.messages import Messages
from waystation.telemetry import Telemetry

NOON = 1795953600000  # 2026-11-29T12:00:00Z


def knowing(ms=NOON):
    clock = Clock()
    clock.learn(ms)
    return clock


async def sent(telemetry):
    """What a new hub gets of it: (time, values), by time."""
    lines = Lines()
    await telemetry.send(Hub(lines))
    assert telemetry.is_empty()
    return [(at, lines.taken[at]["values"]) for at in sorted(lines.taken)]


async def test_readings_go_out_with_their_time_and_in_order():
    telemetry = Telemetry(knowing())
    for number in range(100):
        telemetry.record({"n": number})
    taken = await sent(telemetry)
    assert [values["n"] for _, values in taken] == list(range(100))
    assert NOON <= taken[0][0] < NOON + 60000


async def test_no_two_readings_have_the_same_time():
    clock = knowing()
    clock.uptime_ms = lambda: 0
    telemetry = Telemetry(clock)
    for _ in range(3):
        telemetry.record({"n": 1})
    assert [at for at, _ in await sent(telemetry)] == [NOON, NOON + 1, NOON + 2]


async def test_what_is_no_value_is_left_out():
    telemetry = Telemetry(knowing())
    telemetry.record({"a": float("nan"), "b": None, "c": float("inf"), "d": "ä\n", "e": True})
    telemetry.record({"a": None})
    ((_, values),) = await sent(telemetry)
    assert values == {"d": "ä\n", "e": True}


async def test_readings_wait_through_a_restart_and_lost_answers_double_nothing():
    telemetry = Telemetry(knowing())
    for number in range(50):
        telemetry.record({"n": number})
    lines = Lines()
    lines.lose_answer = 1
    try:
        await telemetry.send(Hub(lines))
        raise AssertionError("it lost no answer")
    except OSError:
        pass
    again = Telemetry(knowing(NOON + 9000))
    again.record({"n": 50})
    await again.send(Hub(lines))
    assert [lines.taken[at]["values"]["n"] for at in sorted(lines.taken)] == list(range(51))


async def test_what_was_noted_before_the_time_was_known_is_dated_by_its_age():
    clock = Clock()
    telemetry = Telemetry(clock)
    clock._uptime = 1000
    telemetry.record({"n": 1})
    clock._uptime = 5000
    telemetry.record({"n": 2})
    await telemetry.send(Hub(Lines()))
    assert not telemetry.is_empty(), "without a time nothing goes out"
    clock.learn(NOON)
    telemetry.record({"n": 3})
    (one, two, three) = await sent(telemetry)
    assert abs(one[0] - (NOON - 4000)) < 100
    assert abs(two[0] - NOON) < 100
    assert two[0] < three[0] < NOON + 100


async def test_runs_that_never_knew_the_time_are_dated_as_if_one_followed_the_other():
    for run in range(2):
        clock = Clock()
        clock._uptime = 10000
        telemetry = Telemetry(clock)
        telemetry.record({"n": run})
        clock._uptime = 60000
        telemetry.record({"n": run})
    clock = Clock()
    clock._uptime = 2000
    clock.learn(NOON)
    times = [at for at, _ in await sent(Telemetry(clock))]
    start = NOON - 2000
    for wanted in (start, start - 50000, start - 60000, start - 110000):
        assert abs(times.pop() - wanted) < 200
    assert not times


async def test_a_date_once_given_stays_although_the_next_run_knows_another_time():
    telemetry = Telemetry(Clock())
    telemetry.record({"n": 1})
    lines = Lines()
    lines.lose_answer = 1
    try:
        await Telemetry(knowing(NOON)).send(Hub(lines))
    except OSError:
        pass
    await Telemetry(knowing(NOON + 500000)).send(Hub(lines))
    assert len(lines.taken) == 1


async def test_the_oldest_give_way_and_are_counted():
    telemetry = Telemetry(knowing(), most_bytes=3000, segment_bytes=500)
    for number in range(200):
        telemetry.record({"n": number})
    numbers = [values["n"] for _, values in await sent(telemetry)]
    assert numbers == list(range(200 - len(numbers), 200))
    assert telemetry.dropped == 200 - len(numbers) > 0
    assert len(numbers) > 40


async def test_one_line_that_the_hub_does_not_want_stops_no_other():
    telemetry = Telemetry(knowing())
    for number in range(5):
        telemetry.record({"n": number})
    taken = []

    def answer(method, path, body):
        numbers = [json.loads(line)["values"]["n"] for line in body.split("\n") if line]
        if 3 in numbers:
            return Refused(400, "n must not be 3")
        taken.extend(numbers)
        return {"stored": len(numbers)}

    assert await telemetry.send(Hub(answer)) == 4
    assert taken == [0, 1, 2, 4]
    assert telemetry.refused == 1
    assert telemetry.last_refusal == "n must not be 3"


async def test_a_hub_that_is_busy_or_is_none_takes_nothing_away():
    telemetry = Telemetry(knowing())
    telemetry.record({"n": 1})
    for fault in (Busy(503), Refused(404), Refused(405)):
        try:
            await telemetry.send(Hub(lambda method, path, body, fault=fault: fault))
            raise AssertionError("it was no fault")
        except WaystationError:
            pass
    assert len(await sent(telemetry)) == 1


async def test_damage_in_the_middle_costs_only_what_is_damaged():
    telemetry = Telemetry(knowing())
    for number in range(10):
        telemetry.record({"n": number})
    path = "readings/" + storage.names("readings")[0]
    with open(path, "rb") as file:
        image = bytearray(file.read())
    image[len(image) // 2] ^= 1
    with open(path, "wb") as file:
        file.write(image)
    assert len(await sent(Telemetry(knowing()))) == 9


async def test_messages_are_cut_filtered_and_sent():
    messages = Messages(knowing())
    messages.log("quiet", "debug")
    messages.log('say "ä"', "warning")
    messages.log("x" * 2000)
    lines = Lines()
    await messages.send(Hub(lines))
    first, second = [lines.taken[at] for at in sorted(lines.taken)]
    assert (first["severity"], first["type"], first["content"]) == ("warning", "log", 'say "ä"')
    assert second["content"] == "x" * 512


board.run(globals())
