"""Who may make whom what in a home, and who stays."""

import contextlib
import threading
from collections.abc import Callable
from itertools import product

import pytest

from waystation import homes
from waystation.homes import Role
from waystation.homes.tests.house import PEOPLE, House
from waystation.kernel import outbox
from waystation.kernel.errors import Conflict, DomainError, NotFound


def notices(house: House) -> list[str]:
    with house.database.read() as tx:
        return [row.subject for row in outbox.waiting(tx, outbox.NOTICE)]


def test_only_who_manages_adds_people_and_only_owners_add_owners__SH_4(house: House) -> None:
    for who, role in product(PEOPLE, Role):
        at = house.fresh()
        may = PEOPLE[who] is Role.OWNER or (PEOPLE[who] is Role.ADMIN and role is not Role.OWNER)
        assert outcome(at, homes.grant, who, "stranger", role) == ("done" if may else "refused"), (who, role)
        assert at.role("stranger") is (role if may else None), (who, role)


def test_roles_are_changed_exactly_by_those_who_may__SH_4(house: House) -> None:
    for who, whom, role in product(PEOPLE, PEOPLE, Role):
        at, own, held = house.fresh(), PEOPLE[who], PEOPLE[whom]
        may = own is Role.OWNER or (own is Role.ADMIN and Role.OWNER not in (held, role))
        unmakes_the_last = held is Role.OWNER and role is not Role.OWNER
        expected = "refused" if not may else "conflict" if unmakes_the_last else "done"
        assert outcome(at, homes.change_role, who, whom, role) == expected, (who, whom, role)
        assert at.role(whom) is (role if expected == "done" else held), (who, whom, role)


def test_people_are_removed_exactly_by_those_who_may__SH_4(house: House) -> None:
    for who, whom in product(PEOPLE, PEOPLE):
        at, own, held = house.fresh(), PEOPLE[who], PEOPLE[whom]
        may = own is Role.OWNER or (own is Role.ADMIN and held is not Role.OWNER)
        expected = "refused" if not may else "conflict" if held is Role.OWNER else "done"
        assert outcome(at, homes.remove, who, whom) == expected, (who, whom)
        assert at.role(whom) is (None if expected == "done" else held), (who, whom)


def outcome(house: House, verb: Callable[..., object], who: str, whom: str, *role: Role) -> str:
    try:
        with house.database.write() as tx:
            verb(tx, house.as_(tx, who), house.ids[whom], *role, now=house.clock.now())
    except DomainError as fault:
        return fault.word
    return "done"


def test_who_is_removed_loses_open_pages_at_once(house: House) -> None:
    with house.database.write() as tx:
        homes.remove(tx, house.as_(tx, "owner"), house.ids["viewer"], now=house.clock.now())
    assert f"member.ended.{house.home.id}.{house.ids['viewer']}" in notices(house)


def test_a_connection_is_ended_by_sign_out_by_removal_and_with_the_home(house: House) -> None:
    with house.database.read() as tx:
        ends = house.as_(tx, "user").ended_by
    assert f"member.ended.{house.home.id}.{house.ids['user']}" in ends
    assert f"home.ended.{house.home.id}" in ends
    assert len(ends) == 3


def test_everybody_may_leave_but_the_last_owner__SH_4(house: House) -> None:
    for who in ("viewer", "user", "admin"):
        with house.database.write() as tx:
            homes.leave(tx, house.as_(tx, who), now=house.clock.now())
        assert house.role(who) is None
    with house.database.write() as tx, pytest.raises(Conflict):
        homes.leave(tx, house.as_(tx, "owner"), now=house.clock.now())
    assert house.role("owner") is Role.OWNER


def test_with_a_second_owner_the_first_may_go(house: House) -> None:
    with house.database.write() as tx:
        homes.change_role(tx, house.as_(tx, "owner"), house.ids["admin"], Role.OWNER, now=house.clock.now())
        homes.leave(tx, house.as_(tx, "owner"), now=house.clock.now())
    assert house.role("owner") is None
    assert house.role("admin") is Role.OWNER


def test_two_owners_who_remove_each_other_at_once_leave_one(house: House) -> None:
    with house.database.write() as tx:
        homes.change_role(tx, house.as_(tx, "owner"), house.ids["admin"], Role.OWNER, now=house.clock.now())
    begun = threading.Barrier(2)

    def remove(who: str, whom: str) -> None:
        with house.database.read() as tx:
            by = house.as_(tx, who)
        begun.wait()
        with contextlib.suppress(DomainError), house.database.write() as tx:
            homes.remove(tx, by, house.ids[whom], now=house.clock.now())

    threads = [threading.Thread(target=remove, args=pair) for pair in (("owner", "admin"), ("admin", "owner"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [house.role("owner"), house.role("admin")].count(Role.OWNER) == 1


def test_nobody_is_added_twice_and_nobody_unknown(house: House) -> None:
    with house.database.write() as tx:
        by = house.as_(tx, "owner")
        with pytest.raises(Conflict):
            homes.grant(tx, by, house.ids["viewer"], Role.USER, now=house.clock.now())
        with pytest.raises(NotFound):
            homes.grant(tx, by, 999, Role.USER, now=house.clock.now())
        with pytest.raises(NotFound):
            homes.remove(tx, by, house.ids["stranger"], now=house.clock.now())


def test_members_are_listed_owners_first(house: House) -> None:
    with house.database.read() as tx:
        listed = homes.members(tx, house.home.id)
    assert [one.role for one in listed] == [Role.OWNER, Role.ADMIN, Role.USER, Role.VIEWER]
