"""Turns: one at a time, in the order of asking, and who comes again at once waits behind those who wait already."""

import threading
import time

import pytest

from waystation.kernel.turns import Turns


def test_who_waits_goes_before_who_comes_again() -> None:
    turns, order = Turns(), list[str]()
    waits = threading.Thread(target=lambda: _take(turns, order, "waits"))
    with turns:
        waits.start()
        while not turns._waiting:  # pyright: ignore[reportPrivateUsage]
            time.sleep(0.001)
    _take(turns, order, "comes again")
    waits.join()
    assert order == ["waits", "comes again"]


def test_one_at_a_time_and_nobody_is_forgotten() -> None:
    turns, inside, most, done = Turns(), list[int](), list[int](), list[int]()

    def work() -> None:
        for _ in range(200):
            with turns:
                inside.append(1)
                most.append(len(inside))
                inside.pop()
                done.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1
    assert len(done) == 1200


def test_a_fault_inside_hands_it_on_too() -> None:
    turns, done = Turns(), list[int]()
    with pytest.raises(ZeroDivisionError), turns:
        done.append(1 // 0)
    with turns:
        done.append(1)
    assert done == [1]


def _take(turns: Turns, order: list[str], name: str) -> None:
    with turns:
        order.append(name)
