"""What becomes of lines: a row each, a repeat that is counted, or nothing when they are there already."""

import pytest

from waystation import messages
from waystation.kernel.errors import Invalid
from waystation.messages import Logged, MessageWritten, NewMessage, Severity
from waystation.messages.tests.house import House, at, line


def test_lines_are_numbered_in_the_order_of_their_arrival_whatever_their_own_times(house: House) -> None:
    assert house.write(line("second", 20), line("first", 10)) == 2
    assert [(one.content, one.at) for one in house.all()] == [("first", at(10)), ("second", at(20))]


def test_a_line_without_a_time_has_that_of_its_arrival(house: House) -> None:
    house.clock.turn(5)
    house.write(line("hello"))
    assert [(one.at, one.arrived_at) for one in house.all()] == [(at(5), at(5))]


def test_what_repeats_is_one_row_with_a_counter__DS_22(house: House) -> None:
    for second in range(3):
        house.write(line("Detected 4 files", second))
    house.write(line("Detected 4 files"), line("Detected 4 files"))
    (row,) = house.all()
    assert (row.content, row.count, row.at, row.last_at) == ("Detected 4 files", 5, at(0), at(2))


def test_only_what_follows_each_other_is_folded(house: House) -> None:
    other = house.device("Shed")
    house.write(line("a", 1), line("a", 2), line("b", 3), line("a", 4))
    house.write(line("a", 5), device=other)
    house.write(line("a", 6))
    assert house.said(device_id=house.porch.id) == [("a", 2), ("b", 1), ("a", 2)]
    assert house.said(device_id=other.id) == [("a", 1)]


def test_another_severity_or_type_is_another_line(house: House) -> None:
    house.write(line("a", 1), line("a", 2, Severity.ERROR), line("a", 3, Severity.ERROR, "status"))
    assert len(house.all()) == 3


def test_chatter_begins_a_new_row_every_hour(house: House) -> None:
    house.write(*(line("tick", second) for second in range(0, 7201, 600)))
    assert house.said() == [("tick", 7), ("tick", 6)]


def test_the_same_line_again_is_stored_once(house: House) -> None:
    sent = [line("a", 1), line("b", 2), line("b", 3), line("a", 4), line("b", 5)]
    assert house.write(*sent) == 5
    assert house.write(*sent) == 0
    assert house.write(*sent[1:4], line("c", 6)) == 1
    assert house.said() == [("a", 1), ("b", 2), ("a", 1), ("b", 1), ("c", 1)]


def test_the_same_line_of_another_device_is_another_line(house: House) -> None:
    house.write(line("a", 1))
    assert house.write(line("a", 1), device=house.device("Shed")) == 1


def test_the_same_line_twice_in_one_call_is_one(house: House) -> None:
    assert house.write(line("a", 1), line("a", 1)) == 1


def test_text_is_kept_as_it_is_but_for_what_no_database_takes(house: House) -> None:
    house.write(line(" \x1b[31mhot\x1b[0m\r\n ", 1), line("a\x00b", 2))
    assert [one.content for one in house.all()] == ["a␀b", " \x1b[31mhot\x1b[0m\r\n "]


def test_what_a_line_may_not_be_is_refused(house: House) -> None:
    for wrong in (NewMessage(type="two words"), NewMessage(type=""), NewMessage(content="x" * 4097)):
        with pytest.raises(Invalid):
            house.write(line("good"), wrong)
    assert not house.all()


def test_a_severity_of_its_own_is_kept_and_counts_as_another__DS_23(house: House) -> None:
    house.write(NewMessage(content="a", said_severity="fatal"), NewMessage(content="a"))
    assert [(one.severity, one.said_severity) for one in house.all()] == [("info", None), ("info", "fatal")]


def test_the_number_of_the_row_that_holds_a_line_is_told(house: House) -> None:
    with house.database.write() as tx:
        given = [messages.write_one(tx, house.porch, at(0), line(said)) for said in ("a", "a", "b")]
    assert given == [house.all()[1].number, house.all()[1].number, house.all()[0].number]


def test_numbers_ascend_also_when_the_newest_rows_are_gone(house: House) -> None:
    house.write(line("a"))
    (first,) = house.all()
    with house.database.write() as tx:
        tx.connection.exec_driver_sql("delete from message")
    house.write(line("a"))
    (second,) = house.all()
    assert second.number > first.number
    assert second.count == 1


def test_siblings_hear_of_the_first_of_what_is_grave_and_pages_of_everything(house: House) -> None:
    told: list[object] = []
    heard = [lambda _tx, event, _now: told.append(event)]
    house.database.listeners = {MessageWritten: heard, Logged: heard}
    house.write(line("fine", 1), line("hot", 2, Severity.WARNING), line("hot", 3, Severity.WARNING))
    house.write(line("hot", 4, Severity.WARNING))
    grave = [one.message.content for one in told if isinstance(one, MessageWritten)]
    logged = [(one.newest > 0, [row.count for row in one.repeated]) for one in told if isinstance(one, Logged)]
    assert grave == ["hot"]
    assert logged == [(True, []), (False, [3])]
